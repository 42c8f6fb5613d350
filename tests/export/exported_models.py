"""Fitted models that are small, one of each kind, and what an exported file says of rows."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import pytest

from numdl import (
    AutoClassifier,
    AutoRegressor,
    KernelRegressor,
    LogisticClassifier,
    SoftmaxClassifier,
    TikhonovRegressor,
)
from numdl.estimators.auto import boosted as trees
from numdl.estimators.auto.chaos import condition
from numdl.estimators.auto.network import Architecture
from numdl.estimators.auto.training import train
from numdl.estimators.classes import worth
from numdl.estimators.classes.search import Classes
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.mixture import Mixture
from numdl.estimators.kernels.nearest import PROFILES, Nearest
from numdl.export import describe
from numdl.export.targets import numpy_module
from numdl.export.write import export


def data(n=40, k=1, seed=0):
    """Inputs of which one is heavy-tailed and one counts rare events, and noisy targets."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    x[:, 2] = rng.standard_cauchy(n)
    x[:, 3] = np.where(rng.uniform(size=n) < 0.1, rng.exponential(50, n), 0.0)
    x[3, 2] = 200.0
    y = np.sin(x[:, 0]) + x[:, 1] * x[:, 0] + 0.3 * rng.normal(size=n)
    return x, y if k == 1 else np.stack([10 + 3 * y, y**2], axis=1)


def labels(n=40):
    x, y = data(n)
    return x, np.array(["hot 'n\" wet", "cold", "méd?"])[np.digitize(y, [-0.5, 0.5])]


UNEQUAL = np.geomspace(0.1, 10, 40)
"""Weights with which the noise of a typical row is not the mean."""


def kernel(name, **more):
    x, y = data()
    return KernelRegressor(kernel=name, average=False, n_restarts=1, random_state=0).fit(x, y, **more)


def mixed():
    """What `AutoRegressor` has: processes, networks and expansions, two targets."""
    x, y = data(k=2)
    model = AutoRegressor(random_state=0)
    source = KernelRegressor(kernel="matern52", average=False, n_restarts=1, random_state=0).fit(x, y)
    vars(model).update(vars(source))
    mixtures = []
    for mixture in source.mixtures_:
        d = mixture.rows.x.shape[1]
        members = [mixture.members[0]._replace(weight=0.5)]
        for spec in (Architecture(d, 4, 2, linear=True), Architecture(d, 3)):
            members.append(train(mixture.rows, spec, np.random.default_rng(0))._replace(weight=0.25))
        expansions(members, mixture)
        mixtures.append(Mixture(members, mixture.rows, mixture.box))
    model.mixtures_ = mixtures
    return model


def expansions(members, mixture):
    """Sparse expansions beside the others: of several terms, and of the constant alone."""
    x, d = mixture.rows.x, mixture.rows.x.shape[1]
    interval = np.stack([x.min(axis=0) - 0.1, x.max(axis=0) + 0.1])
    powers = np.zeros((4, d), int)
    powers[0, 0], powers[1, 1], powers[2, :2], powers[3, :3] = 1, 4, (2, 1), (1, 3, 1)
    members[0] = members[0]._replace(weight=0.2)
    for some in (powers, powers[:0]):
        members.append(condition(mixture.rows, interval, some)[0]._replace(weight=0.15))


def logarithmic():
    """Of two targets one is seen by its logarithm; weights, so that a typical row is noisier than the mean one."""
    x, y = data(k=2)
    y[:, 1] = np.exp(2 * y[:, 0] - 30)
    weights = np.random.default_rng(1).uniform(0.1, 2, len(x))
    model = KernelRegressor("rbf", average=False, n_restarts=1, random_state=0).fit(x, y, sample_weight=weights)
    assert model.logarithm_.tolist() == [False, True]
    return model


def near():
    """What `AutoRegressor` has of many rows: processes on nearest rows, one of each kernel."""
    x, y = data()
    model = KernelRegressor(kernel="rbf", average=False, n_restarts=1, random_state=0).fit(x, y, sample_weight=UNEQUAL)
    (mixture,) = model.mixtures_
    theta = np.r_[-3.0, 0.3, -2.0, 0.1 * np.arange(4)]
    members = [Nearest(kernel, theta, 12, 5.0, 0.25) for kernel in PROFILES]
    model.mixtures_ = [Mixture(members, mixture.rows, mixture.box)]
    return model


def boosted():
    """Boosted trees beside a process."""
    model = kernel("rbf")
    (mixture,) = model.mixtures_
    rows, clock = mixture.rows, Clock(None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "TREES", 40)
        one = trees.boosted(rows, None, 0.1, np.random.default_rng(0), clock)
    members = [mixture.members[0]._replace(weight=0.3), one._replace(weight=0.7)]
    model.mixtures_ = [Mixture(members, rows, mixture.box)]
    return model


def wooden():
    """An `AutoClassifier` with forests as members."""
    x, y = labels(60)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("FEW", 3), ("ALL", 6), ("FEWEST", 1)):
            patch.setattr(worth, name, value)
        patch.setattr(worth, "gain", lambda found, further: 1.0)
        model = AutoClassifier(time_budget=1e9, random_state=0).fit(x, y)
    assert "extra trees" in model.weights_
    return model


