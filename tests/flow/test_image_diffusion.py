"""Learned diffusion of images: implicit steps against dense solves, non-expansive for any diffusivity, of order 1."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import (
    Guarantee,
    LayerParallel,
    PiecewiseLinear,
    Semilinear,
    final,
    get_activation,
    get_dynamics,
    get_scheme,
    on_images,
)
from numdl.flow.images.convolution import PADDING
from numdl.flow.images.diffusion import LARGEST, diffusion, log_starts, modes
from numdl.flow.images.operators import Grid
from numdl.models import Chain, ResNet, image_resnet, lipschitz_bound, rescaled
from numdl.testing import check_gradient, check_order

pytestmark = pytest.mark.usefixtures("x64")
SIDES = (4, 3)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def dense(gamma, border):
    """The operator, entry by entry, from the neighbours of each pixel: no shift, pad or transform of the library."""
    (h, w), c = SIDES, len(gamma)
    L = np.zeros((h, w, c, h, w, c))
    for i, j, k in np.ndindex(h, w, c):
        for a, b in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
            L[i, j, k, i, j, k] -= gamma[k]
            if border == "periodic":
                a, b = a % h, b % w
            elif border == "reflecting":
                a, b = min(max(a, 0), h - 1), min(max(b, 0), w - 1)
            if 0 <= a < h and 0 <= b < w:
                L[i, j, k, a, b, k] += gamma[k]
    return L.reshape(h * w * c, -1)


@pytest.mark.parametrize("border", PADDING)
def test_products_and_implicit_steps_are_those_of_the_dense_operator(border):
    log_gamma, u, h = jnp.array([-2.0, 0.0, 4.0]), normal(0, 36), 0.3
    part, L = diffusion(log_gamma, Grid(SIDES, border)), dense(np.exp(log_gamma), border)
    np.testing.assert_allclose(part.times(u), L @ u, atol=1e-12)
    np.testing.assert_allclose(part.solve(h, u), np.linalg.solve(np.eye(36) - h * L, u), atol=1e-13)
    with pytest.raises(AssertionError):  # the mutant: diffusivities of other channels
        np.testing.assert_allclose(part.times(u), dense(np.exp(log_gamma)[::-1], border) @ u, atol=1e-2)


@pytest.mark.parametrize("border", PADDING)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_modes_are_orthonormal_and_decay(n, border):
    vectors, values = modes(n, border)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(n), atol=1e-14)
    assert values.max() <= 0 and values.min() >= -4
    assert (values.max() == 0) == (border != "zero")  # a constant stays where nothing is lost at the border


@pytest.mark.parametrize("border", PADDING)
def test_no_implicit_step_lengthens_for_any_diffusivity(border):
    rng = np.random.default_rng(0)
    log_gamma = jnp.asarray(np.r_[rng.uniform(-60, 60, (996, 2)), [[-1e9, 1e9]], np.full((3, 2), 88.0)])
    h, u = jnp.asarray(10 ** rng.uniform(-3, 3, 1000)), normal(1, 1000, 24)

    def ratio(log_gamma, h, u):
        part = diffusion(log_gamma, Grid(SIDES, border))
        return jnp.linalg.norm(part.solve(h, u)) / jnp.linalg.norm(u), u @ part.times(u) / jnp.exp(log_gamma).max()

    longer, energy = jax.jit(jax.vmap(ratio))(log_gamma, h, u)
    assert longer.max() <= 1 + 1e-12 and longer.min() < 0.9
    assert energy[:996].max() <= 1e-12
    single = jax.jit(jax.vmap(ratio))(log_gamma.astype(jnp.float32), h.astype(jnp.float32), u.astype(jnp.float32))[0]
    assert single.max() <= 1 + 1e-5  # finite, too, where a diffusivity itself is beyond single precision
    growing = Semilinear(lambda theta: diffusion(theta, Grid(SIDES, border)), lambda t, u, theta: 0 * u)
    back = get_scheme("imex").step(growing, 0.0, -0.1, u[0], lambda c: jnp.zeros(2))  # the mutant: backwards in time
    assert jnp.linalg.norm(back) > 1.05 * jnp.linalg.norm(u[0])


def test_a_step_of_parabolic_layers_with_diffusion_moves_no_two_states_apart():
    field = on_images("parabolic", SIDES, border="reflecting", diffusion=(0.01, 30.0))
    assert field.guarantees == (Guarantee.DISTANCES,) and on_images("plain", SIDES, diffusion=1.0).guarantees == ()
    drawn = [field.init(seed, 24, 0.5, float) for seed in range(1000)]
    theta = {name: jnp.stack([one[name] for one in drawn]) for name in drawn[0]}
    u, v, f = normal(1, 1000, 24), normal(2, 1000, 24), field.vector_field(get_activation("relu"))
    apart = jax.jit(jax.vmap(lambda th, u, v: (u - v) @ (f(0.0, u, th) - f(0.0, v, th))))(theta, u, v)
    assert apart.max() <= 1e-12

    def step(th, u):
        return get_scheme("imex").step(f, 0.0, 0.1, u, lambda c: th)

    longer = jax.jit(jax.vmap(lambda th, u, v: jnp.linalg.norm(step(th, u) - step(th, v)) / jnp.linalg.norm(u - v)))(
        theta, u, v
    )
    assert longer.max() <= 1 + 1e-12


def moving(border="reflecting"):
    """Reaction and diffusion whose weights, diffusivities among them, move in time."""
    field = on_images("plain", SIDES, border=border, diffusion=(0.2, 3.0))
    control = lambda nt: PiecewiseLinear(nt)  # noqa: E731
    ends = [field.init(seed, 24, 0.3, float) for seed in (0, 1)]
    ends[1]["log_diffusion"] = ends[1]["log_diffusion"] + jnp.array([1.0, -1.5])

    def coeffs(nt):
        t = np.linspace(0, 1, nt + 1)
        return jax.tree.map(lambda a, b: jnp.stack([(1 - s) * a + s * b for s in t]), *ends)

    return field.vector_field(get_activation("tanh")), control, coeffs, normal(3, 24)


def test_the_order_with_diffusivities_that_move_is_one():
    f, control, coeffs, u = moving()

    def solve(nt, scheme="imex", f=f):
        return final(get_scheme(scheme), f, control(nt), coeffs(nt), u, 0.0, 1 / nt)

    exact = solve(2048, "rk4")
    check_order(solve, exact, [128, 256, 512], 1)
    still = Semilinear(lambda theta: f.part(theta | {"log_diffusion": coeffs(1)["log_diffusion"][0]}), f.rest)
    with pytest.raises(AssertionError, match="observed order"):  # the mutant: diffusivities of the start
        check_order(lambda nt: solve(nt, f=still), exact, [128, 256, 512], 1)


@pytest.mark.parametrize("march", ["remat", "checkpointed", LayerParallel(tol=1e-13)], ids=str)
def test_marches_agree_on_the_gradient(march):
    x = normal(0, 2, 24)
    field = on_images("reaction_diffusion", SIDES, border="periodic")
    net = ResNet(24, 24, 6, T=1.5, dynamics=field, scheme="imex", opening=False)
    theta = net.init(0, float)

    def gradient(way):
        other = dataclasses.replace(net, march=way)
        return jax.jit(jax.grad(lambda theta: jnp.sum(jnp.sin(other.batch(theta, x)))))(theta)

    for found, expected in zip(jax.tree.leaves(gradient(march)), jax.tree.leaves(gradient("stored")), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)
        assert np.abs(expected).max() > 1e-3


def test_the_gradient_by_diffusivities_obeys_taylor():
    net = ResNet(24, 24, 3, T=1.5, dynamics=on_images("parabolic", SIDES, diffusion=2.0), scheme="imex", opening=False)
    theta, x = net.init(0, float), normal(0, 24)

    def end(factors):
        return jnp.sum(jnp.sin(net.features({"flow": theta["flow"] | {"log_diffusion": factors}}, x)))

    check_gradient(jax.value_and_grad(end), theta["flow"]["log_diffusion"])


def test_one_step_reaches_all_pixels_and_explicit_ones_do_not():
    sides = (16, 16)
    u = jnp.zeros((16, 16, 2)).at[0, 0, :].set(1.0).ravel()
    far = on_images("plain", sides, border="reflecting", diffusion=(1e-3, 16.0))
    theta = jax.tree.map(jnp.zeros_like, far.init(0, 512, 1.0, float))
    f = far.vector_field(get_activation("identity"))
    image = get_scheme("imex").step(f, 0.0, 1.0, u, lambda c: theta).reshape(16, 16, 2)
    assert image[:, :, 1].min() > 1e-4 and abs(image[8, 8, 0]) < 1e-12
    explicit = get_scheme("euler").step(f, 0.0, 1e-3, u, lambda c: theta).reshape(16, 16, 2)
    assert image[2, 2, 1] > 0 and explicit[2:].max() == 0


IN_TIME: list[dict[str, Any]] = [
    {"control": "constant"},
    {"control": "linear"},
    {"control": "legendre"},
    {"control": "chebyshev"},
    {"control": "spline"},
    {"control": "constant", "smoothness": 4.0},
]


def diffusivities(net, theta):
    """Of each channel at the start of three steps: what the right-hand side makes of one pixel, without a reaction."""
    _, f, control, coeffs, _, _, _ = net.flow(theta, jnp.zeros(net.width))
    cells = control.cells(coeffs)
    u = jnp.zeros((net.width // 3, 3)).at[0].set(1.0).ravel()
    at = [control.at(jax.tree.map(lambda leaf, step=step: leaf[step], cells), 0.0) for step in (0, 3, 7)]
    return np.stack([-f.part(one).times(u)[:3] / 4 for one in at])


@pytest.mark.parametrize("settings", IN_TIME, ids=str)
def test_every_control_in_time_starts_from_the_diffusivities_given(settings):
    field = on_images("plain", (4, 4), diffusion=(0.01, 100.0))
    net = ResNet(48, 48, 8, T=4.0, dynamics=field, scheme="imex", opening=False, **settings)
    theta = net.init(0, float)
    np.testing.assert_allclose(diffusivities(net, theta), np.tile([0.01, 1.0, 100.0], (3, 1)), rtol=1e-12)
    moved = theta["flow"] | {"log_diffusion": normal(0, *theta["flow"]["log_diffusion"].shape)}
    moved = {**theta, "flow": moved}
    here = diffusivities(net, moved)
    assert np.ptp(here[:, 0]) > 1e-4  # they do move in time
    for how in ("same", "dilated"):
        finer, fine = rescaled(net, moved, how)
        np.testing.assert_allclose(diffusivities(finer, fine), 4 * here, rtol=1e-12)
    coarser, coarse = rescaled(net, moved, "same", coarser=True)
    np.testing.assert_allclose(diffusivities(coarser, coarse), here / 4, rtol=1e-12)


def test_a_step_takes_the_diffusivities_of_its_start():
    field = on_images("plain", SIDES, border="reflecting", diffusion=(0.2, 3.0))
    f, u, h = field.vector_field(get_activation("tanh")), normal(0, 24), 0.7
    still = jax.tree.map(jnp.zeros_like, field.init(0, 24, 1.0, float))
    found = get_scheme("imex").step(f, 0.0, h, u, lambda c: still | {"log_diffusion": jnp.array([1.0 + c, -2.0 * c])})
    L = dense([0.2 * np.e, 3.0], "reflecting")
    np.testing.assert_allclose(found, np.linalg.solve(np.eye(24) - h * L, u), atol=1e-13)


def test_implicit_steps_are_multiplied_in_full_precision():
    u = jnp.zeros(36, jnp.float32)
    jaxpr = jax.make_jaxpr(lambda u: diffusion(jnp.zeros(3, u.dtype), Grid(SIDES, "zero")).solve(0.1, u))(u)
    assert "dot_general" in str(jaxpr) and str(jaxpr).count("precision=(Precision.HIGHEST") == str(jaxpr).count(
        "= dot_general["
    )


def test_starts_and_names():
    field = on_images("plain", (8, 4), diffusion=(0.25, 4.0))
    np.testing.assert_allclose(np.exp(log_starts((0.25, 4.0), 3)), [0.25, 1.0, 4.0])
    np.testing.assert_array_equal(field.init(0, 96, 1.0, float)["log_diffusion"], np.zeros(3))
    assert field is on_images("plain", (8, 4), diffusion=[0.25, 4.0])
    assert field.name == "plain on 8x4 (diffusion 0.25 to 4.0)"
    assert on_images("plain", (8, 4), diffusion=2).name == "plain on 8x4 (diffusion 2.0)"
    assert on_images("reaction_diffusion", (8, 4)) is on_images("plain", (8, 4), diffusion=(1 / 16, 4.0))
    assert on_images("plain", (8, 4), diffusion=2) is on_images("plain", (8, 4), diffusion=(2.0, 2.0))


def test_bounds_and_other_resolutions_know_the_diffusion():
    image = image_resnet((8, 8, 1), (2,), merge=1, norm="none", border="reflecting")
    field = on_images("parabolic", (8, 8), border="reflecting", diffusion=(0.5, 4.0))
    flow = ResNet(128, 128, 2, T=0.1, dynamics=field, scheme="imex", opening=False)
    net = Chain((image.blocks[0], flow, image.blocks[2]))
    theta = net.init(0, float)
    bound = lipschitz_bound(flow, theta["block 2"])
    J = jax.jacfwd(lambda u: flow.features(theta["block 2"], u))(normal(0, 128))
    assert np.linalg.norm(J, 2) <= bound == 1.0
    with pytest.raises(ValueError, match=r"with diffusion.*no bound is known"):
        lipschitz_bound(dataclasses.replace(flow, scheme="euler"), theta["block 2"])
    finer, fine = rescaled(net, theta, "dilated")
    np.testing.assert_array_equal(fine["block 2"]["flow"]["log_diffusion"], theta["block 2"]["flow"]["log_diffusion"])
    assert isinstance(finer, Chain) and isinstance(finer.blocks[1], ResNet)
    assert finer.blocks[1].field is on_images("parabolic", (16, 16), border="reflecting", taps=5, diffusion=(2.0, 16.0))
    again, coarse = rescaled(finer, fine, "dilated", coarser=True)
    assert again == net
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), coarse, theta)


def test_what_has_no_diffusion_is_refused():
    for dynamics, words in (("hamiltonian", "two halves"), ("contractive", "a linear part of its own")):
        with pytest.raises(ValueError, match=f"{words}, which leaves no place for diffusion"):
            on_images(dynamics, SIDES, diffusion=1.0)
    wrongs: list[Any] = [0.0, -1.0, np.nan, np.inf, (1.0, 2.0, 3.0), [1.0], [1.0, -1.0], "much"]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="diffusion"):
            on_images("plain", SIDES, diffusion=wrong)
    with pytest.raises(ValueError, match=r"no matrices.*'plain' or 'reaction_diffusion'"):
        on_images(get_dynamics("reaction_diffusion")._replace(name="mine"), SIDES)
    with pytest.raises(TypeError, match="needs a Linear"):
        Semilinear(2.0, lambda t, u, theta: u)  # type: ignore
    none = Semilinear(lambda theta: theta, lambda t, u, theta: 0 * u)  # type: ignore
    with pytest.raises(TypeError, match=r"Semilinear\(linear\)\(theta\) needs a Linear: 2\.0 has no"):
        none(0.0, jnp.ones(2), 2.0)
    field = on_images("plain", SIDES, diffusion=1.0)
    for march, words in (("reversible", "cannot be undone|inverse"), ("coupled", "may be singular")):
        with pytest.raises(ValueError, match=words):
            ResNet(24, 24, 2, dynamics=field, scheme="imex", march=march, opening=False)
    assert np.log(np.finfo(np.float32).max) > LARGEST
