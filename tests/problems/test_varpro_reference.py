"""Variable projection against values of an independent code, see tests/reference/README.md."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.problems import LEAST_SQUARES, VarPro
from numdl.regularize import GroupPenalty

REFERENCE = Path(__file__).parents[1] / "reference" / "dnn_varpro_regression.npz"
NAMES = ("opening_K", "flow_K", "flow_b")
pytestmark = pytest.mark.usefixtures("x64")


def features(theta, x):
    """Opening without bias, three Euler steps; the constant is a feature, as the reference penalises it too."""
    u = jnp.tanh(theta["opening_K"] @ x)
    for K, b in zip(theta["flow_K"], theta["flow_b"], strict=True):
        u = u + 0.5 * jnp.tanh(K @ u + b)
    return jnp.append(u, 1.0)


@pytest.fixture(scope="module")
def ref():
    with jax.enable_x64(True), np.load(REFERENCE) as file:
        return {name: jnp.asarray(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def found(ref):
    """Everything the reference holds, from one compilation."""
    with jax.enable_x64(True):
        assert float(ref["h"]) == 0.5
        theta = {name: ref[name] for name in NAMES}
        size = ravel_pytree(theta)[0].size
        penalty = GroupPenalty(ref["alpha_flow"][None], jnp.zeros(size, jnp.int32))
        problem = VarPro(
            features,
            LEAST_SQUARES,
            ref["x"],
            ref["c"],
            jnp.ones(len(ref["x"])),
            penalty,
            ref["alpha_head"],
            intercept=False,
            derivative="golub-pereyra",
        )
        return jax.jit(evaluate)(problem, theta, {name: ref[f"v_{name}"] for name in NAMES}, stacked(ref, "w"))


def evaluate(problem, theta, v, w):
    lin = problem.linearize(theta, problem.first_head(theta))
    residual, jv = jax.jvp(problem.residual, (theta,), (v,))
    return {
        "lin": (lin.value, lin.gradient, lin.aux),
        "hv": lin.curvature(v),
        "residual": residual,
        "jv": jv,
        "jtw": jax.vjp(problem.residual, theta)[1](w)[0],
        "parts": (problem.penalty.value(theta), problem.head_penalty(lin.aux)),
    }


def stacked(ref, prefix):
    """Residual parts in the order of ``VarPro.residual``: samples, weights in the order of leaves, head."""
    parts = [ref[f"{prefix}_misfit"], *(ref[f"{prefix}_pen_{name}"] for name in sorted(NAMES)), ref[f"{prefix}_pen_W"]]
    return jnp.concatenate([part.reshape(-1) for part in parts])


def close(found, expected):
    assert np.shape(found) == np.shape(expected)
    assert np.linalg.norm(np.asarray(found) - np.asarray(expected)) <= 1e-10 * np.linalg.norm(expected)


def test_value_head_and_penalties(ref, found):
    close(found["lin"][0], ref["objective"])
    close(found["lin"][2], ref["W"])
    close(found["parts"][0], ref["penalty_flow"])
    close(found["parts"][1], ref["penalty_head"])
    close(found["lin"][0] - sum(found["parts"]), ref["misfit"])


@pytest.mark.parametrize("name", NAMES)
def test_gradient_adjoint_and_curvature(ref, found, name):
    close(found["lin"][1][name], ref[f"g_{name}"])
    close(found["jtw"][name], ref[f"jtw_{name}"])
    close(found["hv"][name], ref[f"hv_{name}"])


def test_residual_and_its_derivative(ref, found):
    close(found["residual"], stacked(ref, "res"))
    close(found["jv"], stacked(ref, "jv"))
