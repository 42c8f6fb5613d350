"""Stencils and networks across resolutions: Galerkin against R K P, moments, dilation, round trips, refusals."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import on_images
from numdl.flow.images import BORDERS, TRANSFERS, convolve, roughness, transferred
from numdl.models import MLP, Chain, Connector, ResNet, image_resnet, rescaled, stencil_roughness
from numdl.optimize import NewtonCG, minimize_cascadic
from numdl.problems import SOFTMAX, separable

pytestmark = pytest.mark.usefixtures("x64", "unchecked")  # arrays of NumPy are taken too


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def matrix_of(K, sides, border):
    """A convolution of one channel as a matrix; pixels numbered with the first axis running fastest."""
    n = sides[0] * sides[1]
    points = np.eye(n).reshape(n, sides[1], sides[0]).swapaxes(1, 2)[..., None]
    return np.asarray(convolve(K[:, :, None, None], points, border))[..., 0].swapaxes(1, 2).reshape(n, n).T


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("taps", [1, 3, 5])
def test_galerkin_stencils_are_those_of_the_reference(taps, border):
    """Averages of cells R from tests/reference, P = 4 R'."""
    with np.load(Path(__file__).parents[1] / "reference" / "image_operators.npz") as file:
        R = file["restriction"]  # 6 x 4 pixels to 3 x 2 cells
    K = normal(taps, taps, taps)
    expected = R @ matrix_of(K, (6, 4), border) @ (4 * R.T)
    np.testing.assert_allclose(matrix_of(transferred(K, coarser=True), (3, 2), border), expected, atol=1e-14)
    if taps == 3:
        for how in ("same", "rediscretised"):  # the mutants
            assert np.abs(matrix_of(transferred(K, how, coarser=True), (3, 2), border) - expected).max() > 0.1


def test_galerkin_has_an_inverse_by_least_squares():
    for taps in (1, 3, 5):
        K = normal(0, taps, taps, 2, 3)
        finer = transferred(K)
        np.testing.assert_allclose(transferred(finer, coarser=True), K, atol=1e-12)
        least = transferred(transferred(finer, coarser=True))
        np.testing.assert_allclose(least, finer, atol=1e-12)
    K = normal(1, 7, 7)  # more taps than their Galerkin stencil tells: the shortest of those that do
    assert np.linalg.norm(transferred(transferred(K, coarser=True))) < np.linalg.norm(K)
    a, b, c = normal(2, 3)
    row = np.zeros((3, 3))
    row[1] = a, b, c
    np.testing.assert_allclose(transferred(row, coarser=True)[1] * 1.0, [a / 2, b + (a + c) / 2, c / 2])


@pytest.mark.parametrize("taps", [3, 5])
def test_rediscretised_stencils_are_the_same_differential_operator(taps):
    """On polynomials up to the number of taps the answer is the same at the same place, whatever the mesh."""
    K = normal(0, taps, taps)
    finer = transferred(K, "rediscretised")
    q = np.arange(taps) - taps // 2
    for i in range(taps):
        for j in range(taps):
            values = [np.sum(S * np.outer((h * q) ** i, (h * q) ** j)) for S, h in ((K, 1.0), (finer, 0.5))]
            np.testing.assert_allclose(*values, atol=1e-10)
    np.testing.assert_allclose(transferred(finer, "rediscretised", coarser=True), K, atol=1e-12)
    laplacian = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0.0]])
    np.testing.assert_allclose(transferred(laplacian, "rediscretised"), 4 * laplacian, atol=1e-13)


FLOWS = {"depth": 2, "dynamics": "parabolic", "norm": "none", "border": "periodic", "activation": "tanh"}


@pytest.mark.parametrize("kind", ["full", "depthwise", "lean", "pointwise"])
def test_dilated_networks_see_four_coarse_images(kind):
    """Each fourth of the pixels is an image of its own, through all of the flow; means put the four together."""
    net = image_resnet((4, 4, 1), (2,), merge=1, kind=kind, **FLOWS)
    theta = net.init(0)
    finer, wide = rescaled(net, theta, "dilated")
    x = normal(1, 3, 8, 8)
    found = jax.jit(finer.batch)(wide, x.reshape(3, -1))
    parts = [jax.jit(net.batch)(theta, x[:, i::2, j::2].reshape(3, -1)) for i in (0, 1) for j in (0, 1)]
    np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=1e-12)
    same = rescaled(net, theta, "same")
    assert np.abs(same[0].batch(same[1], x.reshape(3, -1)) - found).max() > 1e-3  # the mutant
    back, again = rescaled(finer, wide, "dilated", coarser=True)
    assert back.title == net.title
    jax.tree.map(np.testing.assert_array_equal, again, theta)


@pytest.mark.parametrize("how", TRANSFERS)
def test_networks_of_other_resolutions_keep_their_form(how):
    net = image_resnet((8, 4, 2), (2, 4), merge=1, dynamics="antisymmetric", damping=0.3, cells=(2, 1))
    theta = net.init(0)
    finer, wide = rescaled(net, theta, how)
    assert (finer.d, finer.width) == (4 * net.d, net.width)
    assert finer.blocks[1].field.damping == 0.3 and finer.blocks[1].width == 4 * net.blocks[1].width
    assert jax.tree.structure(finer.init(0)) == jax.tree.structure(wide)
    assert jax.tree.map(jnp.shape, finer.init(0)) == jax.tree.map(jnp.shape, wide)
    back, again = rescaled(finer, wide, how, coarser=True)
    assert back.title == net.title
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), again, theta)


