"""What each scheme promises besides its order: stability function, inverse, conservation, implicit terms."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.analysis.stability import stability_report
from numdl.contracts import Scheme
from numdl.flow import (
    SCHEMES,
    PiecewiseConstant,
    Semilinear,
    circulant_part,
    energy,
    final,
    get_dynamics,
    get_scheme,
    linear_part,
    serial,
)
from numdl.flow.dynamics import reaction_diffusion
from numdl.flow.dynamics.reaction_diffusion import diffusion
from numdl.flow.march import coupled
from numdl.models import ResNet
from numdl.testing import check_order

pytestmark = pytest.mark.usefixtures("x64")


def rotation(t, u, theta):
    """``u' = lambda u`` with the complex number lambda, in real coordinates."""
    re, im = theta
    return jnp.stack([re * u[0] - im * u[1], im * u[0] + re * u[1]])


def bending(t, u, theta):
    return jnp.cos(3 * t) - u**2


@pytest.mark.quick("heun", "rk4", "implicit_midpoint")
@pytest.mark.parametrize("name", [name for name, scheme in SCHEMES.items() if scheme.stability is not None])
def test_the_stability_function_is_that_of_the_step(name):
    scheme, z = get_scheme(name), np.array([-0.5 + 0.3j, 1.2j, -2.5, 0.4 - 1.0j])
    for value in z:
        u = scheme.step(rotation, 0.0, 0.5, jnp.asarray([1.0, 0.0]), lambda c, v=value / 0.5: (v.real, v.imag))
        assert complex(*np.asarray(u)) == pytest.approx(complex(scheme.stability(value)), rel=1e-12)


def test_stability_regions_have_their_known_size():
    """Left ends on the real axis, and the end on the imaginary one; Hairer and Wanner II, sec. IV.2."""
    ends = {"euler": (2.0, 0.0), "heun": (2.0, 0.0), "rk3": (2.5127, 1.7321), "rk4": (2.7853, 2.8284)}
    for name, (real, imaginary) in ends.items():
        size = get_scheme(name).stability
        assert abs(size(-real + 1e-3)) < 1 < abs(size(-real - 1e-3))
        if imaginary:
            assert abs(size(1j * (imaginary - 1e-3))) < 1 < abs(size(1j * (imaginary + 1e-3)))


@pytest.mark.quick("hamiltonian-verlet", "hyperbolic-*")
@pytest.mark.parametrize("name", [n for n, s in SCHEMES.items() if s.inverse is not None] + ["coupled rk4"])
@pytest.mark.parametrize("dynamics", ["hamiltonian", "hyperbolic"])
def test_a_step_is_undone(name, dynamics):
    scheme = coupled(get_scheme("rk4")) if name == "coupled rk4" else get_scheme(name)
    field = get_dynamics(dynamics)
    f, weights = field.vector_field(jnp.tanh), [field.init(seed, 6, 1.0) for seed in (0, 1)]

    def theta(c):
        return jax.tree.map(lambda a, b: (1 - c) * a + c * b, *weights)

    u = jax.random.normal(jax.random.key(0), (6,))
    carry = scheme.start(u) if scheme.start else u
    after = scheme.step(f, 0.3, 0.4, carry, theta)
    found = scheme.inverse(f, 0.3, 0.4, after, theta)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(carry), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-14)
    wrong = scheme.inverse(f, 0.3, 0.4, after, lambda c: theta(c + 0.2))  # weights read too late
    assert np.max(np.abs(jax.tree.leaves(wrong)[0] - u)) > 1e-3


