"""Images in a time: the kernel and rows left out together, exponents, the network, files, interruptions, refusals."""

from typing import Any

import jax
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

import numdl
from numdl.container import read_container, write_container
from numdl.estimators import ImageClassifier, PatchFeaturesClassifier
from numdl.estimators.images import kernel, network
from numdl.estimators.images.mixing import exponents
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.patches import search
from numdl.estimators.patches.filters import draw_filters


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x.reshape(-1, 8, 8), y


# -------------------------------------------------------------------------------------------------------------- kernel
def test_rows_are_left_out_together_exactly():
    rng = np.random.default_rng(0)
    x, c, w = rng.standard_normal((60, 4)), rng.standard_normal((60, 2)), rng.uniform(0.5, 2, 60)
    _, left = kernel._solved(x.astype(np.float32), c, w, 0.3, 0.1, 9)
    M = np.exp(-0.3 * ((x[:, None] - x) ** 2).sum(axis=2))
    a = np.linalg.solve((M + 0.1 * np.diag(w.mean() / w))[:51, :51], c[:51])
    np.testing.assert_allclose(left, M[51:, :51] @ a, atol=1e-4)
    seen = M[51:] @ np.linalg.solve(M + 0.1 * np.diag(w.mean() / w), c)  # the mutant: rows that are not left out
    assert np.abs(left - seen).max() > 0.3


def test_scores_of_held_out_rows_are_those_of_a_fit_without_them():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((90, 3)).astype(np.float32)
    c = np.stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2]], axis=1)
    order = rng.permutation(90)
    found = kernel.fitted(lambda rows: x[rows], c, np.ones(90), order, 10, 100.0)
    assert not isinstance(found, str)
    head, left = found
    M = np.exp(-head.gamma * ((x[:, None] - x) ** 2).sum(axis=2)) + head.alpha * np.eye(90)
    rest, last = order[:80], order[80:]
    expected = c.mean(axis=0) + M[np.ix_(last, rest)] @ np.linalg.solve(M[np.ix_(rest, rest)], (c - c.mean(0))[rest])
    np.testing.assert_allclose(left, expected, atol=1e-3)
    whole = c.mean(axis=0) + (M - head.alpha * np.eye(90)) @ np.linalg.solve(M, c - c.mean(axis=0))
    np.testing.assert_allclose(head.scores(x), whole, atol=5e-3)  # rows are kept in half precision
    assert kernel.fitted(lambda rows: x[rows], c, np.ones(90), order, 10, 0.0) == "0 s were left, too few for 90 rows"


def test_exponents_are_those_of_the_least_log_loss_and_no_member_that_knows_nothing_counts():
    rng = np.random.default_rng(0)
    codes, w = rng.integers(3, size=4000), rng.uniform(0.5, 2, 4000)
    good = log_softmax(2 * np.eye(3)[codes] + rng.standard_normal((4000, 3)), axis=1)
    beta, loss = exponents(np.stack([good, rng.standard_normal((4000, 3)), 5 - good]), codes, w)
    assert beta[0] > 1 and abs(beta[1]) < 0.1 and beta[2] == 0

    def at(beta):
        told = log_softmax(beta * good, axis=1)
        return -(w @ told[np.arange(4000), codes]) / w.sum()

    assert loss < min(at(b) for b in np.linspace(0.5, 3, 50)) + 1e-3 < at(1.0)
    few = log_softmax(6 * np.eye(3)[codes[:40]] + rng.standard_normal((40, 3)), axis=1)  # all of them right
    beta, _ = exponents(np.stack([few, few]), codes[:40], w[:40])
    assert 0.9 < beta.sum() < 1.2


def test_flows_need_time():
    x = np.random.default_rng(0).standard_normal((4, 14, 14, 2))
    filters = draw_filters(x, 6, np.random.default_rng(0))
    h, w = filters.size
    products = 6 * (15 - h) * (15 - w) * 2 * h * w
    assert network.epochs(filters, 6, 3.0, 60.0) == pytest.approx(20 * products / network.LIKE)
    plain, flowing = (network.chain(4, 8, "batch", flows) for flows in (False, True))
    assert len(plain.blocks) == 3 and len(flowing.blocks) == 5 and plain.width == flowing.width


def turned(x):
    return x[:, :, ::-1]


def test_responses_of_mirror_images_are_mirrored():
    x = np.random.default_rng(0).standard_normal((4, 14, 14, 2))
    filters = draw_filters(x, 6, np.random.default_rng(0))
    side = network.sides_of(filters)
    assert side == 4
    one, other = (network.responses(filters, images, 4, side) for images in (x, turned(x)))
    assert one.shape == (4, 4, 4, 8)
    np.testing.assert_allclose(other, turned(one)[..., network.mirror_of(4)], atol=1e-5)
    assert np.abs(other - turned(one)).max() > 0.1


