"""Operators against matrices written entry by entry, adjoints, null spaces, derivatives, and lineax's questions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from operator_catalogue import CATALOGUE, beyond

from numdl.linalg.operators import (
    BlockDiagonal,
    Circulant,
    Convolution1D,
    Convolution2D,
    Diagonal,
    Difference,
    ImageGradient,
    ImageLaplacian,
    Kronecker,
    LinearMap,
    Mask,
    MMatrix,
)
from numdl.testing import check_adjoint, check_gradient

pytestmark = pytest.mark.usefixtures("x64")
BOUNDARIES = ("neumann", "dirichlet", "periodic")
everyone = pytest.mark.parametrize("name", CATALOGUE)


@eqx.filter_jit
def matrices(operator):
    """Every way to A, and every way to A', in one compiled function."""
    transposed = operator.transpose()
    stripes = [jnp.diag(stripe, k) for stripe, k in zip(lx.tridiagonal(operator), (0, -1, 1), strict=True)]
    return {
        "A": [
            jax.vmap(operator.mv, out_axes=1)(jnp.eye(operator.in_size())),
            operator.as_matrix(),
            transposed.transpose().as_matrix(),
            lx.materialise(operator).as_matrix(),
        ],
        "A'": [jax.vmap(transposed.mv, out_axes=1)(jnp.eye(operator.out_size())), transposed.as_matrix()],
        "diagonal": lx.diagonal(operator),
        "tridiagonal": stripes,
    }


def check_matrix(operator, matrix):
    """Products, dense matrices and adjoint are those of the matrix."""
    assert (operator.out_size(), operator.in_size()) == matrix.shape
    found = matrices(operator)
    for way in found["A"]:
        np.testing.assert_allclose(way, matrix, atol=1e-12)
    for way in found["A'"]:
        np.testing.assert_allclose(way, matrix.T, atol=1e-12)
    np.testing.assert_allclose(found["diagonal"], np.diagonal(matrix), atol=1e-12)
    for stripe, offset in zip(found["tridiagonal"], (0, -1, 1), strict=True):
        np.testing.assert_allclose(stripe, np.diag(np.diagonal(matrix, offset), offset), atol=1e-12)


@pytest.mark.quick(
    "*-7",
    "difference-1-2-*",
    "difference-7-2-*",
    "convolution-4-13-zero-*",
    "convolution-(4, 3)-(3, 2)-*-fft",
    "convolution-6-4-*-direct",
    "gradient-(1, 2)-*",
    "*-(4, 3)-neumann",
    "Image*-sides-dirichlet",
    "laplacian-(4, 3)-periodic",
    "kronecker",
    "blocks",
    "mask*",
)
@everyone
def test_dense_matrix(name):
    check_matrix(*CATALOGUE[name])


@pytest.mark.quick(
    "*-7",
    "difference-7-1-*",
    "convolution-4-13-zero-*",
    "convolution-(4, 3)-(3, 2)-*-fft",
    "*-(4, 3)-neumann",
    "Image*-sides-dirichlet",
    "kronecker",
    "blocks",
    "mask*",
)
@everyone
def test_adjoint(name):
    operator, matrix = CATALOGUE[name]
    if matrix.any():
        x, y = (np.random.default_rng(1).normal(size=size) for size in matrix.shape[::-1])
        adjoint = operator.transpose()
        check_adjoint(
            jax.jit(lambda v: operator.mv(v)), jax.jit(lambda v: adjoint.mv(v)), jnp.asarray(x), jnp.asarray(y)
        )


class Correlation(LinearMap):
    """Planted mistake: a convolution whose adjoint forgets to turn the kernel round."""

    inner: Convolution1D

    @property
    def shape(self):
        return self.inner.shape

    def mv(self, vector):
        return self.inner.mv(vector)

    def transpose(self):
        return self


