"""Image patches: features against loops, the head against refits, mirror images, probabilities, files, refusals."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score

import numdl
from numdl.estimators import PatchFeaturesClassifier, PatchFeaturesRegressor
from numdl.estimators.patches import classifier, search
from numdl.estimators.patches import head as head_of
from numdl.estimators.patches.calibration import calibrated, crossed, with_own_share
from numdl.estimators.patches.features import fold, pooled
from numdl.estimators.patches.filters import averages, draw_filters
from numdl.estimators.patches.head import Columns

RNG = np.random.default_rng(0)


def pictures(n=40, height=14, width=12, channels=3, seed=0):
    """Smooth noise, so that patches are not all alike."""
    x = np.random.default_rng(seed).standard_normal((n, height + 2, width + 2, channels))
    return 100 + 30 * (x[:, 2:, 2:] + x[:, 1:-1, 2:] + x[:, 2:, 1:-1] + x[:, :-2, :-2])


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x.reshape(-1, 8, 8), y


@pytest.fixture(scope="module")
def fitted(digits):
    x, y = digits
    return PatchFeaturesClassifier(random_state=0).fit(x[:900], y[:900])


# ------------------------------------------------------------------------------------------------------------ features
def by_loops(filters, image, contrast=True):
    """Responses of all filters to one image in float64, averaged over cells, one place after the other."""
    h, w = filters.size
    rows, columns = (size - side + 1 for size, side in zip(image.shape, (h, w), strict=False))
    down, along = (averages(places, cells) for places, cells in zip((rows, columns), filters.grid, strict=True))
    found = np.zeros((len(filters.weights), 2, len(down), len(along)))
    for i in range(rows):
        for j in range(columns):
            patch = image[i : i + h, j : j + w].transpose(2, 0, 1)
            z = (patch - patch.mean()) / np.sqrt(patch.var() + (filters.contrast if contrast else 0.0))
            response = filters.weights.reshape(len(found), -1) @ z.ravel() - filters.bias
            share = np.outer(down[:, i], along[:, j])
            for sign in (0, 1):
                beyond = np.maximum((1 - 2 * sign) * response - filters.threshold, 0)
                found[:, sign] += beyond[:, None, None] * share
    return found.ravel()


def test_features_are_those_of_loops():
    x = pictures(3)
    filters = draw_filters(x, 8, np.random.default_rng(1))._replace(contrast=400.0)
    found = pooled(filters, x, folded=False)
    wanted = np.array([by_loops(filters, image) for image in x])
    assert np.abs(wanted).max() > 0.3
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    mistaken = np.array([by_loops(filters, image, contrast=False) for image in x])
    assert np.abs(found - mistaken).max() > 1e-2


def test_blocks_of_images_and_filters_change_nothing():
    x = pictures(90, 9, 9, 1)
    filters = draw_filters(x, 300, np.random.default_rng(0))
    whole = pooled(filters, x, folded=False)
    parts = [pooled(filters, x[i : i + 7], folded=False, first=10, last=290) for i in range(0, 90, 7)]
    q = whole.shape[1] // 300
    np.testing.assert_allclose(np.concatenate(parts), whole[:, 10 * q : 290 * q], atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_features_of_mirror_images_are_a_permutation_and_folded_ones_the_same(channels):
    x = pictures(5, channels=channels)
    filters = draw_filters(x, 12, np.random.default_rng(0))
    one, other = (pooled(filters, images, folded=False) for images in (x, x[:, :, ::-1]))
    shape = (5, 6, 2, 2, *filters.grid)  # pairs, one of the pair, signs, rows and columns of cells
    np.testing.assert_allclose(other.reshape(shape), one.reshape(shape)[:, :, ::-1, :, :, ::-1], atol=1e-5)
    np.testing.assert_allclose(fold(one, filters), fold(other, filters), atol=1e-5)
    np.testing.assert_allclose(pooled(filters, x, folded=True), fold(one, filters), atol=1e-6)
    assert np.abs(one - other).max() > 0.1


def test_whitened_patches_are_white_and_filters_have_responses_of_norm_one():
    x = pictures(60, 20, 20, 1)
    filters = draw_filters(x, 40, np.random.default_rng(0))
    d = filters.weights[0].size
    z = np.array([image[i : i + 6, j : j + 6].ravel() for image in x for i, j in RNG.integers(15, size=(60, 2))])
    z = z - z.mean(axis=1, keepdims=True)
    z /= np.sqrt(z.var(axis=1, keepdims=True) + filters.contrast)
    values = z @ filters.weights.reshape(40, d).T - filters.bias
    np.testing.assert_allclose(values.var(), 1.0, atol=0.25)  # each is a direction of norm 1 of white data


# ---------------------------------------------------------------------------------------------------------------- head
@pytest.fixture(scope="module")
def table():
    n, m = 240, 30
    x = RNG.standard_normal((n, m)) @ RNG.standard_normal((m, m)) + 3
    c = x[:, :2] @ RNG.standard_normal((2, 2)) + 4 * RNG.standard_normal((n, 2))
    return x, c, RNG.uniform(0.5, 2, n)


def columns_of(table, *cuts):
    x, c, w = table
    columns = Columns(c, w)
    for part in np.split(x.astype(np.float32), cuts, axis=1):
        columns.add(np.ascontiguousarray(part))
    return columns


@pytest.mark.parametrize("n", [240, 21], ids=["more rows", "more columns"])
def test_the_head_is_ridge_regression_and_rows_are_left_out_exactly(table, n):
    x, c, w = (part[:n] for part in table)
    columns = columns_of((x, c, w), 10)
    head = columns.at(0.03)
    z = (x - columns.mean) / columns.scale

    def refit(rows):
        return Ridge(alpha=head.alpha * w.sum()).fit(z[rows], c[rows], sample_weight=w[rows])

    np.testing.assert_allclose(columns.coef(head), refit(slice(None)).coef_.T, atol=1e-4)
    left = columns.left_out(head)
    some = range(0, n, 7)
    wanted = np.array([refit(np.delete(np.arange(n), i)).predict(z[i : i + 1])[0] for i in some])
    np.testing.assert_allclose(left[some], wanted, atol=1e-3)
    seen = refit(slice(None)).predict(z)
    assert np.abs(seen[some] - wanted).max() > 0.1  # rows that are not left out look better


def test_columns_in_parts_are_columns_at_once_and_the_choice_is_the_least(table):
    x, c, w = table
    one, other = columns_of(table), columns_of(table, 7, 8, 25)
    np.testing.assert_allclose(one.at(0.1).unknowns, other.at(0.1).unknowns, atol=1e-4)
    head = one.solve(1e-4)
    np.testing.assert_allclose(head.alpha, other.solve(10.0).alpha, rtol=0.3)
    near = [one.at(head.alpha * factor).criterion for factor in (0.3, 0.6, 1.7, 3.0)]
    assert head.criterion < min(near) * (1 + 1e-4)
    z = (x - one.mean) / one.scale
    gram = z.T @ (w[:, None] * z) / w.sum()
    freedom = 1 + np.trace(np.linalg.solve(gram + head.alpha * np.eye(len(gram)), gram))
    np.testing.assert_allclose(head.freedom, freedom, rtol=1e-5)
    residual = (c - w @ c / w.sum()) - z @ one.coef(head)
    gcv = np.sum(w @ residual**2) / w.sum() / 2 / (1 - head.freedom / len(x)) ** 2
    np.testing.assert_allclose(head.criterion, gcv, rtol=1e-4)


def test_random_signs_tell_the_degrees_of_freedom(table, monkeypatch):
    exact = columns_of(table).at(0.05).freedom
    monkeypatch.setattr(head_of, "EXACT", 0)
    found = columns_of(table).at(0.05).freedom
    assert 0 < abs(found - exact) < 3 * np.sqrt(2 * 30 / 16)  # the variance of s' A s is at most 2 ||A||_F^2


def test_constant_columns_and_more_columns_than_rows_are_solved():
    x = RNG.standard_normal((20, 60)).astype(np.float32)
    x[:, 3] = 5.0
    c = x[:, :1].astype(float)
    columns = Columns(c, np.ones(20))
    columns.add(x)
    head = columns.solve(0.03)
    coef = columns.coef(head)
    assert coef.shape == (60, 1) and np.isfinite(coef).all() and np.abs(coef[3]).max() < 1e-12
    assert np.isfinite(columns.left_out(head)).all()


def test_weights_count_as_repetitions(table):
    x, c, _ = table
    count = RNG.integers(1, 4, len(x))
    one, other = Columns(c, count.astype(float)), Columns(np.repeat(c, count, axis=0), np.ones(count.sum()))
    one.add(x.astype(np.float32))
    other.add(np.repeat(x, count, axis=0).astype(np.float32))
    np.testing.assert_allclose(one.at(0.1).unknowns, other.at(0.1).unknowns, atol=1e-4)


@pytest.mark.parametrize(("n", "m"), [(40, 120), (40, 40), (41, 40), (60, 55), (60, 30)])
def test_rows_that_are_all_but_met_are_left_out_as_truly(n, m):
    rng = np.random.default_rng(n + m)
    x, c, w = rng.standard_normal((n, m)).astype(np.float32), rng.standard_normal((n, 2)), rng.uniform(0.5, 2, n)
    if n == 41:  # what one row alone has: 1 - h = 1e-6, which is rounding in float32
        x[:, :8] = np.arange(n)[:, None] == 7
    columns = Columns(c, w)
    columns.add(x.copy())
    head = columns.at(1e-5)
    assert head.alpha == 1e-5 > columns.least
    z = (x - columns.mean.astype(float)) / columns.scale

    def refit(rows):
        return Ridge(alpha=head.alpha * w.sum(), solver="svd").fit(z[rows], c[rows], sample_weight=w[rows])

    left, whole = columns.left_out(head), refit(slice(None))
    wanted = np.array([refit(np.delete(np.arange(n), i)).predict(z[i : i + 1])[0] for i in range(n)])
    spread = np.sqrt(np.mean((wanted - c) ** 2))
    assert spread > 0.9
    assert np.abs(left - wanted).max() < 0.1 * spread
    if m > n:  # with a bound of 1e-3 on 1 - h, as of a matrix that rounding spoils, left-out rows would look met
        assert np.sqrt(np.mean((whole.predict(z) - c) ** 2)) / 1e-3 < 0.1 * spread
    share = 1 - head.freedom / n
    criterion = np.sum(w @ (whole.predict(z) - c) ** 2) / w.sum() / 2 / share**2
    assert 0 < share < 0.8
    np.testing.assert_allclose(head.criterion, criterion, rtol=0.05)


def test_the_misfit_of_targets_that_are_met_is_no_difference_of_large_numbers():
    x = np.random.default_rng(3).standard_normal((300, 40)).astype(np.float32)
    c = x[:, :3].astype(float) @ np.ones((3, 1))
    columns = Columns(c, np.ones(300))
    columns.add(x.copy())
    head = columns.at(1e-4)
    z = (x - columns.mean.astype(float)) / columns.scale
    misfit = np.mean((Ridge(alpha=300 * head.alpha).fit(z, c).predict(z).reshape(-1, 1) - c) ** 2)
    np.testing.assert_allclose(head.criterion * (1 - head.freedom / 300) ** 2, misfit, rtol=0.1)
    assert misfit < 1e-7  # next to a square of 3, so that a difference in float32 is rounding alone
    assert columns.at(1e-12).alpha == columns.least


# --------------------------------------------------------------------------------------------------------- calibration
def test_probabilities_of_scores_that_are_logits_times_a_number_are_found():
    n, k = 4000, 3
    logits = 2 * RNG.standard_normal((n, k))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    codes = np.array([RNG.choice(k, p=row) for row in p])
    found = calibrated(0.2 * logits, codes, np.ones(n))
    assert np.abs(np.exp(found.log_p(0.2 * logits)) - p).mean() < 0.02
    wrong = np.exp(5 * 0.2 * 3 * logits)
    assert np.abs(wrong / wrong.sum(axis=1, keepdims=True) - p).mean() > 0.05


def test_few_rows_do_not_judge_what_was_fitted_to_them():
    rng = np.random.default_rng(1)
    codes, ones, seen = np.arange(3000) % 10, np.ones(120), []
    scores = 0.1 + 0.15 * rng.standard_normal((3000, 10)) + 0.3 * np.eye(10)[codes]
    for i in range(0, 600, 120):
        own = slice(i, i + 120)
        found = calibrated(scores[own], codes[own], ones)
        maps = found.log_p(scores[600:]), found.log_p(scores[own]), crossed(scores[own], codes[own], ones)
        seen.append(
            [
                np.take_along_axis(told, c[:, None], 1).mean()
                for told, c in zip(maps, (codes[600:], *[codes[own]] * 2), strict=True)
            ]
        )
    fresh, own, judged = -np.mean(seen, axis=0)
    assert own < fresh - 0.15 < judged - 0.05 < fresh + 0.1
    diagonal = calibrated(scores[:99], codes[:99], ones[:99]).matrix
    assert np.abs(diagonal - np.diag(np.diag(diagonal))).max() == 0 < np.abs(found.matrix[0, 1])


@pytest.mark.parametrize(("k", "alpha"), [(2, "gcv"), (5, "gcv"), (2, 1e-3)])
def test_random_labels_are_reported_as_chance(k, alpha):
    rng = np.random.default_rng(11)
    x, y = rng.integers(0, 256, (150, 12, 12)), rng.permutation(np.arange(150) % k)
    model = PatchFeaturesClassifier(24, alpha, random_state=0).fit(x, y)
    chance = 1 - 1 / k
    assert abs(model.left_out_error_ - chance) < 3 * np.sqrt(chance / k / 150)
    assert abs(model.log_loss_ - np.log(k)) < 0.1
    assert np.diag(model.calibration_.matrix).min() > 0


def test_rows_left_out_take_no_share_of_the_intercept_along():
    c, w = np.eye(3)[np.arange(20) % 3], np.arange(1.0, 21.0)
    mean = w @ c / w.sum()
    left = np.array([np.delete(w, i) @ np.delete(c, i, axis=0) / np.delete(w, i).sum() for i in range(20)])
    assert (left[c > 0] < mean[np.arange(20) % 3]).all()  # the true class is rarer
    np.testing.assert_allclose(with_own_share(left, c, w), np.tile(mean, (20, 1)))


# ---------------------------------------------------------------------------------------------------------- estimators
def test_digits_are_told_apart_and_probabilities_keep_their_word(fitted, digits):
    x, y = digits[0][900:], digits[1][900:]
    assert fitted.score(x, y) > 0.96
    told = fitted.predict_log_proba(x)
    loss = -told[np.arange(len(y)), y].mean()
    assert loss < 0.2
    assert abs(loss - fitted.log_loss_) < 0.1
    np.testing.assert_allclose(np.exp(told).sum(axis=1), 1)
    assert fitted.leave_one_out_.shape == (900, 10)
    assert not fitted.mirror_, "digits are not their mirror images"
    assert fitted.mirrored_[0] > fitted.mirrored_[1]


def test_mirror_images_are_taken_for_the_same_where_they_are():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 10, 10))
    y = rng.integers(2, size=400)
    for image, label, side in zip(x, y, rng.integers(2, size=400), strict=True):
        stroke = np.eye(6) if label else np.ones((1, 6))  # a stroke that falls or rises is one class, a line the other
        stroke = stroke[:, ::-1] if side else stroke
        i, j = rng.integers(5, size=2)
        image[i : i + len(stroke), j : j + 6] += 4 * stroke
    model = PatchFeaturesClassifier(48, random_state=0).fit(x, y)
    assert model.mirror_
    new = x[:, :, ::-1]
    np.testing.assert_allclose(model.predict_proba(new), model.predict_proba(x), atol=1e-3)
    assert model.left_out_error_ < 0.15


def test_a_seed_decides_and_layouts_of_one_image_agree(digits):
    x, y = digits[0][:200], digits[1][:200]
    one = PatchFeaturesClassifier(16, random_state=3).fit(x, y)
    for images, shape in ((x[..., None], None), (x.reshape(200, -1), (8, 8)), (x.astype(np.uint8), None)):
        other = PatchFeaturesClassifier(16, random_state=3, image_shape=shape).fit(images, y)
        np.testing.assert_allclose(other.predict_proba(images), one.predict_proba(x), atol=1e-4)
    again = PatchFeaturesClassifier(16, random_state=3).fit(x, y)
    np.testing.assert_array_equal(again.weights_, one.weights_)
    assert np.abs(PatchFeaturesClassifier(16, random_state=4).fit(x, y).weights_[:9] - one.weights_[:9]).max() > 1e-6
    scaled = PatchFeaturesClassifier(16, random_state=3).fit(x / 16, y)
    np.testing.assert_allclose(scaled.predict_proba(x / 16), one.predict_proba(x), atol=1e-3)  # no unit matters


def test_regression_finds_where_a_spot_is():
    rng = np.random.default_rng(0)
    where = rng.uniform(3, 12, (300, 2))
    i, j = np.mgrid[:16, :16]
    x = np.exp(-((i - where[:, :1, None]) ** 2 + (j - where[:, 1:, None]) ** 2) / 4) + 0.05 * rng.random((300, 16, 16))
    model = PatchFeaturesRegressor(64, random_state=0).fit(x[:200], where[:200])
    assert model.score(x[200:], where[200:]) > 0.9
    error = np.sqrt(np.mean((model.predict(x[200:]) - where[200:]) ** 2, axis=0))
    np.testing.assert_allclose(model.left_out_std_, error, rtol=0.6)
    assert not model.mirror_
    flat = PatchFeaturesRegressor(64, random_state=0).fit(x[:200], where[:200, 0])
    assert flat.predict(x[:3]).shape == (3,) and np.ndim(flat.left_out_std_) == 0


def test_it_is_an_estimator_of_scikit_learn(digits):
    x, y = digits[0][:240].reshape(240, -1), digits[1][:240]
    model: Any = clone(PatchFeaturesClassifier(16, image_shape=(8, 8), random_state=0))
    assert cross_val_score(model, x, y, cv=3).mean() > 0.8
    words = np.array(["even", "odd"])[y % 2]
    two = model.fit(x, words)
    assert set(two.predict(x[:20])) <= {"even", "odd"} and two.decision_function(x[:5]).shape == (5,)
    other: Any = clone(model)
    weighed = other.set_params(class_weight="balanced").fit(x, words, sample_weight=np.arange(240) % 3)
    assert weighed.leave_one_out_.shape == (240, 2) and np.isfinite(weighed.leave_one_out_).all()


def test_the_number_of_filters_follows_criterion_time_and_interruption(digits, monkeypatch):
    x, y = digits[0][:300], digits[1][:300]
    monkeypatch.setattr(search, "FIRST", 8)
    monkeypatch.setattr(search, "MOST", 64)
    model = PatchFeaturesClassifier(random_state=0).fit(x, y)
    numbers, values = model.stages_.T
    np.testing.assert_array_equal(numbers[:2], [8, 16])
    assert (np.diff(values)[:-1] < -search.WORTH * values[:-2]).all()
    late = PatchFeaturesClassifier(random_state=0, time_budget=1e-6).fit(x, y)
    assert len(late.filters_.weights) == 8 and late.status_.code == "time_budget"

    def stop(record):
        if record["phase"].startswith("32"):
            raise KeyboardInterrupt

    stopped = PatchFeaturesClassifier(random_state=0).fit(x, y, observe=stop)
    assert stopped.status_.code == "interrupted" and stopped.score(x, y) > 0.9
    assert len(stopped.filters_.weights) <= 32
    monkeypatch.setattr(search, "MEMORY", 300 * 4 * len(late.weights_))
    full = PatchFeaturesClassifier(random_state=0).fit(x, y)
    assert full.status_.code == "converged" and "memory" in full.status_.message


def test_what_is_reported_of_hundred_images_is_not_what_was_fitted(digits):
    x, y = digits[0][:100], digits[1][:100]
    model = PatchFeaturesClassifier(random_state=0).fit(x, y)
    told = model.predict_log_proba(digits[0][1000:])
    loss = -told[np.arange(len(told)), digits[1][1000:]].mean()
    assert 0.45 * loss < model.log_loss_ < 1.6 * loss  # 0.3 of it where rows judge what was fitted to them


def test_an_interruption_of_the_calibration_keeps_the_fit(digits, monkeypatch):
    calls = []

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return calibrated(*arguments)

    monkeypatch.setattr(classifier, "calibrated", stopped)
    model = PatchFeaturesClassifier(16, random_state=0).fit(digits[0][:200], digits[1][:200])
    assert model.status_.code == "interrupted" and len(calls) == 2
    assert model.score(digits[0][200:400], digits[1][200:400]) > 0.8


def test_filters_beyond_the_memory_are_refused(digits, monkeypatch):
    x, y = digits[0][:60], digits[1][:60]
    monkeypatch.setattr(search, "GIVEN", 2**18)
    for model in (PatchFeaturesClassifier(400), PatchFeaturesRegressor(400)):
        with pytest.raises(ValueError, match="n_filters = 400 with 60 images needs") as error:
            model.fit(x, y)
        assert str(error.value).startswith(f"{type(model).__name__}.fit")
    most = int(str(error.value).split("up to ")[1].split(",")[0])
    PatchFeaturesRegressor(most).fit(x, y)


def test_large_images_are_reduced_by_means():
    x = np.repeat(np.repeat(pictures(30, 30, 32, 1), 3, axis=1), 3, axis=2)
    y = np.arange(30) % 2
    x[y == 1] = x[y == 1].transpose(0, 1, 2, 3)[:, ::-1]
    model = PatchFeaturesClassifier(8, random_state=0).fit(x, y)
    assert model.filters_.shape == (45, 48, 1) and model.pixels_.shape == (90, 96, 1)
    assert model.predict(x).shape == (30,)


def test_files_and_pages(fitted, digits, tmp_path):
    x, y = digits[0][900:1100], digits[1][900:1100]
    fitted.save(tmp_path / "m.numdl")
    back = numdl.load(tmp_path / "m.numdl")
    np.testing.assert_allclose(back.predict_proba(x), fitted.predict_proba(x), atol=1e-12)
    summary = back.summary(x, y)
    wrong = summary.pictures["mistaken"].astype(int)
    assert (summary.c[wrong] != summary.prediction[wrong]).all() and len(wrong) == np.sum(back.predict(x) != y)
    back.report(tmp_path / "r.html", x, y)
    page = (tmp_path / "r.html").read_text()
    assert all(word in page for word in ("Pictures of mistakes", "Filters", "Confusion matrix", "Reliability"))
    numbers = PatchFeaturesRegressor(8, random_state=0).fit(x, y.astype(float))
    numbers.save(tmp_path / "n.numdl")
    np.testing.assert_allclose(numdl.load(tmp_path / "n.numdl").predict(x), numbers.predict(x))


# ------------------------------------------------------------------------------------------------------------ refusals
def marked(x, value):
    x = x.astype(float)
    x[3, 2, 5] = value
    return x


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x, y: (marked(x, np.nan), y), "nan in image 4, row 3, column 6, channel 1"),
        (lambda x, y: (marked(x, np.inf), y), "inf in image 4"),
        (lambda x, y: (marked(x, 1e30), y), "1e\\+30 in image 4"),
        (lambda x, y: (x[:1], y[:1]), "n_samples = 1, needs at least 2"),
        (lambda x, y: (x[:0], y[:0]), "no image in it"),
        (lambda x, y: (x, np.zeros(len(x))), "one class only"),
        (lambda x, y: (x[:, :1, :1], y), "images are 1 x 1, a patch needs at least two pixels"),
        (lambda x, y: (x.reshape(len(x), -1), y), r"X has shape \(60, 64\).*image_shape=\(28, 28\)"),
        (lambda x, y: (x[0], y), r"rows of pixels need"),
        (lambda x, y: (x, y[:-1]), "X has 60 images and y 59"),
        (lambda x, y: (x.astype(complex), y), "complex128, needs real numbers"),
        (lambda x, y: (x.astype(str), y), "needs real numbers"),
        (lambda x, y: ([x[0], x[1][:4]], y[:2]), "several sizes"),
        (lambda x, y: (x[:2], [1, [2, 3]]), "y needs one entry per image"),
        (lambda x, y: (np.stack([x] * 3, axis=1), y), r"\(60, 3, 8, 8\), which looks like channels first"),
    ],
)
def test_images_that_cannot_be_used_are_refused(digits, change, says):
    x, y = change(digits[0][:60], digits[1][:60])
    with pytest.raises(ValueError, match=says) as error:
        PatchFeaturesClassifier(8).fit(x, y)
    assert str(error.value).startswith("PatchFeaturesClassifier")


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((7, 8), "rows have 64 entries, images of 7 x 8"),
        ((8,), "needs .height, width."),
        ((8, 8, 3), "have 192"),
        (
            (4, 4),
            r"image_shape=\(4, 4, 4\) where the 4 channels of a pixel follow .* X.reshape\(-1, 4, 4, 4\).transpose",
        ),
    ],
)
def test_an_image_shape_that_does_not_fit_is_refused(digits, shape, says):
    x, y = digits[0][:60].reshape(60, -1), digits[1][:60]
    with pytest.raises(ValueError, match=says):
        PatchFeaturesClassifier(8, image_shape=shape).fit(x, y)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x: x[:, 1:], "those of the fit were 8 x 8|needs 8 x 8"),
        (lambda x: np.stack([x] * 3, axis=3), "needs 8 x 8 with 1 channel"),
        (lambda x: x / 255, "same unit"),
        (lambda x: x * 255, "same unit"),
    ],
)
def test_images_unlike_those_of_the_fit_are_refused(fitted, digits, change, says):
    with pytest.raises(ValueError, match=says):
        fitted.predict(change(digits[0][:5]))


def test_a_dark_image_and_one_between_are_no_other_unit(fitted, digits):
    fitted.predict(np.zeros((1, 8, 8)))
    fitted.predict(digits[0][:2] / 2)


def test_pixels_that_float32_cannot_tell_apart_are_refused_and_half_precision_is_taken(digits):
    x, y = (a[:120] for a in digits)
    with pytest.raises(ValueError, match=r"one number in float32\. Subtract their mean"):
        PatchFeaturesClassifier(8).fit(1.0 + 1e-12 * x, y)
    with pytest.raises(ValueError, match="one number in float32"):
        PatchFeaturesClassifier(8).fit(1e-200 * x, y)
    with pytest.raises(ValueError, match=r"predict: X is one image of 8 x 8, needs an array of images. Give X\[None\]"):
        PatchFeaturesClassifier(8, random_state=0).fit(x, y).predict(x[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        half, whole = (PatchFeaturesClassifier(8, random_state=0).fit(x.astype(kind), y) for kind in ("f2", "f4"))
    np.testing.assert_array_equal(half.predict_proba(x), whole.predict_proba(x))  # small whole numbers are exact
    with pytest.raises(NotFittedError):
        PatchFeaturesClassifier(8).predict(x)


def test_the_first_filters_are_as_few_as_the_time_wants(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 8, 8)), np.arange(60) % 2
    fit = lambda seconds: PatchFeaturesClassifier(time_budget=seconds, random_state=0).fit(x, y)  # noqa: E731
    assert len(fit(1e-9).filters_.weights) == search.FIRST  # so few images take no time
    monkeypatch.setattr(search, "PILOT", 10)
    assert len(fit(1e-9).filters_.weights) == search.FEWEST
    assert len(fit(100.0).filters_.weights) >= search.FIRST
    assert len(PatchFeaturesClassifier(64, time_budget=1e-9, random_state=0).fit(x, y).filters_.weights) == 64


def test_a_clock_that_does_not_advance_leaves_all_filters_of_the_first_stage(monkeypatch):
    x = np.random.default_rng(0).standard_normal((60, 6, 6, 1)).astype(np.float32)
    filters = draw_filters(x, 20, np.random.default_rng(0))
    monkeypatch.setattr(search, "PILOT", 10)
    monkeypatch.setattr(search.time, "monotonic", lambda: 7.0)
    assert search._in_time(x, filters, 20, 1.0) == 20  # it was a division by zero
    assert search._in_time(x, filters, 20, 0.0) == search.FEWEST
