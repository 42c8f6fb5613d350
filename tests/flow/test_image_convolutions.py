"""Convolutions of images against loops, fixtures and each other, derivatives of all orders, norms against fixtures."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from numdl.flow.images import BORDERS, NORMS, convolve, convolve_transposed, normalise

MODES: dict[str, Any] = {"zero": "constant", "periodic": "wrap", "reflecting": "symmetric"}
SHAPES = {"3 x 3": (3, 3, 2, 3), "1 x 1": (1, 1, 2, 4), "5 x 3": (5, 3, 1, 2)}


@pytest.fixture(scope="module")
def reference():
    with np.load(Path(__file__).parents[1] / "reference" / "image_layers.npz") as file:
        return {name: file[name] for name in file.files}


def draw(shape, n=2, height=5, width=6):
    rng = np.random.default_rng(sum(shape))
    K, u = rng.standard_normal(shape), rng.standard_normal((n, height, width, shape[2]))
    return K, u, rng.standard_normal((n, height, width, shape[3]))


def by_loops(K, u, border, turned=False):
    h, w = K.shape[:2]
    K = K[::-1, ::-1] if turned else K
    around = np.pad(u, ((0, 0), (h // 2,) * 2, (w // 2,) * 2, (0, 0)), mode=MODES[border])
    z = np.zeros((*u.shape[:3], K.shape[3]))
    for i in range(u.shape[1]):
        for j in range(u.shape[2]):
            for p in range(h):
                for q in range(w):
                    z[:, i, j] += around[:, i + p, j + q] @ K[p, q]
    return z


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.quick("3 x 3-zero", "5 x 3-reflecting")
def test_convolutions_are_those_of_loops_and_adjoints_are_exact(name, border):
    K, u, z = draw(SHAPES[name])
    with jax.enable_x64(True):
        kernel = jnp.asarray(K)
        found, back = convolve(kernel, jnp.asarray(u), border), convolve_transposed(kernel, jnp.asarray(z), border)
        np.testing.assert_allclose(found, by_loops(K, u, border), atol=1e-13)
        np.testing.assert_allclose(np.vdot(found, z), np.vdot(u, back), rtol=1e-12)
        if K.shape[0] > 1:
            assert np.abs(found - by_loops(K, u, border, turned=True)).max() > 1.0  # the mistake of a turned kernel


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.quick("zero")
def test_derivatives_of_first_and_second_order(border):
    K, u, _ = draw((3, 3, 2, 2), height=4, width=4)
    with jax.enable_x64(True):
        K, u = jnp.asarray(K), jnp.asarray(u)

        def value(K, u):
            return jnp.sum(jnp.sin(convolve_transposed(K, jnp.tanh(convolve(K, u, border)), border)))

        check_grads(jax.jit(value), (K, u), 2, modes=("fwd", "rev"))  # forward over reverse is in it


def test_a_gradient_inside_a_loop_is_that_outside_and_of_samples_that_of_each():
    _, u, _ = draw((3, 3, 2, 2))
    K = np.random.default_rng(0).standard_normal((3, 3, 3, 2, 2)) / 3
    with jax.enable_x64(True):
        K, u = jnp.asarray(K), jnp.asarray(u)

        def step(u, k):
            return u - 0.1 * convolve_transposed(k, jnp.tanh(convolve(k, u))), None

        def inside(K, u):
            return jnp.sum(jax.lax.scan(step, u, K)[0] ** 2)

        def outside(K, u):
            for k in K:
                u = step(u, k)[0]
            return jnp.sum(u**2)

        found = jax.jit(jax.grad(inside))(K, u)
        np.testing.assert_allclose(found, jax.jit(jax.grad(outside))(K, u), rtol=1e-12)
        each = jax.jit(jax.vmap(jax.grad(lambda K, one: inside(K, one[None])), in_axes=(None, 0)))(K, u)
        np.testing.assert_allclose(each.sum(axis=0), found, rtol=1e-10)


def test_the_loop_holds_no_convolution_that_is_slow_there():
    """The kernel's gradient has the image's channels for samples: XLA has no fast way for what JAX derives."""
    K, u, _ = draw((3, 3, 2, 2))

    def loss(convolution):
        return lambda K, u: jnp.sum(jax.lax.scan(lambda u, _: (convolution(K, u), None), u, None, length=2)[0])

    def derived(K, u):
        return jax.lax.conv_general_dilated(u, K, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    names = [str(jax.jit(jax.grad(loss(one))).lower(K, u).as_text()) for one in (convolve, derived)]
    assert "[f, 0, 1, b]" not in names[0]
    assert "[f, 0, 1, b]" in names[1]


def test_the_fixture_of_convolutions(reference):
    ref = {name.removeprefix("conv_"): value for name, value in reference.items() if name.startswith("conv_")}
    with jax.enable_x64(True):
        K, u, w = (jnp.asarray(ref[name]) for name in ("K", "u", "w"))
        z, back = jax.vjp(lambda K, u: convolve(K, u, "periodic"), K, u)
        np.testing.assert_allclose(z, ref["z"], atol=1e-10)
        for found, name in zip(back(w), ("jtw_K", "jtw_u"), strict=True):
            np.testing.assert_allclose(found, ref[name], atol=1e-10)
        np.testing.assert_allclose(convolve_transposed(K, w, "periodic"), ref["jtw_u"], atol=1e-10)
        columns = convolve(K, jnp.eye(60).reshape(60, 6, 5, 2), "periodic").reshape(60, 90)
        np.testing.assert_allclose(columns.T, ref["matrix"], atol=1e-10)


@pytest.mark.quick("batch", "whitened")
@pytest.mark.parametrize("norm", ["tv", "instance", "batch", "whitened"])
def test_the_fixtures_of_norms(reference, norm):
    ref = {name.removeprefix(f"{norm}_"): value for name, value in reference.items() if name.startswith(f"{norm}_")}
    norm = "batch" if norm == "whitened" else norm  # without a factor and a shift
    with jax.enable_x64(True):
        u, du, w = (jnp.asarray(ref[name]) for name in ("u", "du", "w"))
        theta = [jnp.asarray(ref[name]) for name in ("scale", "shift") if name in ref]

        def act(u, *theta):
            return normalise(u, norm, *theta, eps=float(ref["eps"]))

        z, jv = jax.jvp(lambda u: act(u, *theta), (u,), (du,))
        np.testing.assert_allclose(z, ref["z"], atol=1e-10)
        np.testing.assert_allclose(jv, ref["jv_u"], atol=1e-10)
        back = jax.vjp(act, u, *theta)[1](w)
        np.testing.assert_allclose(back[0], ref["jtw_u"], atol=1e-10)
        if theta:
            np.testing.assert_allclose(np.concatenate(back[1:]), ref["jtw_theta"], atol=1e-10)
            along = jax.jvp(lambda *theta: act(u, *theta), tuple(theta), tuple(np.split(ref["dtheta"], 2)))[1]
            np.testing.assert_allclose(along, ref["jv_theta"], atol=1e-10)
        other = "instance" if norm != "instance" else "layer"
        assert np.abs(normalise(u, other, *theta, eps=float(ref["eps"])) - ref["z"]).max() > 1e-2


def test_what_norms_make_alike():
    u = np.random.default_rng(0).standard_normal((3, 4, 5, 2)) * 3 + 1
    for norm, axes in NORMS.items():
        found = np.asarray(normalise(jnp.asarray(u), norm, eps=1e-12))
        if norm == "tv":
            np.testing.assert_allclose((found**2).sum(axis=3), 1, rtol=1e-5)
        else:
            np.testing.assert_allclose(found.mean(axis=axes), 0, atol=1e-5)
            np.testing.assert_allclose(found.var(axis=axes), 1, rtol=1e-4)


def test_what_does_not_fit_is_refused():
    K, u = jnp.ones((3, 3, 2, 2)), jnp.ones((1, 4, 4, 2))
    for change, says in (
        (lambda: convolve(K[:2], u), "needs odd sides, 2 x 3"),
        (lambda: convolve(K, u, "mirror"), "border"),
        (lambda: convolve(jnp.ones((9, 3, 2, 2)), u[:, :3], "periodic"), "reaches further than the image"),
        (lambda: normalise(u, "group"), "norm"),
        (lambda: normalise(u, "tv", eps=0.0), "eps"),
    ):
        with pytest.raises(ValueError, match=says):
            change()
