import itertools
import math

import numpy as np
import pytest

from numdl.data import TOYS
from numdl.data.problems.simulators import (
    BOREHOLE,
    OTL_CIRCUIT,
    PISTON,
    WING_WEIGHT,
    borehole_flow,
    otl_voltage,
    piston_cycle,
    wing_pounds,
)
from numdl.data.problems.toys import (
    donuts,
    double_circles,
    double_moons,
    ellipses,
    peaks,
    peaks_classes,
    peaks_regression,
    spirals,
    swiss_roll,
)

CLASSES = ("peaks-classes", "swiss-roll", "spirals", "ellipses", "double-circles", "double-moons", "donuts")


@pytest.mark.parametrize("name", TOYS)
@pytest.mark.parametrize("n", [1, 2, 5, 60])
def test_contract(name, n):
    data = TOYS[name](n, 0)
    rows = 2 * n if name == "swiss-roll" else n
    assert data.x.shape == (rows, len(data.names)) and data.c.shape[0] == rows and data.c.ndim == 2
    assert data.x.dtype == data.c.dtype == np.float64
    assert np.isfinite(data.x).all() and np.isfinite(data.c).all()
    again, noisy, other = TOYS[name](n, 0), TOYS[name](n, 0, 0.1), TOYS[name](n, 1, 0.1)
    np.testing.assert_array_equal(data.x, again.x)
    np.testing.assert_array_equal(data.c, again.c)
    assert np.any(noisy.x != other.x)
    if name in CLASSES:
        assert np.all(data.c.sum(axis=1) == 1) and set(np.unique(data.c)) <= {0, 1}
        np.testing.assert_array_equal(noisy.c, data.c)
    else:
        assert np.any(noisy.c != data.c)


@pytest.mark.parametrize("name", TOYS)
def test_bad_requests(name):
    for n, noise in ((0, 0.0), (5, -1.0), (5, np.nan), (5, np.inf)):
        said = "n=0" if n == 0 else f"noise={noise}"
        with pytest.raises(ValueError, match=rf"{name.replace('-', '_')}\({said}\)"):
            TOYS[name](n, 0, noise)


def test_noise_has_the_stated_size():
    clean, noisy = peaks_regression(4000, 0), peaks_regression(4000, 0, 0.5)
    # the deviation of 4000 draws lies within 5 / sqrt(2 * 4000) = 6 % of the true one
    assert abs(np.std(noisy.c - clean.c) / 0.5 - 1) < 0.06


def test_peaks_at_its_known_extremes():
    # values and places as documented for MATLAB's peaks
    assert peaks(-0.0093, 1.5814) == pytest.approx(8.1062, abs=1e-4)
    assert peaks(0.2283, -1.6255) == pytest.approx(-6.5511, abs=1e-4)
    assert peaks(0.0, 0.0) == pytest.approx(3 / math.e - 1 / (3 * math.e), rel=1e-14)


def test_peaks_classes_are_equally_likely_bands():
    data = peaks_classes(5000, 0)
    # five standard deviations of a binomial share
    assert np.all(np.abs(data.c.mean(axis=0) - 0.2) < 5 * np.sqrt(0.16 / 5000))
    values = peaks(*data.x.T)
    bands = [(values[data.labels == j].min(), values[data.labels == j].max()) for j in range(5)]
    assert all(low[1] < high[0] for low, high in itertools.pairwise(bands))
    assert peaks_classes(9, 0, classes=3).c.shape == (9, 3)
    with pytest.raises(ValueError, match="at least 2"):
        peaks_classes(9, 0, classes=1)


def test_swiss_roll_alternates_and_keeps_its_distance():
    data = swiss_roll(101)
    assert data.labels.tolist() == [0, 1] * 101
    r = np.hypot(*data.x.T)
    np.testing.assert_allclose(r[0::2], np.linspace(0, 1, 101), atol=1e-15)
    np.testing.assert_allclose(r[1::2] - r[0::2], 0.2, rtol=1e-12)
    angle = np.unwrap(np.arctan2(data.x[1::2, 1], data.x[1::2, 0]))
    assert angle[-1] - angle[0] == pytest.approx(4 * np.pi)


