"""Dynamics on images: maps right by loops, transposes exact, guarantees and energies kept, marches agree."""

import copy
import dataclasses
import itertools
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import PiecewiseConstant, damped, get_activation, get_dynamics, get_scheme, on_images
from numdl.flow.images import KINDS
from numdl.flow.images.convolution import PADDING
from numdl.flow.images.operators import Grid, image_map
from numdl.flow.march import get_march
from numdl.models import ResNet, image_resnet, rescaled

pytestmark = pytest.mark.usefixtures("x64")
SIDES = (4, 3)
JOINING = ("circulant", "dense")  # all pixels
ON_MATRICES = ("plain", "double", "parabolic", "contractive", "hamiltonian", "double_hamiltonian", "second_order")


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def by_loops(u, k, border="zero"):
    """A convolution, tap by tap, of one image (h, w, i)."""
    a, b = k.shape[:2]
    wide = np.pad(u, ((a // 2, a // 2), (b // 2, b // 2), (0, 0)), mode=PADDING[border])
    found = np.zeros((*u.shape[:2], k.shape[3]))
    for s, t, i, o in np.ndindex(a, b, *k.shape[2:]):
        found[..., o] += k[s, t, i, o] * wide[s : s + u.shape[0], t : t + u.shape[1], i]
    return found


@pytest.mark.quick("*-full", "zero-circulant", "zero-dense", "reflecting-lean", "reflecting-depthwise")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("border", PADDING)
def test_maps_are_what_they_say_and_transposes_exact(kind, border):
    rng, grid = np.random.default_rng(0), Grid(SIDES, border)
    c = 3
    rows = c if kind == "depthwise" else 2
    weights = {
        name: jnp.asarray(values)
        for name, values in KINDS[kind].draw(rng, rows, c, SIDES if kind in JOINING else (3, 3)).items()
    }
    K = image_map(KINDS[kind], weights, grid)
    u = normal(1, *SIDES, c)
    taps, mix = weights.get("_taps", weights.get("")), weights.get("_mix", weights.get(""))
    if kind == "full":
        expected = by_loops(u, taps, border)
    elif kind in JOINING:
        C, all_pixels = np.asarray(mix), list(np.ndindex(*SIDES))
        expected = np.zeros((*SIDES, rows))
        for (a, b), (s, t) in itertools.product(all_pixels, all_pixels):  # z[a, b] of u[s, t]
            part = C[s, t, :, a, b] if kind == "dense" else C[(a - s) % SIDES[0], (b - t) % SIDES[1]]
            expected[a, b] += np.asarray(u)[s, t] @ part
    elif kind == "pointwise":
        expected = np.einsum("hwi,io->hwo", u, mix)
    else:
        expected = by_loops(u, np.einsum("abi,io->abio", taps, np.eye(c)), border)
        expected = expected if kind == "depthwise" else expected @ mix
    np.testing.assert_allclose((K @ u.ravel()).reshape(*SIDES, rows), expected, atol=1e-13)
    matrix = jax.vmap(lambda e: K @ e)(jnp.eye(K.shape[1])).T
    transposed = jax.vmap(lambda e: K.T @ e)(jnp.eye(K.shape[0])).T
    assert K.shape == matrix.shape and K.T.shape == transposed.shape
    np.testing.assert_allclose(transposed, matrix.T, atol=1e-14)


def flows(dynamics, count, **settings):
    """Rates, weights and states of many random networks."""
    field = on_images(dynamics, SIDES, **settings)
    m = SIDES[0] * SIDES[1] * 4
    drawn = [field.init(seed, m, 1.0, float) for seed in range(count)]
    theta = {name: jnp.stack([one[name] for one in drawn]) for name in drawn[0]}
    return field, theta, normal(1, count, m), normal(2, count, m)


@pytest.mark.quick("full-30", "lean-30", "circulant-30")
@pytest.mark.parametrize("count", [30, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_no_two_states_of_a_parabolic_network_move_apart(kind, count):
    field, theta, u, v = flows("parabolic", count, kind=kind, border="reflecting")
    f = field.vector_field(get_activation("relu"))
    apart = jax.jit(jax.vmap(lambda th, u, v: (u - v) @ (f(0.0, u, th) - f(0.0, v, th))))(theta, u, v)
    assert apart.max() <= 1e-12 and apart.min() < -1


@pytest.mark.quick("*-30")
@pytest.mark.parametrize("count", [30, 1000])
@pytest.mark.parametrize("dynamics", ["double_hamiltonian", "hyperbolic"])
def test_energies_are_kept(dynamics, count):
    field, theta, u, _ = flows(dynamics, count)
    f = field.vector_field(get_activation("tanh"))
    potential = lambda z: jnp.logaddexp(z, -z)  # noqa: E731

    def rate(th, u):
        return jax.jvp(lambda u: field.energy(potential, u, th), (u,), (f(0.0, u, th),))[1]

    assert abs(jax.jit(jax.vmap(rate))(theta, u)).max() < 1e-12
    others = jax.tree.map(lambda x: jnp.roll(x, 1, axis=0), theta)  # the energy of another network is not
    f_of_others = jax.vmap(lambda th, u: f(0.0, u, th))(others, u)
    energy = lambda th, u, v: jax.jvp(lambda u: field.energy(potential, u, th), (u,), (v,))[1]  # noqa: E731
    assert abs(jax.vmap(energy)(theta, u, f_of_others)).min() > 1e-4


@pytest.mark.quick("0.3")
@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_the_linearisation_of_an_antisymmetric_network(gamma):
    field, theta, u, _ = flows("antisymmetric", 3)
    f = field.vector_field(get_activation("tanh"), gamma=gamma)
    J = jax.vmap(lambda u, layer: jax.jacfwd(lambda u: f(0.0, u, layer))(u))(u, theta)
    slope = 1 - jax.vmap(lambda u, layer: f(0.0, u, layer))(u, theta) ** 2
    A = J / slope[:, :, None]
    np.testing.assert_allclose(
        (A + A.swapaxes(1, 2)) / 2, np.broadcast_to(-gamma * np.eye(u.shape[1]), A.shape), atol=1e-12
    )


@pytest.mark.quick("double", "contractive", "hamiltonian")
@pytest.mark.parametrize("dynamics", ON_MATRICES)
def test_an_image_of_one_pixel_is_a_layer_of_its_channels(dynamics):
    field, dense = on_images(dynamics, (1, 1)), get_dynamics(dynamics)
    theta = field.init(0, 6, 1.0, float)
    matrices = {name: values[1, 1].T if name[0] == "K" else values for name, values in theta.items()}
    u = normal(1, 6)
    act = get_activation("tanh")
    np.testing.assert_allclose(
        field.vector_field(act)(0.0, u, theta), dense.vector_field(act)(0.0, u, matrices), atol=1e-14
    )


@pytest.mark.quick("reversible")
@pytest.mark.parametrize("march", ["remat", "checkpointed", "reversible", "coupled"])
def test_marches_agree_on_the_gradient(march):
    x = normal(0, 3, SIDES[0] * SIDES[1] * 2)

    def gradient(way):
        net = ResNet(
            d=x.shape[1], width=x.shape[1], depth=6, T=1.5, dynamics=on_images("hamiltonian", SIDES),
            scheme="verlet", march=way, opening=False,
        )  # fmt: skip
        theta = net.init(0, float)
        return jax.grad(lambda theta: jnp.sum(jnp.sin(jax.vmap(lambda one: net.features(theta, one))(x))))(theta)

    for found, expected in zip(jax.tree.leaves(gradient(march)), jax.tree.leaves(gradient("stored")), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-11)
        assert np.abs(expected).max() > 1e-2


def test_what_cannot_be_on_images_is_refused():
    for given, message in (
        (("m_matrix", SIDES), "no matrices"),
        (("parabolic", SIDES, "round"), "unknown"),
        (("parabolic", (4, 0)), "whole numbers >= 1"),
    ):
        with pytest.raises(ValueError, match=message):
            on_images(*given)
    base = get_dynamics("antisymmetric")  # its rule was taken for one of yours
    for mine in ({"vector_field": lambda act: lambda t, u, theta: 100 * u}, {"init": get_dynamics("plain").init}):
        with pytest.raises(ValueError, match="no matrices that could be convolutions"):
            on_images(base._replace(name="mine", **mine), (4, 3))
    with pytest.raises(ValueError, match="odd number"):
        on_images("parabolic", SIDES, taps=4)
    with pytest.raises(ValueError, match="multiple of 4 x 3"):
        on_images("parabolic", SIDES).init(0, 25, 1.0)
    with pytest.raises(ValueError, match="has 2 rows, not 3"):
        KINDS["depthwise"].draw(np.random.default_rng(0), 3, 2, (3, 3))
    assert on_images("parabolic", SIDES) is on_images("parabolic", SIDES)  # nothing compiles again


@pytest.mark.parametrize("kind", JOINING)
def test_kinds_that_join_all_pixels_know_neither_taps_nor_borders(kind):
    """A Hamiltonian flow of dense images is that of matrices, both go back, and neither has another resolution."""
    assert on_images("hamiltonian", SIDES, kind, taps=5) is on_images("hamiltonian", SIDES, kind)
    net = image_resnet((8, 6, 1), (4,), kind=kind, dynamics="hamiltonian", scheme="verlet", activation="tanh")
    theta, x = net.init(0), normal(1, 2, 48)
    back = dataclasses.replace(net, blocks=tuple(reversible(block) for block in net.blocks))
    both = [jax.jit(jax.grad(lambda p, net=net: jnp.sum(net.batch(p, x) ** 2)))(theta) for net in (net, back)]
    for found, expected in zip(*map(jax.tree.leaves, both[::-1]), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)
    flow = theta["block 2"]["flow"]
    layer = {name: leaf[0] for name, leaf in flow.items()}
    u, b = normal(2, 48), np.tile(layer["b"], 12)
    K = np.asarray(
        jax.vmap(lambda e: image_map(KINDS[kind], {"": layer["K"]}, Grid(SIDES, "zero")) @ e, 1, 1)(jnp.eye(24))
    )
    rate = on_images("hamiltonian", SIDES, kind).vector_field(get_activation("tanh"))(0.0, u, layer)
    expected = np.concatenate([np.tanh(K @ u[24:] + b), -np.tanh(K.T @ u[:24] + b)])
    np.testing.assert_allclose(rate, expected, atol=1e-13)
    with pytest.raises(ValueError, match="joins all pixels of one resolution"):
        rescaled(image_resnet((8, 6, 1), (4,), merge=1, kind=kind), theta)


def reversible(block):
    return dataclasses.replace(block, march="reversible") if isinstance(block, ResNet) else block


def test_schemes_step_implicit_parts():
    u = normal(0, 24)
    field = on_images("contractive", SIDES)
    theta = field.init(0, 24, 1.0, float)
    coeffs = jax.tree.map(lambda x: jnp.stack([x] * 64), theta)
    ends = [
        get_march("stored")(
            get_scheme(name), field.vector_field(get_activation("tanh")), PiecewiseConstant(64), coeffs, u, 0.0, 1 / 64
        )
        for name in ("imex", "rk4")
    ]
    assert 1e-6 < np.linalg.norm(ends[0] - ends[1]) < 0.05 * np.linalg.norm(ends[1])


def test_weights_of_single_precision_on_a_state_of_double():
    field = on_images("parabolic", SIDES)
    theta, u = field.init(0, 24, 1.0, np.float32), normal(0, 24)
    f = field.vector_field(get_activation("tanh"))
    rate = jax.jit(lambda th, u: f(0.0, u, th))(theta, u)
    assert rate.dtype == np.float64
    wide = jax.tree.map(lambda x: x.astype(float), theta)
    np.testing.assert_allclose(rate, f(0.0, u, wide), atol=1e-12)


def test_states_in_columns_and_of_another_size():
    field = on_images("parabolic", SIDES)
    theta, u = field.init(0, 24, 1.0, float), normal(0, 24, 5)
    f = field.vector_field(get_activation("tanh"))
    together = f(0.0, u, theta)
    for j in range(5):
        np.testing.assert_allclose(together[:, j], f(0.0, u[:, j], theta), atol=1e-14)
    with pytest.raises(ValueError, match="a state of 20 numbers, needed are 24"):
        f(0.0, normal(0, 20), theta)


def test_a_damping_that_was_chosen_before_is_kept():
    strong = on_images(damped(get_dynamics("antisymmetric"), 0.4), SIDES)
    theta, u, act = strong.init(0, 24, 1.0, float), normal(0, 24), get_activation("tanh")
    free = on_images("antisymmetric", SIDES)
    rate = free.vector_field(act, gamma=0.4)(0.0, u, theta)
    np.testing.assert_allclose(strong.vector_field(act)(0.0, u, theta), rate, atol=1e-14)
    assert np.abs(rate - free.vector_field(act)(0.0, u, theta)).max() > 1e-2


def test_names_tell_apart_what_a_file_must_ask_for():
    given = ({}, {"kind": "depthwise"}, {"taps": 1}, {"border": "periodic"}, {"border": "reflecting"})
    names = [on_images("parabolic", (3, 3), **more).name for more in given]
    assert names[0] == "parabolic on 3x3" and names[1] == "parabolic on 3x3 (depthwise)" and len(set(names)) == 5
    assert on_images("plain", (4, 3), "lean", taps=1, border="periodic").name == "plain on 4x3 (lean, taps 1, periodic)"
    assert on_images("plain", (4, 3), "pointwise", taps=1) is on_images("plain", (4, 3), "pointwise")


@pytest.mark.parametrize(
    "field",
    [
        on_images("parabolic", SIDES),
        on_images("plain", SIDES, "lean", taps=5, border="periodic", diffusion=(0.5, 2.0)),
        on_images("antisymmetric", SIDES, border="reflecting"),
        on_images(damped(get_dynamics("antisymmetric"), 0.4), SIDES, "pointwise"),
    ],
    ids=lambda field: field.name,
)
def test_dynamics_of_images_are_themselves_after_a_process_boundary(field):
    """Their functions are local ones: no network of images could be sent to another process."""
    assert pickle.loads(pickle.dumps(field)) is field and copy.deepcopy(field) is field
    net = ResNet(24, 24, 2, dynamics=field, opening=False)
    assert pickle.loads(pickle.dumps(net)) == net
    if field.damping is not None:
        strong = ResNet(24, 24, 2, dynamics=field, opening=False, damping=0.7)
        assert pickle.loads(pickle.dumps(strong)) == strong and pickle.loads(pickle.dumps(strong.field)) is strong.field


def test_networks_of_images_work_in_another_process():
    net = image_resnet((4, 4, 1), (2,), dynamics="hamiltonian", scheme="verlet", march="reversible")
    with jax.enable_x64(False):
        theta, x = net.init(0), np.random.default_rng(0).standard_normal((3, 16)).astype("f4")
        here = np.asarray(net.batch(theta, jnp.asarray(x)))
    work = "import pickle, sys; net, theta, x = pickle.load(sys.stdin.buffer); "
    work += "sys.stdout.buffer.write(pickle.dumps(__import__('numpy').asarray(net.batch(theta, x))))"
    sent = pickle.dumps((net, jax.tree.map(np.asarray, theta), x))
    done = subprocess.run([sys.executable, "-c", work], input=sent, capture_output=True, check=True)
    np.testing.assert_allclose(pickle.loads(done.stdout), here, rtol=1e-5)


def test_dynamics_of_images_can_be_pickled_when_made_again_or_renamed():
    """What pickle asked for was identity with what the cache makes now: after 256 others nothing could be sent."""
    field = on_images("antisymmetric", (4, 3), border="periodic")
    named, strong = field._replace(name="mine"), damped(field, 0.7)
    assert pickle.loads(pickle.dumps(named)) == named
    assert pickle.loads(pickle.dumps(strong._replace(name="mine"))) == strong._replace(name="mine")
    quiet = field._replace(damping=0.5)
    assert pickle.loads(pickle.dumps(quiet)) == quiet
    for rows in range(1, 258):
        on_images("parabolic", (rows, 7))
    for one in (field, named, strong, strong._replace(name="mine")):
        found = pickle.loads(pickle.dumps(one))
        assert (found.name, found.damping, found.guarantees) == (one.name, one.damping, one.guarantees)
        theta, u = one.init(0, 12, 1.0), jnp.linspace(-1, 1, 12)
        act = get_activation("tanh")
        np.testing.assert_array_equal(found.vector_field(act)(0.0, u, theta), one.vector_field(act)(0.0, u, theta))
