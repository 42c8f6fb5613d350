"""Singular values where LAPACK's divide and conquer gives up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.estimators import RandomFeaturesRegressor
from numdl.linalg import triangular
from numdl.linalg.safe_svd import safe_svd
from numdl.linalg.triangular import triangle_svd


def graded(n, p):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, p)) * np.geomspace(1, 1e-12, p)


def check(A, found, atol=1e-14):
    U, sigma, Vt = (np.asarray(a) for a in found)
    np.testing.assert_allclose(U * sigma @ Vt, A, atol=atol)
    np.testing.assert_allclose(U.T @ U, np.eye(len(sigma)), atol=atol)
    np.testing.assert_allclose(Vt @ Vt.T, np.eye(len(sigma)), atol=atol)
    assert np.all(np.diff(sigma) <= 0)


def test_qr_iteration_takes_over(monkeypatch):
    A = graded(9, 5)
    check(A, safe_svd(A))

    def gives_up(*args, **settings):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", gives_up)
    check(A, safe_svd(A))
    U, sigma, Vt = safe_svd(A, full_matrices=True)
    assert (U.shape, sigma.shape, Vt.shape) == ((9, 9), (5,), (5, 5))


@pytest.mark.parametrize("small", [100, 0])
def test_of_a_triangle(small, monkeypatch, x64):
    """The second time divide and conquer is asked first, which gives NaN."""
    R = np.linalg.qr(graded(12, 7))[1]
    monkeypatch.setattr(triangular, "_SMALL", small)
    check(R, jax.jit(triangle_svd)(jnp.asarray(R)))
    monkeypatch.setattr(jnp.linalg, "svd", lambda R: tuple(jnp.full(s, jnp.nan) for s in ((7, 7), (7,), (7, 7))))
    check(R, jax.jit(lambda R: triangle_svd(R))(jnp.asarray(R)))


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [86, 133])
def test_random_features_of_a_table_on_which_it_gave_up(seed):
    """On processors for which OpenBLAS takes the kernels of Haswell."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8))
    model = RandomFeaturesRegressor(random_state=seed).fit(X, X[:, 0] + np.sin(X[:, 1]))
    assert model.score(X, X[:, 0] + np.sin(X[:, 1])) > 0.9