class Steps(Clock):
    """A clock that goes on by 1 whenever it is asked."""

    def __init__(self, steps, stop=False):
        super().__init__(None)
        self.end, self.now, self.stop = steps, 0, stop

    def monotonic(self):
        return self.now

    def over(self):
        self.now += 1
        if self.stop and self.now == self.end:
            raise KeyboardInterrupt
        return self.now > self.end


@pytest.fixture(scope="module")
def small():
    """A network that finds out on which side an image is bright, of two settings of its clock."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((160, 4, 4, 4)).astype(np.float32)
    codes = rng.integers(2, size=160)
    x[codes == 1, :2] += 1.5
    settings = {"CHANNELS": (8, 8), "BATCH": 32, "TEST": 6, "TIMED": 10.0}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setattr(network, name, value)
        network.chain.cache_clear()
        yield x, codes
    network.chain.cache_clear()


def trained(small, clock):
    x, codes = small
    settings: Any = {"mirrored": False, "flows": True, "rng": np.random.default_rng(0)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "time", clock)
        return network.trained(x[:120], codes[:120], np.ones(120), 2, clock=clock, **settings)


def test_a_network_learns_and_is_one_of_single_images(small):
    net = trained(small, Steps(60))
    assert net is not None and net.steps == 60 and 1e-3 <= net.rate <= 1e-2
    x, codes = small
    told = net.of_responses(x[120:])
    assert np.mean(told.argmax(axis=1) == codes[120:]) > 0.85
    np.testing.assert_allclose(np.exp(told).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(net.of_responses(x[120:123]), told[:3], atol=1e-5)  # the batch does not matter
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(net.theta))
    stopped = trained(small, Steps(9, stop=True))
    assert stopped is not None and stopped.steps == 8
    assert trained(small, Steps(0)) is None


# ----------------------------------------------------------------------------------------------------------- estimator
@pytest.fixture(autouse=True, scope="module")
def few_filters():
    """So few that the search ends by itself, however busy the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "MOST", 48)
        yield


@pytest.fixture(scope="module")
def fitted(digits):
    x, y = digits
    return ImageClassifier(29.0, random_state=0).fit(x[:700], y[:700])


def test_digits(fitted, digits):
    x, y = digits[0][700:], digits[1][700:]
    assert fitted.members_ == ["patches", "kernel"]  # no time for a network
    assert set(fitted.missing_) == {"network"} and "s were left, it takes 30" in fitted.missing_["network"]
    assert fitted.held_out_[1] <= fitted.held_out_[0]
    told = fitted.predict_log_proba(x)
    np.testing.assert_allclose(np.exp(told).sum(axis=1), 1)
    assert fitted.score(x, y) > 0.96
    assert -told[np.arange(len(y)), y].mean() < 0.15
    assert "exponents patches" in fitted.status_.message


def test_patches_alone_where_others_tell_nothing_or_rows_are_few(fitted, digits):
    scores = np.stack([fitted.leave_one_out_[:90], np.random.default_rng(0).standard_normal((90, 10))])
    other: Any = clone(fitted)
    other._mix(-scores[::-1], digits[1][:90], np.ones(90))
    assert other.exponents_[1] == 0 or other.held_out_[1] < other.held_out_[0]
    few = ImageClassifier(29.0, random_state=0).fit(digits[0][:60], digits[1][:60])
    why = "60 rows, it takes 150"
    assert few.missing_ == {"kernel": why, "network": why} and f"no network: {why}" in few.status_.message
    assert few.summary().facts["Not in it"] == f"kernel: {why}; network: {why}"
    assert few.members_ == ["patches"] and few.predict(digits[0][:5]).shape == (5,)
    assert few.set_params(time_budget=1.0).get_params()["time_budget"] == 1.0


def test_layouts_weights_and_files(digits, tmp_path, small):
    del small  # its settings hold
    x, y = digits[0][:300], np.array(["even", "odd"])[digits[1][:300] % 2]
    rows = x.reshape(300, -1)
    model = ImageClassifier(29.0, image_shape=(8, 8), class_weight="balanced", random_state=0)
    model.fit(rows, y, sample_weight=np.arange(300) % 3)
    model.network_ = network.PatchNetwork(4, 4, np.zeros(8), np.ones(8), True, True, _of_digits(), 0, 0.0)
    model.members_.append("network")
    model.exponents_ = np.append(model.exponents_, 0.3)
    told = model.predict_proba(rows[:20])
    assert set(model.predict(rows[:20])) <= {"even", "odd"} and model.decision_function(rows[:3]).shape == (3,)
    model.save(tmp_path / "m.numdl")
    back = numdl.load(tmp_path / "m.numdl")
    np.testing.assert_allclose(back.predict_proba(rows[:20]), told, atol=1e-12)
    assert "Hamiltonian flows" in back.summary(rows[:20], y[:20]).facts["Network"]


def _of_digits():
    """Weights of an untrained network for digits."""
    net = network.chain(4, 8, "none", True)
    drawn = net.init(0, np.float32)
    head = {"W": np.random.default_rng(0).standard_normal((net.width, 2)).astype(np.float32), "b": np.zeros(2, "f4")}
    return jax.tree.map(np.asarray, {**drawn, "head": head})