def boosted_classes(k):
    """An `AutoClassifier` of k classes with boosted trees beside a process."""
    x, y = labels(60)
    x, y = (x, y) if k == 3 else (x[y != "cold"], y[y != "cold"])
    model = AutoClassifier(random_state=0).fit(x, y)
    old = model.mixture_
    rows = np.abs(old.x[:, None] - model._scaler.transform(x)[None, :, model._active]).sum(axis=2).argmin(axis=1)
    table = Classes(old.x, np.eye(k)[np.searchsorted(model.classes_, y[rows])], old.box)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worth, "TREES", 40)
        ((one,),) = (found.members for found in worth._boosted(table, np.random.default_rng(0), Clock(None)))
    members = [old.members[0]._replace(weight=0.3), one._replace(weight=0.7)]
    model.mixture_ = old._replace(members=members)
    return model


LIGHT = {
    **{name: lambda name=name: kernel(name) for name in ("linear", "rbf", "matern52", "arcsine", "legendre", "anova")},
    "mixture": mixed,
    "boosted": boosted,
    "boosted, 2 classes": lambda: boosted_classes(2),
    "boosted, 3 classes": lambda: boosted_classes(3),
    "classes": lambda: AutoClassifier(random_state=0).fit(*labels()),
    "trees": lambda: wooden(),
    "weighted": lambda: kernel("rbf", sample_weight=UNEQUAL),
    "weighted_line": lambda: TikhonovRegressor().fit(*data(k=2), sample_weight=UNEQUAL),
    "logarithm": logarithmic,
    "nearest": near,
    "tikhonov": lambda: TikhonovRegressor().fit(*data(k=2)),
    "softmax": lambda: SoftmaxClassifier(alpha=1e-2).fit(*labels()),
    "logistic": lambda: LogisticClassifier(alpha=1e-2).fit(data()[0], data()[1] > 0),
}
"""Models by name, fitted without networks of JAX."""


def answers(model, x):
    """What the estimator itself says, by the names of exported results."""
    if hasattr(model, "classes_"):
        return {"probability": model.predict_proba(x)}
    mean, std = model.predict(x, return_std=True)
    return {"mean": mean.reshape(len(x), -1), "std": std.reshape(len(x), -1)}


def error(found, wanted):
    """Largest relative error, of entries below the spread of the others relative to that."""
    assert found.shape == wanted.shape
    return np.max(np.abs(found - wanted) / np.maximum(np.abs(wanted), wanted.std(axis=0) + 1e-300))


def by_numpy(model, x, folder):
    space = numpy_module.loaded(
        export(model, folder / "m.py", std=True if not hasattr(model, "classes_") else "auto").read_bytes()
    )
    assert space["self_test"]() < 1e-9
    if "CLASSES" in space:
        assert (space["predict"](x) == model.predict(x)).all()
        return {"probability": space["predict_proba"](x)}
    mean, std = space["predict"](x, return_std=True)
    return {"mean": mean.reshape(len(x), -1), "std": std.reshape(len(x), -1)}


def by_c(model, x, folder):
    path = export(model, folder / f"m{id(model)}.c")
    name = path.stem
    strict = ["gcc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-O0"]
    run = {"cwd": folder, "check": True, "capture_output": True, "text": True}
    subprocess.run([*strict, f"-D{name.upper()}_MAIN", path.name, "-o", name, "-lm"], **run)
    assert "largest difference" in subprocess.run([folder / name], **run).stdout
    subprocess.run([*strict, "-shared", "-fPIC", path.name, "-o", f"{name}.so", "-lm"], **run)
    library = ctypes.CDLL(str(folder / f"{name}.so"))
    described = describe(model)
    found = {result: np.empty((len(x), described.k)) for result in described.names}
    call = getattr(library, f"{name}_mean_std" if len(found) > 1 else f"{name}_{described.names[0]}")
    pointer = ctypes.POINTER(ctypes.c_double)
    for i, row in enumerate(np.ascontiguousarray(x)):
        call(row.ctypes.data_as(pointer), *(values[i].ctypes.data_as(pointer) for values in found.values()))
    return found


def by_onnx(model, x, folder):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(export(model, folder / "m.onnx")))
    names = [one.name for one in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"x": x}), strict=True))
    if "label" in found:
        assert found.pop("label").tolist() == [str(label) for label in model.predict(x)]
    return found


def by_octave(models, x, folder):
    """All models by one process, which takes a second to start."""
    np.savetxt(folder / "x.txt", x, fmt="%.17g")
    lines = ["x = load('x.txt');"]
    words = {name: re.sub(r"\W+", "_", name) for name in models}
    for name, model in models.items():
        word = words[name]
        export(model, folder / f"f_{word}.m")
        outs = ["y", "s"][: len(describe(model).names)]
        lines.append(f"[{', '.join(outs)}] = f_{word}(x); assert(f_{word}('test') < 1e-9);")
        for out in outs:
            lines.append(f"f = fopen('{out}_{word}.txt', 'w'); fprintf(f, '%.17g\\n', {out}.'); fclose(f);")
    (folder / "all_of_them.m").write_text("\n".join(lines) + "\nfprintf('done\\n');\n")
    octave = [shutil.which("octave-cli"), "--norc", "--quiet", "all_of_them.m"]
    done = subprocess.run(octave, cwd=folder, capture_output=True, text=True)
    assert done.stdout.endswith("done\n"), done.stderr
    found = {}
    for name, model in models.items():
        described = describe(model)
        found[name] = {
            result: np.loadtxt(folder / f"{out}_{words[name]}.txt").reshape(len(x), described.k)
            for out, result in zip("ys", described.names, strict=False)
        }
    return found
