"""Each public check passes on a right object and fails on a planted mutant."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.contracts import Iterate, Linearization, Status
from numdl.testing import check_adjoint, check_contract, check_curvature, check_gradient, check_order

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(0)
A = np.array([[2.0, -1.0, 0.5], [0.3, 1.0, -2.0]])


def value(p):
    r = jnp.tanh(A @ p["u"]) - p["w"]
    return jnp.sum(r**2) / 2 + jnp.exp(jnp.sum(p["w"]))


def point():
    return {"u": jnp.array([0.3, -0.2, 0.9]), "w": jnp.array([0.5, -0.1])}


FUN = jax.jit(jax.value_and_grad(value))


# Gradient


def test_gradient():
    result = check_gradient(FUN, point(), KEY)
    np.testing.assert_allclose(result.orders[-3:], 2, atol=0.1)
    without = np.log2(result.without[8:14] / result.without[9:15])
    np.testing.assert_allclose(without, 1, atol=0.1)
    assert str(result).count("\n") == len(result.h)


@pytest.mark.parametrize("error", [1.0, 1e-3, 1e-6])
def test_gradient_sees_mutants_however_small(error):
    def mutant(p):
        f, g = FUN(p)
        return f, {**g, "u": g["u"].at[1].add(error)}

    with pytest.raises(AssertionError, match=r"last orders are.*(?s:.*)without slope"):
        check_gradient(mutant, point(), KEY)


def test_gradient_of_a_linear_function_and_its_mutant():
    slope = jnp.array([1.0, -2.0])
    assert check_gradient(lambda p: (slope @ p, slope), jnp.ones(2), KEY).orders.size == 0
    with pytest.raises(AssertionError, match="gradient is wrong"):
        check_gradient(lambda p: (slope @ p, 1.01 * slope), jnp.ones(2), KEY)


def test_gradient_refuses_float32_shapes_and_nan():
    with pytest.raises(ValueError, match="needs those of p"):
        check_gradient(lambda p: (jnp.sum(p), jnp.ones(3)), jnp.ones(2), KEY)
    with pytest.raises(AssertionError, match="not finite"):
        check_gradient(lambda p: (jnp.nan * jnp.sum(p), jnp.ones(2)), jnp.ones(2), KEY)
    with pytest.raises(AssertionError, match="Use float64"):
        check_gradient(lambda p: (100 + 1e-2 * jnp.sum(p**2), 2e-2 * p), jnp.ones(2, jnp.float32), KEY)


# Adjoint


def test_adjoint():
    x, y = {"u": np.array([1.0, 2.0, -0.5])}, np.array([0.4, -3.0])
    assert check_adjoint(lambda v: A @ v["u"], lambda w: {"u": A.T @ w}, x, y) < 1e-15


@pytest.mark.parametrize("error", [1.0, 1e-9, np.nan])
def test_adjoint_sees_mutants(error):
    x, y = np.array([1.0, 2.0, -0.5]), np.array([0.4, -3.0])
    with pytest.raises(AssertionError, match="not the transpose"):
        check_adjoint(lambda v: A @ v, lambda w: A.T @ w * (1 + error), x, y)


def test_adjoint_refuses_to_test_nothing():
    with pytest.raises(AssertionError, match="nothing was tested"):
        check_adjoint(lambda v: 0 * v, lambda w: 0 * w, np.ones(2), np.ones(2))


# Order


def trapezoidal(mistake=0.0):
    """``u' = 2 t u``, u(0) = 1, by the trapezoidal rule, with a wrong time in the mutant."""

    def solve(nt):
        u, h = 1.0, 1.0 / nt
        for i in range(nt):
            u *= (1 + h * i * h) / (1 - h * (i + 1 - mistake) * h)
        return np.array([u])

    return solve


def test_order():
    result = check_order(trapezoidal(), [np.e], [16, 32, 64], 2)
    assert len(result.orders) == 2
    assert str(result).count("\n") == 3


