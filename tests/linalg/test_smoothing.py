"""Solves with ``a D'D + b I`` by cosine transforms: dense matrices, the reference, edges and refusals."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.linalg import Difference, smoothing_solve
from numdl.regularize import TimeSmoothness
from numdl.testing import check_adjoint

REFERENCE = Path(__file__).parents[1] / "reference" / "tikhonov_optimeder.npz"
pytestmark = pytest.mark.usefixtures("x64")


def dense(n, a, b, h):
    D = np.diff(np.eye(n), axis=0) / h
    return a * D.T @ D + b * np.eye(n)


@pytest.mark.quick("0.7-*", "10000.0-*-101", "0.0-*-7")
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 64, 101])
@pytest.mark.parametrize(("a", "b", "h"), [(0.7, 0.2, 0.25), (1e4, 1e-3, 0.01), (0.0, 3.0, 1.0)])
def test_it_inverts_the_dense_matrix(n, a, b, h):
    y = np.random.default_rng(n).normal(size=(n, 2, 3))
    M = dense(n, a, b, h)
    x = jax.jit(lambda y: smoothing_solve(y, a, b, h))(y)
    assert x.shape == y.shape
    residual = np.tensordot(M, x, axes=1) - y
    # backward stable: the residual is small against ||M|| ||x||, whatever the condition
    assert np.linalg.norm(residual) <= 1e-14 * np.linalg.norm(M, 2) * np.linalg.norm(x)
    np.testing.assert_allclose(x, np.linalg.solve(M, y.reshape(n, -1)).reshape(y.shape), atol=1e-13 * np.linalg.cond(M))


def test_a_wrong_boundary_is_seen():
    """Planted: differences with zeros beyond the ends have another spectrum."""
    D = np.asarray(Difference(6, 0.25, boundary="dirichlet").as_matrix())
    y = np.random.default_rng(0).normal(size=6)
    wrong = np.linalg.solve(0.7 * D.T @ D + 0.2 * np.eye(6), y)
    assert np.max(np.abs(smoothing_solve(jnp.asarray(y), 0.7, 0.2, 0.25) - wrong)) > 1e-2


def test_the_reference():
    with np.load(REFERENCE) as file:
        ref = {name: jnp.asarray(file[name]) for name in file.files}
    for found in (
        smoothing_solve(ref["v"], 0.7, 0.2, ref["h"]),
        TimeSmoothness(jnp.asarray(0.7), ref["h"]).solve({"K": ref["v"]}, 0.2)["K"],
    ):
        np.testing.assert_allclose(found, ref["inverse_v"], rtol=1e-12)


def test_it_is_symmetric_compiles_and_has_derivatives():
    y, z = np.random.default_rng(1).normal(size=(2, 9, 2))

    def solve(v):
        return smoothing_solve(v, 0.7, 0.2, 0.5)

    check_adjoint(lambda v: solve(jnp.asarray(v)), lambda v: solve(jnp.asarray(v)), y, z)
    compiled = jax.jit(smoothing_solve)(jnp.asarray(y), 0.7, 0.2, 0.5)
    np.testing.assert_allclose(compiled, solve(jnp.asarray(y)), rtol=1e-13)
    slope = jax.grad(lambda a: jnp.sum(smoothing_solve(jnp.asarray(y), a, 0.2, 0.5) ** 2))(0.7)
    ends = [float(jnp.sum(smoothing_solve(jnp.asarray(y), a, 0.2, 0.5) ** 2)) for a in (0.7 - 1e-5, 0.7 + 1e-5)]
    np.testing.assert_allclose(slope, (ends[1] - ends[0]) / 2e-5, rtol=1e-7)


def test_it_keeps_float32_and_nothing():
    y = jnp.ones((5, 2), jnp.float32)
    assert smoothing_solve(y, 1.0, 0.5, 0.1).dtype == jnp.float32
    np.testing.assert_allclose(smoothing_solve(y, 1.0, 0.5, 0.1), 2.0, rtol=1e-6)
    assert smoothing_solve(jnp.zeros((0, 3)), 1.0, 1.0).shape == (0, 3)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((-1.0, 1.0, 1.0), r"smoothing_solve\(a=-1.0\): needs a finite number >= 0"),
        (
            (1.0, 0.0, 1.0),
            r"smoothing_solve\(b=0.0\): needs a finite number > 0. Without a shift",
        ),
        ((1.0, np.nan, 1.0), r"smoothing_solve\(b=nan\): needs a finite number > 0"),
        ((1.0, 1.0, 0.0), r"smoothing_solve\(h=0.0\): needs a finite number > 0"),
    ],
)
def test_what_has_no_solution_is_refused(numbers, words):
    with pytest.raises(ValueError, match=words):
        smoothing_solve(jnp.ones(3), *numbers)