def test_a_planted_adjoint_and_a_planted_boundary_are_seen():
    kernel = np.array([1.0, 2.0, 4.0])
    x, y = (jnp.asarray(v) for v in np.random.default_rng(1).normal(size=(2, 6)))
    operator = Convolution1D(kernel, 6)
    with pytest.raises(AssertionError, match="not the transpose"):
        check_adjoint(operator.mv, Correlation(operator).transpose().mv, x, y)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_matrix(Convolution1D(kernel, 6, boundary="neumann"), np.asarray(operator.as_matrix()))


@everyone
def test_lineax_questions_are_answered_truly(name):
    operator, matrix = CATALOGUE[name]
    assert lx.linearise(operator) is operator and lx.conj(operator) is operator
    claims = [
        (lx.is_symmetric(operator), lambda: matrix - matrix.T),
        (lx.is_diagonal(operator), lambda: matrix - np.diag(np.diag(matrix))),
        (lx.is_lower_triangular(operator), lambda: np.triu(matrix, 1)),
        (lx.is_upper_triangular(operator), lambda: np.tril(matrix, -1)),
        (lx.is_tridiagonal(operator), lambda: np.triu(matrix, 2) + np.tril(matrix, -2)),
    ]
    for claimed, defect in claims:
        if claimed:
            np.testing.assert_allclose(defect(), 0, atol=1e-12)
    assert not lx.has_unit_diagonal(operator)
    assert not lx.is_positive_semidefinite(operator) and not lx.is_negative_semidefinite(operator)


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("diagonal-7", lx.is_diagonal),
        ("laplacian-(4, 3)-neumann", lx.is_symmetric),
        ("difference-7-2-periodic", lx.is_symmetric),
    ],
)
def test_what_is_known_is_claimed(name, claims):
    operator, _ = CATALOGUE[name]
    assert claims(operator) and claims(operator.transpose()) and claims(BlockDiagonal((operator, operator)))
    assert claims(Kronecker(operator, operator))


@pytest.mark.parametrize("name", ["diagonal-7", "m-matrix-7", "circulant-7", "difference-7-2-dirichlet"])
def test_linear_solve(name):
    operator, matrix = CATALOGUE[name]
    b = np.random.default_rng(2).normal(size=7)
    np.testing.assert_allclose(lx.linear_solve(operator, jnp.asarray(b)).value, np.linalg.solve(matrix, b), rtol=1e-9)
    composed = operator.T @ operator + 0.5 * Diagonal(np.ones(7))
    expected = np.linalg.solve(matrix.T @ matrix + 0.5 * np.eye(7), b)
    np.testing.assert_allclose(lx.linear_solve(composed, jnp.asarray(b)).value, expected, rtol=1e-9)


@pytest.mark.quick("first-*", "gradient-neumann", "laplacian-periodic", "second-dirichlet")
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("of", ["first", "second", "gradient", "laplacian"])
def test_null_space_is_the_constants_or_nothing(of, boundary):
    operator = {
        "first": lambda: Difference(6, 0.1, boundary=boundary),
        "second": lambda: Difference(6, 0.1, order=2, boundary=boundary),
        "gradient": lambda: ImageGradient((2, 3), 0.1, boundary=boundary),
        "laplacian": lambda: ImageLaplacian((2, 3), 0.1, boundary=boundary),
    }[of]()
    _, values, rows = np.linalg.svd(np.asarray(operator.as_matrix()))
    size = int(np.sum(values > 1e-10 * values[0]))
    assert size == (6 if boundary == "dirichlet" else 5)
    if boundary != "dirichlet":
        np.testing.assert_allclose(np.abs(rows[-1]), 6**-0.5, rtol=1e-12)
        np.testing.assert_array_equal(operator.mv(jnp.full(6, 3.7)), 0)


@pytest.mark.quick("neumann")
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_second_differences_are_the_first_ones_twice(boundary):
    first = np.asarray(Difference(6, 0.2, boundary=boundary).as_matrix())
    second = Difference(6, 0.2, order=2, boundary=boundary)
    check_matrix(second, -first.T @ first)
    gradient = np.asarray(ImageGradient((3, 4), 0.2, boundary=boundary).as_matrix())
    check_matrix(ImageLaplacian((3, 4), 0.2, boundary=boundary), -gradient.T @ gradient)
    gradient = np.asarray(ImageGradient((3, 4), (0.2, 0.7), boundary=boundary).as_matrix())
    check_matrix(ImageLaplacian((3, 4), jnp.array([0.2, 0.7]), boundary=boundary), -gradient.T @ gradient)