def test_order_sees_a_mutant_and_uneven_counts():
    with pytest.raises(AssertionError, match="observed order"):
        check_order(trapezoidal(mistake=0.5), [np.e], [16, 32, 64], 2)
    check_order(trapezoidal(), [np.e], [20, 30, 70], 2)


def test_order_refuses_rounding_errors_and_single_runs():
    with pytest.raises(AssertionError, match="rounding level"):
        check_order(lambda nt: np.array([np.e]), [np.e], [4, 8], 2)
    with pytest.raises(ValueError, match="at least two increasing"):
        check_order(trapezoidal(), [np.e], [8], 2)


# Curvature


@pytest.mark.parametrize("max_dense", [300, 1])
def test_curvature(max_dense):
    p = {"a": jnp.zeros(3)}
    result = check_curvature(lambda v: {"a": A.T @ (A @ v["a"])}, p, KEY, max_dense=max_dense)
    assert result.dense is (max_dense == 300)


@pytest.mark.parametrize("max_dense", [300, 1])
@pytest.mark.parametrize(
    ("mutant", "message"),
    [
        (A.T @ A + 1e-6 * np.triu(np.ones((3, 3))), "not symmetric"),
        (A.T @ A - 3.0 * np.eye(3), "not positive semidefinite"),
        (np.zeros((3, 3)), "finite positive"),
        (np.full((3, 3), np.nan), "finite positive"),
    ],
)
def test_curvature_sees_mutants(mutant, message, max_dense):
    with pytest.raises(AssertionError, match=message):
        check_curvature(lambda v: mutant @ v, jnp.zeros(3), KEY, max_dense=max_dense)


def test_curvature_sees_one_negative_eigenvalue_among_many():
    diagonal = np.ones(200)
    diagonal[17] = -1e-6
    with pytest.raises(AssertionError, match="not positive semidefinite"):
        check_curvature(lambda v: diagonal * v, jnp.zeros(200), KEY)


# Contract


class Quadratic(NamedTuple):
    """``||p - c||^2 / 2``."""

    c: jax.Array

    def value(self, p, aux):
        return jnp.sum((p - self.c) ** 2) / 2, aux

    def linearize(self, p, aux):
        raise NotImplementedError

    def rows(self, index):
        return self


class Descent:
    """Gradient descent on ``Quadratic``; mutants override one place each."""

    def init(self, problem, p, aux):
        return Iterate(p, aux, problem.value(p, aux)[0], jnp.zeros((), int), {})

    def step(self, problem, iterate):
        p = iterate.p - 0.5 * (iterate.p - problem.c)
        return Iterate(p, None, problem.value(p, None)[0], iterate.state + 1, {"size": jnp.linalg.norm(p)})

    def status(self, history):
        return Status("running", "")


class FirstMetrics(Descent):
    def init(self, problem, p, aux):
        return super().init(problem, p, aux)._replace(metrics={"size": jnp.linalg.norm(p)})


class LostState(Descent):
    def step(self, problem, iterate):
        return super().step(problem, iterate)._replace(state=None)


class OtherDtype(Descent):
    def step(self, problem, iterate):
        return super().step(problem, iterate)._replace(state=1.0 * iterate.state)


class WeakType(Descent):
    def step(self, problem, iterate):
        return super().step(problem, iterate)._replace(state=jnp.asarray(1))


class PythonNumber(Descent):
    def init(self, problem, p, aux):
        return super().init(problem, p, aux)._replace(state=0)


class NoIterate(Descent):
    def step(self, problem, iterate):
        return tuple(super().step(problem, iterate))


class OtherUnknowns(Descent):
    def init(self, problem, p, aux):
        return super().init(problem, p, aux)._replace(p=[p])


class NotFinite(Descent):
    def step(self, problem, iterate):
        return super().step(problem, iterate)._replace(value=iterate.value * jnp.nan)


