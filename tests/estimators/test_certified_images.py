"""Certified lengths of images: bounds that no change exceeds, attacks that find none, members by oracles."""

import copy
import itertools

import jax
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.datasets import load_digits

from numdl.estimators import ImageClassifier, PatchFeaturesClassifier
from numdl.estimators.images import kernel, network
from numdl.estimators.patches import certifying
from numdl.estimators.patches.certified import Bounds, Changes, largest
from numdl.estimators.patches.certifying import Looked
from numdl.estimators.patches.features import pooled, rooted
from numdl.estimators.patches.filters import Filters, draw_filters
from numdl.estimators.patches.intake import reduced, reduced_norm, rounding


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x.reshape(-1, 8, 8), y


@pytest.fixture(scope="module")
def models(digits):
    """Patches, with and without mirror images; patches and a kernel; these and an untrained network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "CHANNELS", (8, 8))
        network.chain.cache_clear()
        yield _models(digits)
    network.chain.cache_clear()


def _models(digits):
    x, y = digits[0][:300], digits[1][:300]
    found = {str(m): PatchFeaturesClassifier(24, mirror=m, random_state=0).fit(x, y) for m in (False, True)}
    for name, mirror in (("kernel", False), ("network", True)):
        model = ImageClassifier(5.0, mirror=mirror, random_state=0)
        vars(model).update(copy.deepcopy(vars(found[str(mirror)])) | {"time_budget": 5.0})
        take = lambda rows, model=model: next(iter(model._scaled(x[rows][..., None])))[1]  # noqa: E731
        head, _ = kernel.fitted(take, np.eye(10)[y], np.ones(300), np.arange(300), 30, 1e3)
        model.kernel_, model.network_, model.missing_ = head, None, {}
        model.members_, model.exponents_, model.held_out_ = ["patches", "kernel"], np.array([0.3, 9.0]), np.zeros(0)
        found[name] = model
    model = found["network"]
    net = network.chain(4, 8, "none", True)
    theta = jax.tree.map(lambda leaf: 2.0 * np.asarray(leaf), net.init(0, np.float32))
    theta["head"] = {"W": np.random.default_rng(0).standard_normal((8, 10)).astype("f4"), "b": np.zeros(10, "f4")}
    model.network_ = network.PatchNetwork(4, 4, np.zeros(8), np.full(8, 0.5), True, True, theta, 0, 0.0)
    model.members_.append("network")
    model.exponents_ = np.append(model.exponents_, 0.01)
    return found


# -------------------------------------------------------------------------------------------------------------- bounds
@pytest.mark.parametrize("folded", [False, True])
def test_no_change_of_an_image_moves_features_further_than_the_bound(folded):
    """Random changes, and those along the slope; the mutant takes places below the threshold to stay there."""
    rng, closest, mutant = np.random.default_rng(0), 0.0, 0.0
    images = rng.random((40, 9, 7, 2)) * (rng.random((40, 9, 7, 2)) > 0.4)  # flat patches too
    filters = draw_filters(images, 6, rng)
    images[0] = 0.3  # where filters see nothing
    bounds, forgetful = Bounds(filters, folded=folded), Bounds(filters, folded=folded)
    forgetful.norms = 0 * bounds.norms
    of = lambda u: rooted(pooled(filters, u, folded=folded)).astype(float)  # noqa: E731
    for image, eps in itertools.product(images[:6], (1e-3, 0.02, 0.3, 2.0)):
        seen = bounds.see(image)
        u = np.sqrt(np.maximum(seen.averages, 0))
        np.testing.assert_allclose(u, of(image[None])[0], atol=2e-3)  # the root of rounding where nothing is seen
        g = np.concatenate([rng.standard_normal((10, len(u))), np.eye(len(u))[rng.permutation(len(u))[:10]]])
        steepest = [np.divide(each, 2 * u, out=np.zeros(len(u)), where=u > 1e-3) for each in g]
        changes = np.stack([bounds.slope(image, seen, each) for each in steepest])
        changes = np.concatenate([changes, rng.standard_normal(changes.shape)])
        changes *= eps / np.linalg.norm(changes.reshape(40, -1), axis=1).clip(1e-30).reshape(-1, 1, 1, 1)
        moved = of(image + changes) - of(image[None])
        most, scale = bounds.changes(seen, eps), rng.uniform(0.5, 2, len(u))
        along, rounding = most.along(g), 1e-3 * np.abs(g).sum(axis=1)
        found = np.abs(np.concatenate([np.einsum("ij,ij->i", g, moved[:20]), (g @ moved[20:].T).max(axis=1)]))
        assert (found <= np.tile(along + rounding, 2)).all()
        assert np.linalg.norm(moved / scale, axis=1).max() <= most.length(scale) + 1e-3 * len(u) ** 0.5
        closest = max(closest, (found / np.tile(along + 1e-9, 2)).max())
        mutant = max(mutant, (found / np.tile(forgetful.changes(seen, eps).along(g) + rounding, 2)).max())
        grid = (2, 3)
        cells = [
            pooled(filters, v, folded=False, last=4, grid=grid).astype(float) for v in (image + changes, image[None])
        ]
        assert np.linalg.norm(cells[0] - cells[1], axis=1).max() <= bounds.of_cells(4, grid)(seen, eps) + 1e-4
    assert closest > 0.1 and mutant > 1


def test_a_planted_patch_is_bounded_by_its_slope():
    """One patch of two pixels, (x1 - x2) / 2 / s, one cell: the bound is the derivative where changes are small."""
    f = np.array([1.0, -1.0]).reshape(1, 1, 1, 2)
    filters = Filters(np.concatenate([f, -f]).astype(np.float32), np.zeros(2, np.float32), 0.25, 0.1, (1, 2, 1))
    bounds, image = Bounds(filters, folded=False), np.array([1.0, 0.2]).reshape(1, 2, 1)
    seen, eps = bounds.see(image), 1e-6
    n, s = 0.8 / np.sqrt(0.16 + 0.25), np.sqrt(0.16 + 0.25)
    np.testing.assert_allclose(seen.averages, [n - 0.1, 0, 0, n - 0.1], atol=1e-6)
    g = np.array([1.0, 0.0, 0.0, 0.0])
    exact = np.sqrt(2) / s * eps / (2 * np.sqrt(n - 0.1))  # without what a change of contrast takes back
    # both filters, one the other's negative, have the norm 2 together and one of them sqrt(2)
    np.testing.assert_allclose(bounds.changes(seen, eps).along(g), exact * np.sqrt(2), rtol=1e-4)
    assert (bounds.changes(seen, 0.5).along(g) > 0.5 / eps * exact).all()


def test_the_largest_length_is_found_or_none():
    for most in (3e-8, 0.02, 1.0, 700.0):
        assert most / 1.1 < largest(lambda eps, most=most: eps <= most, 1e-3) <= most
    assert largest(lambda eps: False, 1e-3) == 0 and largest(lambda eps: True, 1e-3) == np.inf
    assert Changes(np.ones(2), np.array([4.0, 0])).length(np.array([1.0, 1])) == pytest.approx(2**0.5 + 2)


def test_reduced_images_change_less():
    for sides in ((8, 8), (100, 60), (97, 50), (49, 1)):
        rows = reduced(
            np.eye(sides[0] * sides[1], dtype=np.float32).reshape(-1, *sides, 1)[:: 7 if sides[1] > 1 else 1]
        )
        norms = np.linalg.norm(rows.reshape(len(rows), -1), axis=1)  # of one pixel in each rectangle
        pixels = rows.reshape(len(rows), -1).max(axis=1)
        np.testing.assert_allclose(reduced_norm(sides), np.sqrt(pixels.max()), rtol=1e-6)
        assert (norms <= reduced_norm(sides) * (1 + 1e-6)).all()


# ------------------------------------------------------------------------------------------------------------- members
def test_bounds_of_a_kernel_are_those_of_dense_matrices():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((90, 5)).astype(np.float32), rng.integers(3, size=90)
    head, _ = kernel.fitted(lambda rows: x[rows], np.eye(3)[y], np.ones(90), np.arange(90), 10, 1e3)
    k = lambda a, b: np.exp(-head.gamma * ((a[:, None] - b) ** 2).sum(axis=2))  # noqa: E731
    rows, a, steep = head.rows.astype(float), head.coef.astype(float), head.steepness()
    for i, j in itertools.permutations(range(3), 2):
        d = a[:, i] - a[:, j]
        exact = np.sqrt(d @ k(rows, rows) @ d)
        assert exact <= steep[i, j] < 1.5 * np.sqrt(exact**2 + head.alpha * d @ d)
    assert (np.diag(steep) == 0).all()
    z, step = rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    slopes = head.slopes(z.astype(np.float32))
    for h in (1e-3, 1.0, 5.0):
        far = head.scores((z + h * step).astype(np.float32)) - head.scores(z.astype(np.float32))
        missed = far - h * np.einsum("nm,nmk->nk", step, slopes)
        for n, (i, j) in itertools.product(range(4), itertools.permutations(range(3), 2)):
            length = h * float(np.linalg.norm(step[n]))
            assert abs(missed[n, i] - missed[n, j]) <= steep[i, j] * head.bend(length) + 1e-5
            t = head.gamma * length**2  # by the matrix of the products of both kernels and of the derivative of one
            gram = np.array([[1, np.exp(-t), 2 * t * np.exp(-t)], [0, 1, 0], [0, 0, 2 * t]])
            gram = np.triu(gram, 1) + np.triu(gram).T
            exact = np.array([1.0, -1, -1]) @ gram @ np.array([1.0, -1, -1])
            np.testing.assert_allclose(head.bend(length) ** 2, exact, rtol=1e-2, atol=1e-9)


def test_a_network_is_bounded_by_its_layers(models):
    net, rng = models["network"].network_, np.random.default_rng(0)
    x = rng.random((3, 4, 4, 8)).astype(np.float32)
    for code, other in ((0, 3), (7, 2)):
        slope = net.margin_slope(x[0], code, other)
        h = 1e-2 * slope / np.linalg.norm(slope)
        told = net.of_responses(np.stack([x[0] + h, x[0] - h]).astype(np.float32))
        difference = (told[0] - told[1])[code] - (told[0] - told[1])[other]
        np.testing.assert_allclose(difference / 2e-2, np.linalg.norm(slope), rtol=2e-2)
        assert np.linalg.norm(slope) < net.lipschitz_bound()
    assert list(net.lipschitz_bounds())[-1] == "head" and len(net.lipschitz_bounds()) == 6
    W = net.theta["head"]["W"]
    assert net.lipschitz_bounds()["head"] == pytest.approx(
        max(np.linalg.norm(W[:, i] - W[:, j]) for i in range(10) for j in range(10)), rel=1e-6
    )


# ------------------------------------------------------------------------------------------------------------- attacks
@pytest.mark.parametrize("name", ["False", "True", "kernel", "network"])
def test_no_attack_within_the_certified_length_takes_a_class(models, digits, name):
    """Descent of the margin on the sphere of that length, from random changes and from none; longer ones succeed."""
    model, rng = models[name], np.random.default_rng(0)
    x, y = digits[0][300:320], digits[1][300:320]
    radius = model.certified_radius(x, y)
    right = model.predict(x) == y
    assert ((radius > 0) == right).all() and right.mean() > 0.8
    assert radius.max() < 2 and np.median(radius) > (1e-4 if name == "network" else 1e-2)
    images, codes, rows = x[right][..., None], y[right], np.arange(right.sum())

    def attacked(lengths, change, steps=6):
        """Changes of these lengths after steps along the slope of the margin to the class next to it."""
        bounds, size = Bounds(model.filters_, folded=model.mirror_), lengths.reshape(-1, 1, 1, 1)
        unit = lambda u: u / np.linalg.norm(u.reshape(len(u), -1), axis=1).clip(1e-30).reshape(-1, 1, 1, 1)  # noqa: E731
        change = size * unit(change)
        for _ in range(steps):
            rest = model.predict_log_proba(images + change)
            rest[rows, codes] = -np.inf
            looked = model._look(bounds, images + change)
            pairs = zip(codes.tolist(), rest.argmax(axis=1).tolist(), strict=True)
            slopes = [
                model._margin_slope(bounds, images[i] + change[i], looked.seen[i], looked.slope(i, model._beta), pair)
                for i, pair in enumerate(pairs)
            ]
            change = size * unit(change - size * unit(np.array(slopes)))
        return model.predict(images + change)

    for start in (np.zeros(images.shape), rng.standard_normal(images.shape)):
        assert (attacked(0.999 * radius[right], start) == codes).all()
    taken = np.mean(attacked(np.full(len(rows), 6.0), np.zeros(images.shape)) != codes)
    assert taken > 0.2, taken


def _proved(model, x, y):
    """Lengths before the rounding of pixels is taken off, and what they are made of."""
    bounds, scores = Bounds(model.filters_, folded=model.mirror_), model._member_scores(x)
    known, looked = model._known(bounds), model._look(bounds, x)
    return model._radii(known, scores, looked, y, model._beta), known, looked, scores


def test_rounding_of_pixels_is_counted(digits):
    """At 101325 numbers of float32 are 1/128 apart: a change of 1e-5 across the middle of two moves by that."""
    x, y = digits[0][:200] / 64, digits[1][:200]
    low, high = (PatchFeaturesClassifier(24, random_state=0).fit(x + offset, y) for offset in (0.0, 101325.0))
    assert np.median(low.certified_radius(x, y)) > 1e-4
    x = x + 101325.0
    assert (_proved(high, x[..., None].astype("f4"), y)[0] > 1e-4).mean() > 0.5  # which such a change would refute
    assert (high.certified_radius(x, y) == 0).all()
    assert (high.stability(x, y).certified["whole model"] == 0).all()
    images = np.full((1, 8, 8, 1), -101325.0)
    assert rounding(images) == 3 * 8 / 128 and rounding(np.ones((1, 96, 50, 1)))[0] == 5 * 4800**0.5 * 2.0**-23
    assert rounding(np.full((1, 8, 8, 1), 255, np.uint8)) == 3 * 8 * 2.0**-16


@pytest.mark.parametrize("name", ["False", "kernel", "network"])
def test_rounding_of_scores_is_counted(models, digits, name):
    """Images between two classes are not certified; the mutant counts no rounding."""
    model, x = models[name], digits[0][300:330]
    told = model.predict(x)
    first, last = x[:-1][told[1:] != told[:-1]], x[1:][told[1:] != told[:-1]]
    code = model.predict(first)
    near, far = np.zeros(len(first)), np.ones(len(first))
    for _ in range(50):  # the class of the first ends between near and far
        t = (near + far) / 2
        same = model.predict(first + t[:, None, None] * (last - first)) == code
        near, far = np.where(same, t, near), np.where(same, far, t)
    edge = (first + near[:, None, None] * (last - first)).astype(np.float32)[..., None]
    radii, known, looked, scores = _proved(model, edge, code)
    assert (radii == 0).all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifying, "RELATIVE", 0.0)
        exact = Looked([seen._replace(rounding=0.0) for seen in looked.seen], looked.slopes)
        none = known._replace(rounding=dict.fromkeys(known.rounding, lambda seen: np.zeros((10, 10))))
        assert (model._radii(none, scores, exact, code, model._beta) > 0).any()


@pytest.mark.parametrize("name", ["False", "True", "kernel"])
def test_images_alone_and_among_others_differ_by_less_than_is_allowed(models, digits, name):
    model, x = models[name], digits[0][300:400, ..., None].astype(np.float32)
    bounds, among = Bounds(model.filters_, folded=model.mirror_), model._member_scores(x)
    alone = [model._member_scores(image[None]) for image in x]
    alone = {member: np.concatenate([one[member] for one in alone]) for member in among}
    off = np.abs(alone["patches"] - among["patches"]).max(axis=1)
    assert (2 * off < certifying.RELATIVE * (1 + np.abs(among["patches"]).max(axis=1))).all()
    seen = [bounds.see(image) for image in x]
    averages = pooled(model.filters_, x, folded=model.mirror_)
    for i, one in enumerate(seen):
        assert np.abs(averages[i] - one.averages).max() < one.rounding < 1e-4
    for member, of in model._known(bounds).rounding.items():
        far = (alone[member] - among[member])[:, :, None] - (alone[member] - among[member])[:, None]
        assert all((np.abs(far[i]) <= of(one)).all() for i, one in enumerate(seen))


def test_slopes_of_margins_are_derivatives(models, digits):
    for name, model in models.items():
        bounds, image = Bounds(model.filters_, folded=model.mirror_), digits[0][301][..., None]
        looked = model._look(bounds, image[None])
        slope = model._margin_slope(bounds, image, looked.seen[0], looked.slope(0, model._beta), (1, 4))
        step = np.zeros((64, 8, 8, 1))
        step.reshape(64, 64)[np.diag_indices(64)] = 0.02
        told = [model.predict_log_proba(image + sign * step) for sign in (1, -1)]
        difference = ((told[0] - told[1])[:, 1] - (told[0] - told[1])[:, 4]) / 0.04
        assert np.linalg.norm(difference - slope.ravel()) < 0.1 * np.linalg.norm(difference), name


# ----------------------------------------------------------------------------------------------------------- stability
def test_shares_are_those_of_predictions_and_of_certified_lengths(models, digits):
    model, x, y = models["network"], digits[0][300:340], digits[1][300:340]
    found = model.stability(x, y, lengths=(3.0, 0.05))
    assert found.lengths.tolist() == [0.05, 3.0] and found.labelled
    assert found.right == np.mean(model.predict(x) == y)
    np.testing.assert_allclose(found.certified["whole model"], model.certified_radius(x, y), rtol=1e-3)
    alone = copy.copy(model)
    alone.exponents_ = np.append(model.exponents_[:2], 0)
    np.testing.assert_allclose(found.certified["without network"], alone.certified_radius(x, y), rtol=0.1)
    for name in found.certified:
        assert (found.proved(name) <= found.right_alone[name]).all() and (np.diff(found.proved(name)) <= 0).all()
    assert found.stepped[1] < found.noisy[1] <= 1 and found.proved("without network")[0] > 0
    assert (found.nearest > found.certified["without network"])[found.nearest > 0].all()
    assert [*found.growth][:2] == ["averages of responses", "roots of averages"] and len(found.growth) == 2 + 5 + 3 + 1
    assert "It is the network's bound that ends the proof" in found.verdict[-1] and len(found.verdict) == 5
    rest = models["kernel"].stability(x, y)
    assert [*rest.certified] == ["whole model", "patches alone"] and not rest.lipschitz


def test_growth_is_that_of_a_linear_layer():
    from numdl.estimators.patches import stability

    rng = np.random.default_rng(0)
    u, noise = rng.standard_normal((200, 50)), rng.standard_normal((200, 50))
    noise *= stability.SMALL * stability._deviation(u) / np.linalg.norm(noise, axis=1)[:, None]
    assert stability._growth(u, u + noise) == pytest.approx(1.0)
    assert stability._growth(3 * u + 7, 3 * (u + 2 * noise) + 7) == pytest.approx(2.0)
    assert stability._growth(np.ones((4, 2)), np.zeros((4, 2))) == 0


def test_without_images_or_labels(models, digits):
    model = models["False"]
    found = model.stability()
    assert not found.labelled and found.right == 1 and len(found.nearest) == 16
    assert "of the same class" in found.verdict[1]
    one = model.stability(digits[0][:1])
    assert one.growth == {} and one.harmless and len(one.verdict) == 3
    many = model.stability(np.tile(digits[0][:30], (3, 1, 1)))
    assert len(many.nearest) == 40
    whole = model.stability(digits[0][:2] - digits[0][:2])  # images of nothing at all
    assert np.isfinite(whole.certified["whole model"]).all() or (whole.certified["whole model"] == np.inf).any()


def test_large_images_are_judged_in_their_own_pixels():
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 96, 50)), np.repeat(["left", "none"], 30)
    x[:30, :, :25] += 1
    model = PatchFeaturesClassifier(8, random_state=0).fit(x, y)
    radius = model.certified_radius(x[::10], y[::10])
    small = copy.copy(model)
    small.pixels_ = model.pixels_._replace(shape=(48, 25, 1))
    given = x[::10, ..., None].astype("f4")
    halved = small.certified_radius(reduced(given), y[::10]) + rounding(reduced(given))
    np.testing.assert_allclose(radius + rounding(given), 2 * halved)
    assert model.stability(x[::10], y[::10]).stepped.shape == (2,)


def test_refusals(models, digits):
    model = models["False"]
    with pytest.raises(ValueError, match=r"certified_radius: y holds 11, which is no class"):
        model.certified_radius(digits[0][:1], [11])
    with pytest.raises(ValueError, match="needs positive lengths"):
        model.stability(digits[0][:2], lengths=(0.0, 1.0))
    with pytest.raises(ValueError, match=r"needs lengths below 1e\+15"):
        model.stability(digits[0][:2], lengths=(0.1, 1e30))
    with pytest.raises(ValueError, match="needs"):
        model.stability(digits[0][:2, :4])
    told = model.predict_log_proba(digits[0][:4])
    np.testing.assert_allclose(log_softmax(model._member_scores(digits[0][:4, ..., None])["patches"], axis=1), told)
