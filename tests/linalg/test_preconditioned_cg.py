"""Preconditioned conjugate gradients: as many products as eigenvalues, true residuals, a way out of indefiniteness."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.linalg import preconditioned_cg

pytestmark = pytest.mark.usefixtures("x64")


def system(size=12, kappa=1e3):
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.normal(size=(size, size)))[0]
    H = q @ np.diag(np.geomspace(1, kappa, size)) @ q.T
    return jnp.asarray((H + H.T) / 2), jnp.asarray(rng.normal(size=size))


def solve(H, b, **options):
    return preconditioned_cg(lambda v: H @ v, b, **options)


def test_the_dense_solution():
    H, b = system()
    found = solve(H, b, forcing=1e-12)
    np.testing.assert_allclose(found.x, np.linalg.solve(H, b), rtol=1e-8)
    np.testing.assert_allclose(found.residual, b - H @ found.x, atol=1e-10)
    assert found.definite and found.products <= 20


def test_the_dense_solution_sees_a_planted_asymmetry():
    H, b = system()
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(solve(H.at[0, 5].add(5.0), b, forcing=1e-12).x, np.linalg.solve(H, b), rtol=1e-8)


def test_as_many_products_as_different_eigenvalues():
    H, b = system()
    vectors = np.linalg.eigh(H)[1]
    three = jnp.asarray(vectors @ np.diag(np.repeat([1.0, 5.0, 40.0], 4)) @ vectors.T)
    assert solve(three, b, forcing=1e-10).products == 3


def test_the_exact_inverse_as_preconditioner_needs_one_product():
    H, b = system()
    inverse = jnp.linalg.inv(H)
    found = solve(H, b, inverse=lambda r: inverse @ r, forcing=1e-9)
    assert found.products == 1
    np.testing.assert_allclose(found.x, np.linalg.solve(H, b), rtol=1e-8)


def test_any_preconditioner_leads_to_the_same_solution():
    H, b = system()
    scale = jnp.asarray(np.geomspace(0.1, 10, 12))
    found = solve(H, b, inverse=lambda r: scale * r, forcing=1e-12)
    np.testing.assert_allclose(found.x, np.linalg.solve(H, b), rtol=1e-7)


def test_products_are_limited_and_none_is_spent_without_need():
    H, b = system()
    assert solve(H, b, forcing=0.0, max_products=3).products == 3
    for empty in (solve(H, jnp.zeros(12)), solve(H, b, forcing=jnp.inf)):
        assert empty.products == 0
        np.testing.assert_array_equal(empty.x, 0)


def test_no_positive_curvature_gives_a_descent_direction():
    b = jnp.asarray([1.0, 2.0])
    for H in (-jnp.eye(2), jnp.zeros((2, 2))):
        found = solve(H, b)
        assert not found.definite and found.products == 1
        np.testing.assert_array_equal(found.x, b)
    found = solve(jnp.diag(jnp.asarray([1.0, -1.0])), jnp.asarray([2.0, 1.0]), forcing=1e-12)
    assert not found.definite and found.x @ jnp.asarray([2.0, 1.0]) > 0


@pytest.mark.parametrize("unit", [2.0**-665, 2.0**660])
def test_the_unit_of_the_right_hand_side_changes_no_digit(unit):
    """As squares of 1e-200 vanish, zero was returned as solved."""
    H, b = system()
    found, apart = solve(H, b, forcing=1e-12), solve(H, unit * b, forcing=1e-12)
    np.testing.assert_array_equal(apart.x, unit * found.x)
    np.testing.assert_array_equal(apart.residual, unit * found.residual)
    assert found.converged and apart.converged and apart.products == found.products


def test_what_is_not_finite_is_not_solved():
    """A NaN is above no target: the start was returned as solved where a preconditioner or a traced b had one."""
    H, b = system()

    def late(v):  # finite along the first direction only
        return jnp.where(jnp.allclose(v, v[0] / b[0] * b), H @ v, jnp.nan)

    assert solve(H, b).converged and solve(H, jnp.zeros(12)).converged
    assert not preconditioned_cg(lambda v: jnp.nan * v, b).converged
    assert not preconditioned_cg(late, b).converged
    assert not solve(H, b, inverse=lambda r: jnp.nan * r).converged
    assert not jax.jit(lambda b: solve(H, b).converged)(b.at[3].set(jnp.nan))
    assert not solve(H, b, forcing=0.0, max_products=3).converged
    assert not solve(-H, b).converged