@pytest.mark.quick("double_hamiltonian")
@pytest.mark.parametrize("dynamics", ["double_hamiltonian", "hyperbolic"])
def test_symplectic_schemes_keep_the_energy_for_long(dynamics):
    field, nt = get_dynamics(dynamics), 2000
    theta, f = field.init(3, 6, 1.0), field.vector_field(jnp.tanh)
    coeffs = jax.tree.map(lambda a: jnp.broadcast_to(a, (nt, *a.shape)), theta)
    drift = {}
    for name in ("verlet", "implicit_midpoint", "euler"):
        states = serial(get_scheme(name), f, PiecewiseConstant(nt), coeffs, jnp.ones(6), 0.0, 0.05)
        energies = jax.vmap(lambda u: energy(dynamics, "tanh", u, theta))(states)
        drift[name] = float(jnp.max(jnp.abs(energies - energies[0])))
    assert drift["verlet"] < 0.01 and drift["implicit_midpoint"] < 0.01 < 0.3 < drift["euler"]


def test_implicit_midpoint_is_stable_where_explicit_schemes_are_not():
    def stiff(t, u, theta):
        return -1000.0 * (u - jnp.cos(t))

    args = (stiff, PiecewiseConstant(20), jnp.zeros((20, 1)), jnp.ones(1), 0.0, 0.1)
    assert abs(final(get_scheme("implicit_midpoint"), *args)[0] - np.cos(2.0)) < 0.05
    assert abs(final(get_scheme("rk4"), *args)[0]) > 1e6


def test_implicit_midpoint_without_a_solution_says_so():
    u = get_scheme("implicit_midpoint").step(lambda t, u, theta: 1 + u**2, 0.0, 10.0, jnp.ones(1), lambda c: None)
    assert np.isnan(u).all()


def test_implicit_midpoint_differentiates_the_solution_not_the_iteration():
    scheme = get_scheme("implicit_midpoint")

    def end(k):
        return scheme.step(lambda t, u, k: jnp.sin(k * u), 0.0, 0.7, jnp.asarray([0.4, 1.1]), lambda c: k)

    k, eps = 1.3, 1e-5
    slope = (end(k + eps) - end(k - eps)) / (2 * eps)
    np.testing.assert_allclose(jax.jacfwd(end)(k), slope, rtol=1e-8)
    np.testing.assert_allclose(jax.jacrev(end)(k), slope, rtol=1e-8)


def test_two_steps_on_an_uneven_grid_have_order_two():
    def solve(nt):
        h = np.diff(np.linspace(0, 1, nt + 1) ** 1.5)
        return final(
            get_scheme("adams_bashforth"), bending, PiecewiseConstant(nt), jnp.zeros((nt, 1)), jnp.ones(1), 0.0, h
        )

    check_order(solve, solve(20000), [200, 400, 800], 2)


def test_two_steps_ignore_the_ratio_in_a_mutant():
    scheme = get_scheme("adams_bashforth")

    def step(f, t, h, carry, theta):
        return scheme.step(f, t, h, carry._replace(h=jnp.where(carry.h > 0, h, 0.0)), theta)

    mutant = Scheme(2, step, start=scheme.start, finish=scheme.finish)

    def solve(nt, scheme=mutant):
        h = np.where(np.arange(nt) % 2, 0.5, 1.5) / nt
        return final(scheme, bending, PiecewiseConstant(nt), jnp.zeros((nt, 1)), jnp.ones(1), 0.0, h)

    exact = solve(20000, scheme)
    check_order(lambda nt: solve(nt, scheme), exact, [200, 400, 800], 2)
    with pytest.raises(AssertionError, match="observed order"):
        check_order(solve, exact, [200, 400, 800], 2)