def observed_orders(first_point):
    errors = []
    for n in (20, 40, 80):
        x = (np.arange(n) + first_point) / n
        found = Difference(n, 1 / n, order=2).mv(jnp.cos(np.pi * x))
        errors.append(np.max(np.abs(found + np.pi**2 * np.cos(np.pi * x))))
    return np.log2(np.divide(errors[:-1], errors[1:]))


def test_difference_quotients_converge_to_derivatives():
    """Second order in h inside and, for an even function, at ends that are mirrored half a step beyond the points."""
    np.testing.assert_allclose(observed_orders(0.5), 2, atol=0.1)
    # planted mistake: the first point on the boundary, where this mirror does not stand
    assert np.all(observed_orders(0.0) < 1)


@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0, 1000.0])
def test_every_parameter_gives_an_m_matrix(scale):
    rng = np.random.default_rng(3)
    operator = MMatrix(scale * rng.normal(size=(6, 6)), scale * rng.normal(size=6), least=1e-3)
    matrix = np.asarray(operator.as_matrix())
    beside = matrix - np.diag(np.diag(matrix))
    assert np.all(beside <= 0) and np.all(np.diag(matrix) > -beside.sum(axis=1))
    assert np.min(np.linalg.eigvals(matrix).real) > 0
    inverse = np.linalg.inv(matrix)
    assert np.min(inverse) >= -1e-12 * np.max(inverse)
    assert np.max(np.abs(inverse).sum(axis=1)) <= 1e3 * (1 + 1e-9)


def parametric():
    kernel, image = np.array([0.3, -1.0, 0.5]), np.random.default_rng(4).normal(size=(3, 2))
    yield "diagonal", Diagonal(np.arange(1.0, 6.0))
    yield "circulant", Circulant(np.arange(5.0) - 1)
    yield "m-matrix", MMatrix(np.random.default_rng(5).normal(size=(5, 5)), np.arange(5.0))
    yield "difference", Difference(5, np.asarray(0.5), order=2)
    yield "kronecker", Kronecker(Diagonal(kernel), Circulant(kernel))
    for boundary in ("zero", "neumann", "periodic"):
        for method in ("fft", "direct"):
            yield f"1d-{boundary}-{method}", Convolution1D(kernel, 5, method=method, boundary=boundary)
            yield f"2d-{boundary}-{method}", Convolution2D(image, (4, 3), method=method, boundary=boundary)


PARAMETRIC = dict(parametric())


def value_and_gradient(operator, transposed, wrong=0.0):
    x, y = (
        jnp.asarray(np.random.default_rng(6).normal(size=size)) for size in (operator.in_size(), operator.out_size())
    )

    def loss(parameters):
        rebuilt = eqx.combine(parameters, rest)
        return jnp.sum(jnp.sin(rebuilt.T.mv(y)) if transposed else jnp.sin(rebuilt.mv(x)))

    parameters, rest = eqx.partition(jax.tree.map(jnp.asarray, operator), eqx.is_inexact_array)
    both = jax.jit(jax.value_and_grad(loss))

    def fun(p):
        value, gradient = both(p)
        return value, jax.tree.map(lambda a: (1 + wrong) * a, gradient)

    return fun, parameters


@pytest.mark.quick("*-True")
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("name", PARAMETRIC)
def test_taylor_in_the_parameters(name, transposed):
    fun, parameters = value_and_gradient(PARAMETRIC[name], transposed)
    # 20 halvings: the terms of the sum cancel, so its rounding error is larger than its value tells
    check_gradient(fun, parameters, jax.random.key(0), steps=20)


