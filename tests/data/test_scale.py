import numpy as np
import pytest

from numdl.data import Scaler

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(500, 3)) * [1.0, 5.0, 0.1] + [0.0, 100.0, -3.0]


def test_standardises_the_rows_it_was_fitted_on():
    scaler = Scaler.fit(NORMAL)
    z = scaler.transform(NORMAL)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(scaler.center, NORMAL.mean(axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(scaler.scale, NORMAL.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaler.inverse(z), NORMAL, rtol=1e-13, atol=1e-13)
    assert all(isinstance(leaf, np.ndarray) for leaf in scaler)


@pytest.mark.parametrize("unit", [1e-270, 1e-200, 1e-12, 1e-3, 1e12, 1e200, 1e300, 1e307])
@pytest.mark.parametrize("tails", ["none", "auto"])
def test_units_do_not_matter(unit, tails):
    heavy = np.column_stack([NORMAL[:, 0], NORMAL[:, 0] ** 9])
    heavy /= np.abs(heavy).max(axis=0)
    reference = Scaler.fit(heavy, tails=tails)
    scaler = Scaler.fit(heavy * unit, tails=tails)
    assert scaler.squash.tolist() == [False, tails == "auto"]
    z = scaler.transform(heavy * unit)
    np.testing.assert_allclose(z, reference.transform(heavy), rtol=1e-9, atol=1e-12)
    told = np.abs(z) < 2.99  # towards 3 the squash is flat and rounding hides the value
    np.testing.assert_allclose((scaler.inverse(z) / unit)[told], heavy[told], rtol=1e-9, atol=1e-12)


def test_both_ends_of_float64():
    x = np.array([[1.7e308, 5e-324], [-1.7e308, 0.0], [1.0, 0.0]])
    scaler = Scaler.fit(x, tails="auto")
    z = scaler.transform(x)
    assert np.isfinite(z).all() and np.isfinite(scaler.scale).all() and (scaler.scale > 0).all()
    np.testing.assert_allclose(z[:, 0], np.array([1, -1, 0]) * np.sqrt(1.5), rtol=1e-12, atol=1e-12)
    tiny = Scaler.fit([[1e-300], [2e-300]])
    assert np.isfinite(tiny.transform([[1.7e308]])).all()


@pytest.mark.parametrize("value", [0.0, 0.1, -3e8, 1e300, 1e-300])
def test_constant_columns_stay_zero_whatever_comes(value):
    scaler = Scaler.fit(np.full((7, 1), value), tails="auto")
    assert scaler.flat.tolist() == [True] and scaler.center.tolist() == [value]
    later = [[value], [value + 1.0], [-1e300]]
    assert not scaler.transform(later).any() and not scaler.derivative(later).any()
    assert scaler.inverse([[0.0], [3.0]]).tolist() == [[value], [value]]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_rows(n):
    x = NORMAL[:n]
    scaler = Scaler.fit(x, tails="auto")
    np.testing.assert_allclose(scaler.inverse(scaler.transform(x)), x, rtol=1e-12, atol=1e-12)


def test_large_offset_is_no_constant():
    x = 1e9 + np.arange(10.0)[:, None]
    np.testing.assert_allclose(Scaler.fit(x).transform(x).std(axis=0), 1, rtol=1e-6)


@pytest.mark.parametrize("tails", ["none", "auto"])
def test_whole_weights_are_repeated_rows(tails):
    x = np.column_stack([NORMAL[:, 0], NORMAL[:, 0] ** 9])
    weights = RNG.integers(0, 4, len(x))
    weighted = Scaler.fit(x, weights, tails=tails)
    repeated = Scaler.fit(np.repeat(x, weights, axis=0), tails=tails)
    for left, right in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12)
    rescaled = Scaler.fit(x, weights * 1e300, tails=tails)
    np.testing.assert_allclose(rescaled.scale, weighted.scale, rtol=1e-12)


def test_heavy_tails_are_squashed_smoothly():
    x = np.sort(RNG.standard_cauchy(2001))[:, None]
    scaler = Scaler.fit(x, tails="auto")
    assert scaler.squash.all()
    quartiles = np.quantile(x, [0.25, 0.5, 0.75])
    assert scaler.center[0] == quartiles[1] and scaler.scale[0] == pytest.approx(quartiles[2] - quartiles[0])
    y = scaler.transform(x)
    z = (x - scaler.center) / scaler.scale
    np.testing.assert_allclose(y, z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-12, atol=1e-14)
    assert np.all(np.diff(y, axis=0) > 0) and np.abs(y).max() < 3
    inside = np.abs(y) < 2.99
    np.testing.assert_allclose(scaler.inverse(y)[inside], x[inside], rtol=1e-9, atol=1e-12)
    assert not Scaler.fit(x).squash.any()


def test_rare_indicator_is_brought_to_a_normal_size():
    x = np.zeros((1000, 1))
    x[0] = 1
    y = Scaler.fit(x, tails="auto").transform(x)
    assert y[1] == 0 and y[0] == pytest.approx(2, rel=1e-2)


@pytest.mark.parametrize("unit", [1e-200, 1e-3, 1.0, 1e200])
def test_rare_events_are_on_a_logarithmic_scale(unit):
    rng = np.random.default_rng(4)
    x = np.where(rng.random((2000, 1)) < 0.1, rng.lognormal(0.0, 2.0, (2000, 1)), 0.0)
    scaler = Scaler.fit(x * unit + 3 * unit, tails="auto")
    assert scaler.logarithmic.all() and not scaler.squash.any() and scaler.center[0] == 3 * unit
    y = scaler.transform(x * unit + 3 * unit)
    event = x[x > 0].mean()
    np.testing.assert_allclose(y, 2 / 3 * np.arcsinh(10 * x / event), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose((scaler.inverse(y) / unit - 3), x, rtol=1e-9, atol=1e-12)
    assert not Scaler.fit(x).logarithmic.any()


def test_far_events_come_back_finite():
    x = np.zeros((1000, 1))
    x[0] = 1
    scaler = Scaler.fit(x, tails="auto")
    far = scaler.transform([[1e300], [-1.7e308]])
    assert np.isfinite(far).all() and np.isfinite(scaler.inverse(far)).all()
    with pytest.raises(ValueError, match="column 0, row 1 holds 1000, but logarithmic columns end"):
        scaler.inverse([[1e3]])


def test_inverse_at_the_ends_of_the_squash():
    scaler = Scaler.fit(RNG.standard_cauchy((2001, 1)), tails="auto")
    far = scaler.transform([[1e300], [-1e300]])
    assert far.tolist() == [[3.0], [-3.0]] and np.isfinite(scaler.inverse(far)).all()
    with pytest.raises(ValueError, match=r"column 0, row 1 holds 3\.1, but squashed columns end at 3"):
        scaler.inverse([[3.1]])


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.ones(3), r"shape \(3,\)"),
        (np.ones((0, 2)), r"shape \(0, 2\)"),
        ([[1.0, 2.0], [3.0, np.nan]], "x contains NaN at column 1, row 2"),
        ([[np.inf]], "x contains infinity at column 0, row 1"),
        ([["a"]], "an array of real numbers"),
    ],
)
def test_refuses_rows(x, says):
    with pytest.raises(ValueError, match=rf"Scaler\.fit.*{says}"):
        Scaler.fit(x)


