"""Checks compute in the precision of what they are given, whatever JAX is set to: no test here switches x64 on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_checks import Descent, Quadratic

from numdl.contracts import Linearization
from numdl.testing import check_adjoint, check_contract, check_curvature, check_gradient, check_order
from numdl.testing.precision import precision_of

DRAWS = 30
X = np.random.default_rng(7).normal(size=(12, 3))
C = np.random.default_rng(8).normal(size=(12, 2))


def misfit(p):
    """Least squares of a network with one hidden layer; its data are NumPy's, in float64."""
    x, c = (jnp.asarray(a, p["W"].dtype) for a in (X, C))
    s = jnp.tanh(x @ p["K"].T + p["b"]) @ p["W"].T
    return jnp.sum((s - c) ** 2) / 24 + 0.01 * jnp.sum(p["W"] ** 2)


GRADIENT = jax.jit(jax.value_and_grad(misfit))


def start(seed, dtype):
    rng = np.random.default_rng(seed)
    shapes = {"K": (4, 3), "W": (2, 4), "b": (4,)}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def planted(error, leaf=None):
    """The gradient with one leaf, or all of it, too large."""

    def fun(p):
        value, g = GRADIENT(p)
        return value, {name: a * (1 + error * (leaf in (None, name))) for name, a in g.items()}

    return fun


def refused(check, words):
    try:
        check()
    except AssertionError as reason:
        assert words in str(reason)
        return True
    return False


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_right_gradients_pass_from_every_start(dtype):
    for seed in range(DRAWS):
        result = check_gradient(planted(0.0), start(seed, dtype), jax.random.key(seed))
        assert result.precision == np.dtype(dtype).name


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("error", [1e-3, -1e-3, 1e-2])
def test_gradients_wrong_by_a_tenth_of_a_percent_fail_from_every_start(dtype, error):
    def check(seed):
        return lambda: check_gradient(planted(error), start(seed, dtype), jax.random.key(seed))

    assert sum(refused(check(seed), "gradient is wrong") for seed in range(DRAWS)) == DRAWS


def test_one_wrong_leaf_is_seen_in_float32():
    def check(seed):
        return lambda: check_gradient(planted(0.02, "W"), start(seed, np.float32), jax.random.key(seed))

    assert sum(refused(check(seed), "gradient is wrong") for seed in range(DRAWS)) >= DRAWS - 1


def test_float32_as_it_was_passes_wrong_gradients():
    """The criterion of float64 is blind in float32: this is why there is another one."""

    def orders(seed):
        p, v = start(seed, np.float32), start(seed + 100, np.float32)
        value, g = planted(1e-3)(p)
        slope = sum(np.vdot(g[name], v[name]) for name in v)
        moved = [GRADIENT({name: p[name] + np.float32(h) * v[name] for name in v})[0] for h in 2.0 ** -np.arange(5, 9)]
        remainder = np.abs(np.array(moved, float) - float(value) - 2.0 ** -np.arange(5, 9) * slope)
        return np.log2(remainder[:-1] / remainder[1:])

    assert sum(bool(np.all(np.abs(orders(seed) - 2) < 0.2)) for seed in range(DRAWS)) >= DRAWS // 3


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_adjoints_wrong_by_a_tenth_of_a_percent_fail_and_right_ones_pass(dtype):
    smallest = {np.float64: 1e-11, np.float32: 1e-3}[dtype]
    seen = 0
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        A, x, y = (rng.normal(size=shape).astype(dtype) for shape in ((40, 60), (60,), (40,)))

        def linear(v, A=A):
            return jnp.asarray(A) @ v

        def transpose(w, A=A, error=0.0):
            return jnp.asarray(A).T @ w * (1 + error)

        assert check_adjoint(linear, transpose, x, y) < {np.float64: 1e-14, np.float32: 1e-5}[dtype]
        seen += refused(
            lambda f=linear, t=transpose, x=x, y=y: check_adjoint(f, lambda w: t(w, error=smallest), x, y), "transpose"
        )
    assert seen == DRAWS


class Fit:
    """A problem by its contract, with an error in its slope and its curvature."""

    def __init__(self, error=0.0):
        self.error = error

    def value(self, p, aux):
        return misfit(p), aux

    def linearize(self, p, aux):
        f, g = jax.value_and_grad(misfit)(p)

        def curvature(v):
            Hv = jax.jvp(jax.grad(misfit), (p,), (v,))[1]
            return {**Hv, "W": Hv["W"] * (1 + self.error)}

        return Linearization(f, {**g, "W": g["W"] * (1 + self.error)}, curvature, aux, {})

    def rows(self, index):
        return self


