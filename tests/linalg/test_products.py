"""Every kind of A becomes one operator with the products of its matrix; what is none is refused by name."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from numdl.linalg import Convolution1D, Diagonal, as_operator

A = np.random.default_rng(0).normal(size=(5, 3)) * (np.random.default_rng(1).uniform(size=(5, 3)) < 0.7)
X, Y = np.random.default_rng(2).normal(size=(3, 2)), np.random.default_rng(3).normal(size=(5, 2))


def jacobian():
    """A as the derivative of a map between trees."""
    start = {"a": jnp.zeros(1), "b": jnp.zeros((2, 1))}

    def fun(p, _):
        return [jnp.asarray(A) @ jnp.concatenate([p["a"], p["b"][:, 0]])]

    return lx.JacobianLinearOperator(fun, start)


KINDS = {
    "list": lambda: A.tolist(),
    "array": lambda: A,
    "fortran": lambda: np.asfortranarray(A),
    "csr array": lambda: sparse.csr_array(A),
    "csc matrix": lambda: sparse.csc_matrix(A),
    "coo": lambda: sparse.coo_array(A),
    "scipy operator": lambda: aslinearoperator(A),
    "lineax matrix": lambda: lx.MatrixLinearOperator(jnp.asarray(A)),
    "lineax tree": jacobian,
    "lineax composed": lambda: lx.MatrixLinearOperator(jnp.asarray(A)) @ Diagonal(np.ones(3)),
}


def check_products(operator, matrix):
    assert operator.shape == matrix.shape and operator.dtype == np.float64
    np.testing.assert_allclose(operator.matvec(X[:, 0]), matrix @ X[:, 0], rtol=1e-14)
    np.testing.assert_allclose(operator.rmatvec(Y[:, 0]), matrix.T @ Y[:, 0], rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(operator.matmat(X), matrix @ X, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(operator.rmatmat(Y), matrix.T @ Y, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(operator.T @ (operator @ X), matrix.T @ (matrix @ X), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_products(kind):
    with jax.enable_x64(True):
        operator = as_operator(KINDS[kind]())
    check_products(operator, A)


def test_a_planted_adjoint_is_seen():
    wrong = LinearOperator(A.shape, matvec=lambda v: A @ v, rmatvec=lambda v: -(A.T @ v), dtype=float)
    with pytest.raises(AssertionError):
        check_products(as_operator(wrong), A)


def test_integers_and_float32_are_converted():
    for matrix in (np.arange(15).reshape(5, 3), A.astype(np.float32), A > 0, sparse.csr_array(A.astype(np.float32))):
        dense = matrix.toarray() if sparse.issparse(matrix) else matrix
        check_products(as_operator(matrix), dense.astype(float))


def test_operators_from_outside_the_context_compute_in_float64():
    operator = as_operator(Convolution1D(np.array([0.1, 0.7, 0.2]), 4))
    np.testing.assert_allclose(operator.matvec(np.eye(4)[1]), [0.1, 0.7, 0.2, 0], atol=1e-16)
    assert not jax.config.jax_enable_x64


def test_products_of_one_structure_are_compiled_once():
    traces = []

    def double(v):
        traces.append(v)
        return 2 * v

    with jax.enable_x64(True):
        linear = lx.FunctionLinearOperator(double, jax.ShapeDtypeStruct((3,), np.float64), lx.symmetric_tag)
    for _ in range(2):
        operator = as_operator(linear)
        for i in range(3):
            np.testing.assert_array_equal(operator.matvec(np.eye(3)[i]), 2 * np.eye(3)[i])
            np.testing.assert_array_equal(operator.rmatvec(np.eye(3)[i]), 2 * np.eye(3)[i])
    assert len(traces) == 1


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty(shape):
    operator = as_operator(np.zeros(shape))
    assert operator.matvec(np.zeros(shape[1])).shape == (shape[0],)


def with_nan():
    bad = A.copy()
    bad[3, 1] = np.nan
    return bad


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (np.ones(3), ValueError, r"as_operator\(L\): has 1 dimensions, needs 2"),
        (np.ones((2, 2, 2)), ValueError, "has 3 dimensions"),
        (with_nan(), ValueError, "contains NaN at column 1, row 4 .*needs finite numbers"),
        (sparse.csc_array(with_nan()), ValueError, "contains NaN at column 1, row 4"),
        (1j * A, ValueError, "dtype complex128, needs real numbers"),
        (sparse.csr_array(1j * A), ValueError, "dtype complex128"),
        (aslinearoperator(1j * A), ValueError, "dtype complex128"),
        (lx.MatrixLinearOperator(jnp.eye(2) * 1j), ValueError, "dtype complex64"),
        ("A", TypeError, "is a str, needs a 2-D array, a SciPy sparse matrix"),
        (None, TypeError, "is a NoneType"),
        ([[1, 2], [3]], TypeError, "Give a 2-D array"),
    ],
)
def test_refuses(bad, error, message):
    with pytest.raises(error, match=message):
        as_operator(bad, name="L")