def test_the_roughness_of_stencils():
    K = normal(0, 3, 3, 2)
    expected = sum((K[i, j, c] - K[i - 1, j, c]) ** 2 + (K[j, i, c] - K[j, i - 1, c]) ** 2
                   for i in (1, 2) for j in range(3) for c in range(2)) / 2  # fmt: skip
    np.testing.assert_allclose(roughness(K), expected)
    assert roughness(np.ones((3, 3, 2))) == 0
    net = image_resnet((4, 4, 1), (2,), merge=1, kind="lean", depth=2)
    theta = net.init(0)
    parts = [theta["block 1"]["K"], *theta["block 2"]["flow"]["K_taps"]]
    np.testing.assert_allclose(stencil_roughness(net, theta), sum(roughness(K) for K in parts))
    slope = jax.grad(lambda theta: stencil_roughness(net, theta))(theta)
    assert np.abs(slope["block 2"]["flow"]["K_mix"]).max() == 0 < np.abs(slope["block 2"]["flow"]["K_taps"]).max()


@pytest.mark.parametrize(("dtype", "most", "atol"), [("f4", 5, 1e-3), ("f8", 9, 1e-5)])
def test_what_is_rediscretised_comes_back_in_its_own_precision(dtype, most, atol):
    """In single precision 7 taps came back wrong by 0.2 and 9 by 28: they are refused."""
    for taps in range(1, most + 1, 2):
        K = normal(0, taps, taps).astype(dtype)
        finer = transferred(K, "rediscretised")
        assert finer.dtype == dtype
        np.testing.assert_allclose(transferred(finer, "rediscretised", coarser=True), K, atol=atol)
    with pytest.raises(ValueError, match="too much for their digits"):
        transferred(normal(0, 13, 13).astype(dtype), "rediscretised")
    assert transferred(np.eye(3, dtype=int)).dtype == float


def test_a_stride_that_divides_keeps_the_form():
    net = Connector((8, 4, 1), 2, stride=2)
    assert [rescaled(net, net.init(0), coarser=c)[0].after for c in (False, True)] == [(8, 4, 2), (2, 1, 2)]


DENSE = ResNet(4, 4, 2)
PADDED = ResNet(4, 8, 2, dynamics=on_images("parabolic", (2, 2)), opening=False)
ALL, ODD = Connector((4, 4, 1), 2, pool="all"), Connector((5, 4, 1), 2, stride=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: transferred(np.ones((2, 2))), "as many taps along both axes, odd"),
        (lambda: transferred(np.ones((3, 5))), "as many taps along both axes, odd"),
        (lambda: transferred(np.ones((3, 3)), "linear"), "Use one of 'same', 'galerkin'"),
        (lambda: transferred(np.ones((3, 3)), "dilated", coarser=True), "was not dilated"),
        (lambda: rescaled(DENSE, DENSE.init(0)), "neither connector nor flow on images"),
        (lambda: rescaled(MLP(2, (3,)), {}), "neither connector nor flow on images"),
        (lambda: rescaled(Connector((4, 4, 1), 2, merge=2), Connector((4, 4, 1), 2, merge=2).init(0)), "Use merge=1"),
        (lambda: rescaled(Connector((3, 4, 1), pool=1), {}, coarser=True), "3 x 4 cannot be halved"),
        (lambda: rescaled(PADDED, PADDED.init(0)), "d=4, width=8.*padded with zeros are no image"),
        (lambda: rescaled(Chain((ALL,)), Chain((ALL,)).init(0)), r"pool=\(4, 4\).*means are over all pixels"),
        (lambda: rescaled(ODD, ODD.init(0)), r"stride=2.*takes \(5, 4\) pixels of an image that had \(3, 2\)"),
        (lambda: transferred(np.ones((7, 7), "f4"), "rediscretised"), "7 x 7 taps and dtype float32.*Use 'galerkin'"),
        (lambda: transferred(np.ones((13, 13)), "rediscretised"), "13 x 13 taps and dtype float64.*Use 'galerkin'"),
        (lambda: rescaled(Chain((Connector((4, 4, 1), 2),)), {}), "needs weights 'block 1'"),
        (
            lambda: rescaled(ResNet(3, 16, 1, dynamics=on_images("plain", (4, 4))), {"flow": {}}),
            "neither connector nor flow on images",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_training_from_coarse_images_to_fine_ones():
    """By the driver of levels in time: the fine problem begins where the coarse one has ended."""
    rng, y = np.random.default_rng(0), np.arange(30) % 3
    a, b = np.indices((8, 8))
    fine = np.stack([np.sin(0.8 * a), np.sin(0.8 * b), np.cos(0.6 * (a + b))])[y] + 0.5 * rng.standard_normal(
        (30, 8, 8)
    )
    images = fine.reshape(-1, 4, 2, 4, 2).mean((2, 4)), fine
    small = image_resnet((4, 4, 1), (2,), merge=1, norm="none", cells=(2, 2))
    theta = small.init(0, float)
    large = rescaled(small, theta)[0]
    problems = [
        separable(net, theta, x.reshape(30, -1), np.eye(3)[y], loss=SOFTMAX, alpha=1e-3, alpha_head=1e-2)
        for net, x in zip((small, large), images, strict=True)
    ]
    head = problems[0].first_head(theta)

    def prolong(level, p):
        return rescaled(small, p)[1]

    result, at = minimize_cascadic(problems, NewtonCG(), theta, head, prolong=prolong, ratio=4, max_iter=8)
    history, first = result.history, np.flatnonzero(result.history["level"])[0]
    assert at.level == 1 and large.batch(result.p, problems[1].x).shape == (30, 8)
    alone = problems[1].value(large.init(0, float), head)[0]
    assert history["objective"][first] < 0.5 * float(alone) and history["objective"][-1] < history["objective"][first]
    share = np.diff(history["work"], prepend=0.0)
    assert share[:first].max() < 0.6 * share[first:].min()  # a pass of a fourth of the pixels, and a look at the finer