jax.tree_util.register_pytree_node(Fit, lambda fit: ((), fit.error), lambda error, _: Fit(error))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_precision_is_printed(dtype, capsys):
    check_gradient(Fit(), start(0, dtype))
    table = capsys.readouterr().out
    assert f"in {dtype}" in table.splitlines()[0] and ("by differences" in table) == (dtype == "float32")
    check_adjoint(Fit(), start(0, dtype))
    assert f"in {dtype}: " in capsys.readouterr().out
    with pytest.raises(AssertionError, match=rf"is wrong(?s:.*)order   in {dtype}"):
        check_gradient(Fit(1e-2), start(0, dtype))
    with pytest.raises(AssertionError, match="transpose"):
        check_adjoint(Fit(1e-2), start(0, dtype))


@pytest.mark.parametrize("max_dense", [300, 1])
def test_curvature_is_applied_in_the_precision_of_p(max_dense):
    A = np.random.default_rng(0).normal(size=(5, 5))
    H, skew = A.T @ A, 1e-6 * np.triu(np.ones((5, 5)), 1)
    options = {"p": np.ones(5), "key": jax.random.key(0), "max_dense": max_dense}
    assert check_curvature(lambda v: jnp.asarray(H) @ v, **options).precision == "float64"
    with pytest.raises(AssertionError, match=r"float64.*not symmetric"):
        check_curvature(lambda v: jnp.asarray(H + skew) @ v, **options)
    assert check_curvature(lambda v: jnp.asarray(H) @ v, jnp.ones(5), jax.random.key(0)).precision == "float32"


def test_orders_are_those_of_the_precision_of_the_exact_solution():
    def solve(nt):
        u = jnp.ones(1)
        for i in range(nt):
            u = u * (1 + i / nt**2) / (1 - (i + 1) / nt**2)
        return u

    result = check_order(solve, [np.e], [64, 256, 1024], 2)
    assert result.precision == "float64" and "in float64" in str(result).splitlines()[0]
    with pytest.raises(AssertionError, match="in float32"):
        check_order(solve, np.array([np.e], np.float32), [64, 256, 1024], 2)


def test_the_contract_is_checked_in_the_precision_of_p():
    last = check_contract(Descent(), Quadratic(jnp.ones(2)), np.zeros(2), steps=1)
    assert last.p.dtype == np.float64


def test_what_was_made_in_another_precision_says_so():
    f = jax.linearize(jnp.sin, jnp.ones(3))[1]
    with pytest.raises((TypeError, ValueError)) as reason:
        check_adjoint(f, f, np.ones(3), np.ones(3))
    assert "check_adjoint computes in float64 here" in " ".join(reason.value.__notes__)
    with pytest.raises(ValueError, match="Let both maps compute in the precision"):
        check_adjoint(lambda v: jnp.float32(v), lambda v: jnp.float32(v), np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="the value comes back with 1"):
        check_gradient(lambda p: (jnp.float32(jnp.sum(p)), p), np.ones(3))


@pytest.mark.parametrize("p", [np.arange(3), {"a": np.ones(2), "b": 1j}, {}])
def test_what_is_not_real_is_refused(p):
    for check in (
        lambda: check_gradient(lambda p: (jnp.zeros(()), p), p),
        lambda: check_adjoint(lambda v: v, lambda v: v, p, p),
    ):
        with pytest.raises(ValueError, match=r"check_\w+\(\w.*(needs real|was given no arrays)"):
            check()


def test_the_context_is_left_as_it_was():
    with precision_of("test", {"a": np.ones(2), "b": jnp.ones(2)}) as name:
        assert name == "float32" and jnp.asarray(np.ones(2)).dtype == np.float64
    with precision_of("test", 1.0) as name:
        assert name == "float64"
    with precision_of("test", [1.0, jnp.ones(2)]) as name:
        assert jnp.asarray(np.ones(2)).dtype == np.float32
    assert jnp.asarray(np.ones(2)).dtype == np.float32


def test_check_order_does_not_broadcast_the_solution(unchecked):
    with pytest.raises(ValueError, match=r"exact of shape \(2, 1\)\): solve\(16\) has shape \(2,\), needs the same"):
        check_order(lambda nt: np.ones(2) + 1 / nt, np.ones((2, 1)), (16, 32), 1)
