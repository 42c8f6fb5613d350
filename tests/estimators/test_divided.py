"""Estimators whose rows are divided among devices: the fit that one device gives."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from numdl import ResNetRegressor

DEVICES = """
import warnings
import jax, numpy as np
from numdl import ResNetClassifier, ResNetRegressor, SoftmaxClassifier
from numdl.estimators.linear import base as linear_base

warnings.simplefilter("ignore")
mesh = jax.make_mesh((3,), ("data",))
rng = np.random.default_rng(0)
x = rng.normal(size=(1000, 2))  # 3 does not divide 1000
y = np.sin(x[:, 0]) + 0.1 * rng.normal(size=1000)
labels = np.digitize(y + rng.normal(size=1000), [-0.5, 0.5])

def gap(model, y, **options):
    one, other = (type(model)(**model.get_params()).fit(x, y, **more) for more in ({}, {"mesh": mesh}))
    predict = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    return float(np.max(np.abs(getattr(one, predict)(x) - getattr(other, predict)(x))))

# Penalties that the evidence would choose here, of 1e-6, let the rounding of the first step grow to 1e-6.
held = dict(n_restarts=1, random_state=0, memory_budget=2**20, alpha=0.01, alpha_head=0.01)
flow = dict(width=3, depth=2, T=1.0, dynamics="plain", **held)
gaps = [gap(ResNetRegressor(**flow, max_iter=6, solver=solver), y) for solver in ("dense", "matrix-free")]
gaps.append(gap(ResNetClassifier(**flow, max_iter=4, solver="dense"), labels))
gaps += [gap(SoftmaxClassifier(alpha, random_state=0), labels) for alpha in ("loo", "cv")]
linear_base.LARGE = 0
gaps.append(gap(SoftmaxClassifier(1e-3, solver="newton-cg"), labels))
assert max(gaps[:-1]) < 1e-11 and gaps[-1] < 1e-6, gaps  # the last one multiplies in float32
print(jax.device_count())
"""


@pytest.mark.thorough
def test_three_devices_give_the_same_fit():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=3"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", DEVICES], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "3\n", done.stderr


def test_a_mesh_without_an_axis_for_the_rows_is_refused():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("layer",))
    x = np.linspace(-1, 1, 20)[:, None]
    with pytest.raises(ValueError, match="needs an axis 'data'"):
        ResNetRegressor(width=2, depth=1).fit(x, x[:, 0], mesh=mesh)