@pytest.mark.parametrize("name", ["m-matrix", "circulant", "diagonal"])
def test_taylor_through_a_solve(name):
    """Implicit layers: the solution of ``A(p) x = b`` by lineax is differentiable in p."""
    b = jnp.asarray(np.random.default_rng(7).normal(size=5))

    def loss(p):
        return jnp.sum(jnp.sin(lx.linear_solve(p, b).value))

    shifted = {"circulant": Circulant(np.array([5.0, 1, 0, -1, 1]))}.get(name, PARAMETRIC[name])
    parameters = jax.tree.map(jnp.asarray, shifted)
    check_gradient(jax.jit(jax.value_and_grad(loss)), parameters, jax.random.key(0), steps=20)


def test_a_planted_gradient_is_seen():
    fun, parameters = value_and_gradient(PARAMETRIC["1d-zero-fft"], False, wrong=1e-3)
    with pytest.raises(AssertionError, match="Near 1 the gradient is wrong"):
        check_gradient(fun, parameters, jax.random.key(0), steps=20)


def test_numbers_given_outside_are_exact_inside():
    with jax.enable_x64(False):
        operator = ImageGradient((2, 2), 0.1), Circulant(np.array([0.1, 0.2])), Convolution1D(np.array([0.1]), 2)
        assert {op.in_structure().dtype for op in operator} == {np.dtype(np.float32)}
    assert all(op.in_structure().dtype == np.float64 for op in operator)
    assert float(operator[0].mv(jnp.arange(4.0))[0]) == 2 / 0.1
    np.testing.assert_allclose(operator[1].mv(jnp.array([1.0, 0])), [0.1, 0.2], rtol=1e-15)


@pytest.mark.parametrize("name", ["circulant-7", "convolution-(4, 3)-(3, 2)-neumann-fft", "gradient-(4, 3)-dirichlet"])
def test_float32_stays_float32(name):
    operator, matrix = CATALOGUE[name]
    single = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), operator)
    product = single.mv(jnp.ones(matrix.shape[1], jnp.float32))
    assert product.dtype == single.out_structure().dtype == np.float32
    np.testing.assert_allclose(product, matrix.sum(axis=1), atol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Circulant(np.zeros(0)), "0 entries, needs at least 1"),
        (lambda: Convolution1D(np.ones(3), 0), "size=0.*needs a whole number >= 1"),
        (lambda: Convolution2D(np.ones((3, 0)), (2, 2)), "at least 1 entry each way"),
        (lambda: Convolution1D(np.ones(3), 4, method="slow"), r"method='slow'\): unknown. Use one of 'fft', 'direct'"),
        (lambda: Convolution1D(np.ones(3), 4, boundary="open"), "Use one of 'zero', 'periodic', 'neumann'"),
        (lambda: MMatrix(np.ones((2, 2)), np.ones(2), least=0.0), "needs a finite number > 0"),
        (lambda: Mask(np.array([3]), 3), "has the entry 3, needs 0 to 2"),
        (lambda: Mask(np.array([1, 1]), 3), "occurs twice"),
        (lambda: Difference(0), "needs a whole number >= 1"),
        (lambda: Difference(3, 0.0), "finite number > 0"),
        (lambda: Difference(3, order=3), "needs a whole number >= 1 and <= 2"),
        (lambda: Difference(3, boundary="free"), "Use one of 'neumann', 'dirichlet', 'periodic'"),
        (lambda: ImageGradient((3, 0)), "needs 2 whole numbers >= 1"),
        (lambda: ImageLaplacian((3, 2), boundary="zero"), "Use one of 'neumann'"),
        (
            lambda: ImageGradient((4, 3), [0.2, 0.5, 1.0]),
            r"ImageGradient\(h of shape \(3,\)\): needs one .* h=\[h1, h2\]",
        ),
        (lambda: ImageLaplacian((4, 3), [0.2, -0.5]), r"h=-0.5.*finite number > 0"),
        (lambda: BlockDiagonal(()), "0 blocks"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_pytrees_are_refused_as_factors():
    tree = lx.IdentityLinearOperator({"a": jax.ShapeDtypeStruct((2,), float)})
    with pytest.raises(ValueError, match="needs one vector each"):
        Kronecker(tree, Difference(3))


def test_mirroring_reads_each_point_twice():
    assert [beyond(i, 3, "neumann") for i in range(-4, 7)] == [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]