def test_a_member_that_overflowed_is_none(digits, monkeypatch):
    monkeypatch.setattr(kernel, "spotrf", lambda matrix, **settings: (matrix, 1))
    model = ImageClassifier(29.0, random_state=0).fit(digits[0][:200], digits[1][:200])
    assert model.members_ == ["patches"] and model.kernel_ is None
    assert model.missing_["kernel"] == "its numbers overflowed"
    assert np.isfinite(model.predict_log_proba(digits[0][:5])).all()


def test_a_member_that_tells_nothing_is_forgotten(fitted):
    model: Any = clone(fitted)
    model.members_, model.exponents_ = ["patches", "kernel", "network"], np.array([0.0, 0.0, 0.3])
    model.missing_, model.kernel_, model.network_ = {}, fitted.kernel_, "a network"
    model._leave_out()
    assert model.members_ == ["patches", "network"] and model.exponents_.tolist() == [0.0, 0.3]
    assert model.kernel_ is None and model.network_ == "a network"
    assert model.missing_ == {"kernel": "held-out rows are told no better with it"}


@pytest.mark.thorough
def test_an_interruption_keeps_what_there_is(digits):
    def stop(record):
        if record["phase"] == "kernel":
            raise KeyboardInterrupt

    model = ImageClassifier(29.0, random_state=0).fit(digits[0][:400], digits[1][:400], observe=stop)
    assert (
        model.status_.code == "interrupted"
        and model.missing_["kernel"] == "Ctrl-C came"
        and model.score(digits[0][400:600], digits[1][400:600]) > 0.9
    )


@pytest.mark.parametrize("budget", [0, -1, None, "fast", np.nan])
def test_a_budget_is_a_positive_number(digits, budget):
    with pytest.raises(ValueError, match=r"ImageClassifier.*time_budget"):
        ImageClassifier(budget).fit(digits[0][:60], digits[1][:60])


def test_bad_images_are_refused_by_name(digits):
    with pytest.raises(ValueError, match=r"ImageClassifier\.fit: X has shape \(60, 64\), rows of pixels need"):
        ImageClassifier(5.0).fit(digits[0][:60].reshape(60, -1), digits[1][:60])


def test_images_that_are_all_alike_have_no_kernel():
    """Distances are rounding, and no scale follows from them."""
    x, y = np.ones((200, 8, 8)), np.arange(200) % 2
    model = ImageClassifier(1.0, random_state=0).fit(x, y)
    assert model.missing_["kernel"] == "all images say the same to the filters"
    assert model.kernel_ is None and np.all(np.isfinite(model.predict_proba(x[:3])))


def test_what_is_refused_leaves_an_earlier_fit_as_it_was():
    rng = np.random.default_rng(0)
    x, y = rng.random((160, 8, 8)), np.arange(160) % 2
    x[y == 1, :4] += 0.5
    model = ImageClassifier(2.0, random_state=0)
    with pytest.raises(NotFittedError):
        model.predict(x)
    before = model.fit(x, y).predict_proba(x)
    with pytest.raises(ValueError, match="X holds nan"):
        model.fit(np.where(x > 1, np.nan, x), y)
    np.testing.assert_array_equal(model.predict_proba(x), before)
    assert model._record()["model"] == "images"


def test_a_file_from_before_roots_is_refused(tmp_path):
    model = PatchFeaturesClassifier(8, random_state=0).fit(
        np.random.default_rng(0).random((40, 8, 8)), np.arange(40) % 2
    )
    del model.rooted_
    model.save(tmp_path / "old.numdl")
    with pytest.raises(ValueError, match="before features had square roots"):
        numdl.load(tmp_path / "old.numdl")


def test_trials_of_a_kernel_look_at_the_clock(monkeypatch):
    rng, solved, calls = np.random.default_rng(0), kernel._solved, []
    x, c = rng.random((400, 40)).astype(np.float32), np.eye(2)[np.arange(400) % 2]
    monkeypatch.setattr(kernel, "_solved", lambda *args: calls.append(args) or solved(*args))
    for seconds, trials in ((0.0, 1), (1e9, len(kernel.GAMMAS) * len(kernel.ALPHAS))):
        calls.clear()
        found = kernel.fitted(lambda rows: x[rows], c, np.ones(400), np.arange(400), 40, seconds)
        assert isinstance(found, str) == (not seconds) and trials <= len(calls) <= trials + 2 * bool(seconds)


def test_a_file_from_before_reasons_has_none(fitted, tmp_path):
    fitted.save(tmp_path / "new.numdl")
    arrays, header = read_container(tmp_path / "new.numdl", kind="model")
    del header["state"]["missing_"]
    write_container(tmp_path / "old.numdl", arrays, header, kind="model")
    assert numdl.load(tmp_path / "new.numdl").missing_ == fitted.missing_
    old = numdl.load(tmp_path / "old.numdl")
    assert old.missing_ == {} and "Not in it" not in old._facts()