@pytest.mark.parametrize("weights", [np.ones(4), -np.ones(3), np.zeros(3), [1, 1, np.nan], np.ones((3, 1))])
def test_refuses_weights(weights):
    with pytest.raises(ValueError, match="3 finite numbers, none negative, not all zero"):
        Scaler.fit(np.ones((3, 2)), weights)


def test_refuses_other_columns_and_tails():
    scaler = Scaler.fit(NORMAL)
    for method in (scaler.transform, scaler.inverse):
        with pytest.raises(ValueError, match="got 2 columns; give the 3 columns"):
            method(NORMAL[:, :2])
    with pytest.raises(ValueError, match="tails='heavy'"):
        Scaler.fit(NORMAL, tails="heavy")


def test_derivative_is_that_of_transform():
    events = np.zeros((500, 1))
    events[:9, 0] = np.arange(1.0, 10.0)
    x = np.column_stack([NORMAL[:, 0], RNG.normal(size=500) ** 9, events])
    scaler = Scaler.fit(x, tails="auto")
    assert scaler.squash.tolist() == [False, True, False] and scaler.logarithmic.tolist() == [False, False, True]
    step = 1e-6 * scaler.scale
    slope = (scaler.transform(x + step) - scaler.transform(x - step)) / (2 * step)
    np.testing.assert_allclose(scaler.derivative(x), slope, rtol=1e-5, atol=1e-6)
