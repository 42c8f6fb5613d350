"""Train from batches of a file that need not fit into memory: Adam, averaging, slimTrain, and how they compare."""

import tempfile
from pathlib import Path

import jax
import numpy as np
import optax

from numdl.data import TOYS, Scaler, row_pieces
from numdl.models import ResNet
from numdl.optimize import Entry, LevenbergMarquardt, StochasticGradient, compare, minimize_stochastic
from numdl.problems import LEAST_SQUARES, SlimTrain, VarPro, full_problem
from numdl.regularize import GroupPenalty

jax.config.update("jax_enable_x64", True)
jnp = jax.numpy

data = TOYS["peaks-regression"](1500, random_state=0)
x, c = Scaler.fit(data.x).transform(data.x), Scaler.fit(data.c).transform(data.c)
net = ResNet(2, 8, 4, 4.0, dynamics="antisymmetric")
theta = net.init(0, np.float64)
penalty = GroupPenalty(jnp.zeros(1), jnp.zeros(net.n_parameters, jnp.int32))


def problem(rows):
    data = map(jnp.asarray, (x[rows], c[rows], np.ones(len(x[rows]))))
    return VarPro(net, LEAST_SQUARES, *data, penalty, jnp.asarray(1e-8))


training, validation = problem(slice(0, 1000)), problem(slice(1000, None))
head = training.first_head(theta)
full, full_validation = full_problem(training, theta), full_problem(validation, theta)
start = {"theta": theta, "W": head}
adam = optax.adam(1.0)  # made once: a new one would be compiled anew
plain, slim = StochasticGradient(adam), SlimTrain(adam)


def tell(name, result):
    history = result.history
    print(f"{name:34s} validation {history['validation'][-1]:.4f} after {history['work'][-1]:.0f} passes")


with tempfile.TemporaryDirectory() as folder:
    for name, rows in (("x", x[:1000]), ("c", c[:1000])):
        np.save(Path(folder) / f"{name}.npy", rows)
    # 250 rows at a time are read from disk, in an order that the key draws anew for each epoch.
    pieces = row_pieces(Path(folder) / "x.npy", Path(folder) / "c.npy", rows=250)
    settings = {"batch": 10, "rate": 1e-2, "pieces": pieces, "validation": full_validation}
    shape = full_problem(problem(slice(0, 1)), theta)  # gives shapes only

    result, _ = minimize_stochastic(shape, plain, start, epochs=12, **settings)
    tell("Adam from a file", result)
    averaged, _ = minimize_stochastic(shape, plain, start, epochs=12, average_from=10, **settings)
    tell("Adam, mean of the last 2 epochs", averaged)

    # Interrupted after 5 of 12 epochs, as by Ctrl-C; what it returns is all that is needed to go on.
    def interrupt(progress):
        if progress.epoch == 5:
            raise KeyboardInterrupt

    broken, progress = minimize_stochastic(shape, plain, start, epochs=12, observe=interrupt, **settings)
    resumed, _ = minimize_stochastic(shape, plain, start, epochs=12, resume=progress, **settings)
    difference = max(np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (resumed.p, result.p)), strict=True))
    print(f"{broken.status.code} after {progress.epoch} epochs; resumed, the weights differ by {difference:g}")

solved, _ = minimize_stochastic(
    training, slim, theta, head, batch=10, epochs=12, rate=1e-2, validation=validation
)  # the head needs no rate
tell("slimTrain", solved)

# Batches against all rows at once, for the same number of passes over the data.
joint = {"problem": full, "p": start, "validation": full_validation}
curves = compare(
    training,
    {
        "Adam": Entry(plain, batch=10, rate=1e-2, **joint),
        "slimTrain": Entry(slim, batch=10, rate=1e-2),
        "Levenberg-Marquardt, head eliminated": LevenbergMarquardt(),
    },
    theta,
    head,
    work=60,
    validation=validation,
)
for name, curve in curves.items():
    ends = f"training {curve.training[-1]:.4f}, validation {curve.validation[-1]:.4f}"
    print(f"{name:38s} {curve.work[-1]:3.0f} passes: {ends}")