@jax.tree_util.register_pytree_node_class
class NewAux:
    """A state whose static part changes with each flattening, so that every call compiles."""

    count = 0

    def tree_flatten(self):
        NewAux.count += 1
        return (), NewAux.count

    @classmethod
    def tree_unflatten(cls, aux, children):
        return cls()


class Recompiles(Descent):
    def init(self, problem, p, aux):
        return super().init(problem, p, aux)._replace(state=NewAux())

    def step(self, problem, iterate):
        return super().step(problem, iterate._replace(state=0))._replace(state=NewAux())


def test_contract():
    last = check_contract(Descent(), Quadratic(jnp.ones(2)), jnp.zeros(2))
    assert int(last.state) == 3


@pytest.mark.parametrize(
    ("mutant", "message"),
    [
        (FirstMetrics, "init returns the metrics size, needs none"),
        (LostState, r"iterate.state is missing after step 1"),
        (OtherDtype, r"iterate.state is float64\[\] weak after step 1 but int64\[\] after init"),
        (WeakType, r"iterate.state is int64\[\] weak after step 1 but int64\[\] after init"),
        (PythonNumber, "is a int, needs a JAX array"),
        (NoIterate, "returned tuple, needs an Iterate"),
        (OtherUnknowns, "that of p"),
        (NotFinite, "finite scalar"),
        (Recompiles, "traced 3 times"),
    ],
)
def test_contract_sees_mutants(mutant, message):
    with pytest.raises(AssertionError, match=message):
        check_contract(mutant(), Quadratic(jnp.ones(2)), jnp.zeros(2))


# Problems


class Curve(NamedTuple):
    """A problem by its contract, with mistakes that can be planted."""

    wrong_slope: float = 0.0
    wrong_value: float = 0.0
    wrong_curvature: float = 0.0

    def value(self, p, aux):
        return value(p), aux

    def linearize(self, p, aux):
        f, g = jax.value_and_grad(value)(p)

        def curvature(v):
            Hv = jax.jvp(jax.grad(value), (p,), (v,))[1]
            return {**Hv, "w": Hv["w"] + self.wrong_curvature * v["u"][:2]}

        g = {**g, "u": g["u"] + self.wrong_slope}
        return Linearization(f * (1 + self.wrong_value), g, curvature, aux, {})

    def rows(self, index):
        return self


def test_a_problem_is_checked_and_shows_its_table(capsys):
    result = check_gradient(Curve(), point())
    np.testing.assert_allclose(result.orders[-3:], 2, atol=0.1)
    assert capsys.readouterr().out == f"{result}\n"
    assert check_adjoint(Curve(), point()) < 1e-14
    assert "<H x, y> and <x, H y>" in capsys.readouterr().out
    check_gradient(Curve(), point(), KEY, show=False)
    check_gradient(FUN, point(), KEY)
    assert capsys.readouterr().out == ""
    check_gradient(FUN, point(), show=True)
    assert "without slope" in capsys.readouterr().out


def test_problems_with_mistakes_are_seen():
    with pytest.raises(AssertionError, match="gradient is wrong"):
        check_gradient(Curve(wrong_slope=1e-5), point())
    with pytest.raises(AssertionError, match="Let both compute the same objective"):
        check_gradient(Curve(wrong_value=1e-6), point())
    with pytest.raises(AssertionError, match="not the transpose"):
        check_adjoint(Curve(wrong_curvature=1e-6), point())


class Headed(Curve):
    """Needs a companion, and offers the first one."""

    def first_head(self, p):
        return jnp.zeros(2)

    def value(self, p, aux):
        return value(p) + jnp.sum(aux), aux


def test_the_companion_is_the_first_head_or_the_one_given():
    assert check_gradient(Headed(), point(), show=False).with_slope[0] > 0
    with pytest.raises(AssertionError, match="value gives"):
        check_gradient(Headed(), point(), aux=jnp.ones(2), show=False)
