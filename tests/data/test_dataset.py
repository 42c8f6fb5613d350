import numpy as np
import pytest

from numdl.data import Dataset, split


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 10, 101])
@pytest.mark.parametrize("fractions", [(1.0,), (0.9, 0.1), (0.7, 0.15, 0.15), (0.5, 0.2), (0.98, 0.01, 0.01)])
@pytest.mark.parametrize("classes", [None, 1, 3])
def test_parts_are_disjoint_and_not_empty(n, fractions, classes):
    labels = None if classes is None else np.arange(n) % classes
    parts = split(n, fractions, 0, stratify=labels)
    rows = np.concatenate(parts)
    assert len(parts) == len(fractions)
    assert len(np.unique(rows)) == len(rows) and (not len(rows) or (rows.min() >= 0 and rows.max() < n))
    assert [len(p) > 0 for p in parts] == [i < n for i in range(len(parts))]
    if sum(fractions) == pytest.approx(1) and n >= len(fractions):
        assert len(rows) == n
    if n > 10 * len(fractions):
        assert all(abs(len(p) - f * n) <= 1 for p, f in zip(parts, fractions, strict=True))


def test_same_seed_same_parts():
    first, again, other = (np.concatenate(split(50, (0.8, 0.2), seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    generator = split(50, (0.8, 0.2), np.random.default_rng(3))
    np.testing.assert_array_equal(first, np.concatenate(generator))


def test_stratified_parts_have_the_share_of_each_class():
    labels = np.random.default_rng(0).permutation(np.repeat(["a", "b", "c"], [500, 100, 11]))
    parts = split(611, (0.7, 0.2, 0.1), 1, stratify=labels)
    for part, fraction in zip(parts, (0.7, 0.2, 0.1), strict=True):
        for value, count in (("a", 500), ("b", 100), ("c", 11)):
            assert abs(np.sum(labels[part] == value) - fraction * count) <= 2


@pytest.mark.parametrize("seed", range(20))
def test_training_sees_every_class(seed):
    labels = np.array([0] * 30 + [1] * 30 + [2, 3, 4])
    training, check = split(63, (0.5, 0.5), seed, stratify=labels)
    assert set(labels[training]) == {0, 1, 2, 3, 4} and len(training) + len(check) == 63


@pytest.mark.parametrize(
    ("n", "fractions", "labels", "says"),
    [
        (0, (1.0,), None, "needs a whole number >= 1"),
        (5, (), None, "positive numbers"),
        (5, (0.5, 0.6), None, "sum of at most 1"),
        (5, (1.0, 0.0), None, "positive numbers"),
        (5, (0.5, np.nan), None, "fractions contains NaN at row 2"),
        (5, (0.5, 0.5), np.zeros(4), "stratify has 4 entries"),
    ],
)
def test_refuses(n, fractions, labels, says):
    with pytest.raises(ValueError, match=says):
        split(n, fractions, 0, stratify=labels)


def test_labels_of_one_hot_targets():
    assert Dataset(np.ones((3, 1)), np.eye(3)[[2, 0, 1]], ("x",)).labels.tolist() == [2, 0, 1]