@pytest.mark.quick("1", "3")
@pytest.mark.parametrize("m", [1, 2, 3, 8])
def test_implicit_terms_by_three_factorisations(m):
    """Diffusion on a ring by eigenvectors, by FFT and by its field, against a solution of the dense system."""
    L = np.zeros((m, m))
    for i in range(m):
        for j, weight in ((i - 1, 50.0), (i, -100.0), (i + 1, 50.0)):
            L[i, j % m] += weight
    g, u = lambda t, u, theta: jnp.sin(3 * t + u), jnp.linspace(-1, 1, m) + 0.5
    one = np.linalg.solve(np.eye(m) - 0.1 * L, u + 0.1 * np.sin(0.3 + u))
    for part in (linear_part(L), circulant_part(L[:, 0]), diffusion(50.0)):
        f = Semilinear(part, g)
        np.testing.assert_allclose(f(0.1, u, None), L @ u + g(0.1, u, None), atol=1e-12)
        np.testing.assert_allclose(get_scheme("imex").step(f, 0.1, 0.1, u, lambda c: None), one, atol=1e-13)
    part = linear_part(L)
    for act in (part.times, lambda r: part.solve(0.1, r)):  # whose default precision is low on an accelerator
        for eqn in jax.make_jaxpr(act)(u).eqns:
            assert eqn.primitive.name != "dot_general" or "HIGHEST" in str(eqn.params["precision"])
    f = Semilinear(linear_part(-3.0), g)
    np.testing.assert_allclose(f(0.1, u, None), g(0.1, u, None) - 3 * u)
    one = (u + 0.1 * np.sin(0.3 + u)) / 1.3
    np.testing.assert_allclose(get_scheme("imex").step(f, 0.1, 0.1, u, lambda c: None), one)


def test_stiff_terms_are_stable_where_forward_euler_is_not():
    net = ResNet(2, 8, 4, T=2.0, dynamics="reaction_diffusion", damping=50.0, scheme="imex")
    theta, x = net.init(0), jnp.ones((1, 2))
    ends = {name: dataclasses.replace(net, scheme=name).batch(theta, x) for name in ("imex", "euler")}
    assert np.max(np.abs(ends["imex"])) < 10 and np.max(np.abs(ends["euler"])) > 1e3


@pytest.mark.thorough
def test_a_report_judges_implicit_terms_by_their_steps():
    net = ResNet(2, 4, 4, dynamics="contractive", damping=30.0, scheme="imex")
    report = stability_report(net, net.init(0), np.eye(2))
    assert report.stable and np.isinf(report.largest_h) and report.region is None
    assert "by the eigenvalues of its steps" in report.verdict[0]
    assert np.all(report.promised == 1) and report.spread[-1] < 0.1
    report = stability_report(dataclasses.replace(net, scheme="euler"), net.init(0), np.eye(2))
    assert report.leaves.all() and report.better_scheme == "implicit_midpoint"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: linear_part(np.ones((2, 2, 2))), "symmetric square"),
        (lambda: linear_part(np.array([[0.0, 1.0], [0.0, 0.0]])), "symmetric square"),
        (lambda: linear_part(np.eye(2)), "eigenvalue 1.0, needs none above 0"),
        (lambda: linear_part(0.5), "needs none above 0"),
        (lambda: circulant_part(np.array([-1.0, 1.0, 0.0])), "first column of a symmetric"),
        (lambda: coupled(get_scheme("imex")), "may be singular"),
        (lambda: ResNet(2, 4, 1, scheme="imex"), "needs dynamics with a linear part.*contractive"),
        (lambda: ResNet(2, 4, 1, dynamics="contractive", scheme="imex", march="adjoint"), "what decays grows"),
        (lambda: reaction_diffusion.vector_field(jnp.tanh, gamma=-1.0), "needs a finite number >= 0"),
        (lambda: coupled(get_scheme("rk4"), 0.0), r"needs a finite number > 0 and <= 1"),
        (lambda: coupled(get_scheme("adams_bashforth")), "from state to state"),
    ],
)
def test_what_is_no_scheme_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("name", ["symplectic_euler", "verlet"])
def test_symplectic_schemes_need_two_halves(name):
    assert get_scheme(name).halves
    f = get_dynamics("plain").vector_field(jnp.tanh)
    with pytest.raises(ValueError, match=f"scheme '{name}': needs dynamics of two halves.*Use 'rk4'"):
        get_scheme(name).step(f, 0.0, 0.1, jnp.ones(4), lambda c: get_dynamics("plain").init(0, 4, 1.0))