def test_where_the_classes_lie():
    r = [np.hypot(*(d.x / shape).T) for d, shape in ((ellipses(400, 0), [1, 0.4]), (double_circles(400, 0), 1))]
    label = ellipses(400, 0).labels
    assert r[0][label == 0].max() <= 1 < 1.25 <= r[0][label == 1].min() and r[0].max() <= 2
    np.testing.assert_allclose(r[1], np.where(double_circles(400, 0).labels == 0, 1.0, 0.5), rtol=1e-12)
    rings = donuts(400, 0)
    distance = np.hypot(np.abs(rings.x[:, 0]) - 1, rings.x[:, 1])
    assert np.all(np.where(rings.labels == 1, distance <= 0.5, (distance >= 0.7 - 1e-12) & (distance <= 1 + 1e-12)))
    moons = double_moons(400, 0)
    centre = np.where(moons.labels[:, None] == 0, [0, 0], [1, 0.5])
    np.testing.assert_allclose(np.hypot(*(moons.x - centre).T), 1, rtol=1e-12)
    assert np.all((moons.x - centre)[:, 1] * np.where(moons.labels == 0, 1, -1) >= -1e-12)
    for data in (ellipses(401, 0), double_circles(401, 0), donuts(401, 0), double_moons(401, 0), spirals(401, 0)):
        sizes = data.c.sum(axis=0)
        assert sizes.max() - sizes.min() <= 1


def test_inputs_fill_their_ranges():
    for name, ranges in (
        ("borehole", BOREHOLE),
        ("otl-circuit", OTL_CIRCUIT),
        ("wing-weight", WING_WEIGHT),
        ("piston", PISTON),
    ):
        data = TOYS[name](2000, 0)
        low, high = np.array(list(ranges.values())).T
        assert data.names == tuple(ranges)
        assert np.all(data.x >= low) and np.all(data.x <= high)
        assert np.all(np.ptp(data.x, axis=0) > 0.98 * (high - low))


def test_borehole_by_hand():
    rw, r, tu, hu, tl, hl, length, kw = 0.1, 20000.0, 90000.0, 1050.0, 90.0, 760.0, 1400.0, 11000.0
    ratio = math.log(r) - math.log(rw)
    # the reciprocal of the flow is a sum of three resistances
    resistance = ratio / (2 * math.pi * tu) + length / (math.pi * rw * rw * kw) + ratio / (2 * math.pi * tl)
    flow = borehole_flow(np.array([[rw, r, tu, hu, tl, hl, length, kw]]))
    assert flow[0] == pytest.approx((hu - hl) / resistance, rel=1e-13)


def test_otl_circuit_limits():
    base = 12 * 50 / 150
    # without feedback resistance the output is the base voltage plus the drop of one diode
    assert otl_voltage(np.array([[100, 50, 0, 2, 1, 100.0]]))[0] == pytest.approx(base + 0.74, rel=1e-14)
    gain, rf, rc1 = 100 * (1 + 9), 2.0, 1.6
    by_hand = (base + 0.74) * gain / (gain + rf) + 11.35 * rf / (gain + rf) + 0.74 * rf * gain / ((gain + rf) * rc1)
    assert otl_voltage(np.array([[100, 50, rf, rc1, 1, 100.0]]))[0] == pytest.approx(by_hand, rel=1e-13)


def test_wing_weight_of_the_baseline_aircraft():
    # a Cessna C172 Skyhawk weighs 233.9 pounds in Gramacy, Surrogates, 2020, sec. 1.2.1, there without paint
    coded = np.array([0.48, 0.4, 0.38, 0.5, 0.62, 0.344, 0.4, 0.37, 0.38])
    low, high = np.array(list(WING_WEIGHT.values())).T
    x = np.append(low[:-1] + coded * (high - low)[:-1], 0.064)
    assert wing_pounds(x[None])[0] - x[0] * 0.064 == pytest.approx(233.9, abs=0.05)
    swept = x.copy()
    swept[3] = 10.0
    factor = math.cos(math.radians(10.0)) ** (-1.2 + 0.3)
    lifted = wing_pounds(np.stack([x, swept])) - x[0] * 0.064
    assert lifted[1] / lifted[0] == pytest.approx(factor, rel=1e-12)


def test_piston_solves_the_equilibrium_it_comes_from():
    x = TOYS["piston"](50, 0).x
    mass, surface, volume0, spring, pressure, ambient, filling = x.T
    gas = pressure * volume0 / filling * ambient
    cycle = piston_cycle(x)
    # the volume is the positive root of k V^2 / S + A V = S P0 V0 Ta / T0; get it back from the cycle time
    stiffness = (2 * np.pi / cycle) ** 2 * mass - spring
    volume = surface * np.sqrt(gas / stiffness)
    a = pressure * surface + 19.62 * mass - spring * volume0 / surface
    np.testing.assert_allclose(spring * volume**2 / surface + a * volume, surface * gas, rtol=1e-9)


def test_friedman1_formula():
    data = TOYS["friedman1"](20, 0, d=6)
    x1, x2, x3, x4, x5, _ = data.x.T
    np.testing.assert_allclose(data.c[:, 0], 10 * np.sin(np.pi * x1 * x2) + 20 * (x3 - 0.5) ** 2 + 10 * x4 + 5 * x5)
    with pytest.raises(ValueError, match="at least 5 inputs"):
        TOYS["friedman1"](20, 0, d=4)
