"""Pages of the course: their JavaScript gives numdl's numbers, their Python prints them, their claims give reasons."""

import contextlib
import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from page_references import REFERENCES
from sampling_references import trained, trained_further
from sklearn.datasets import load_digits as sklearn_digits

from numdl.course.digits import load_digits
from numdl.course.site import grids, marched, pictured, timed, watched
from numdl.course.site.build import pages
from numdl.models import lipschitz_bound

PAGES = {page.slug: page for page in pages()}
DRIVER = Path(__file__).with_name("pages_in_node.mjs")
pytestmark = pytest.mark.usefixtures("unchecked")  # readers give arrays of NumPy too


@pytest.fixture(scope="session")
def by_node():
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the pages' JavaScript was not compared with numdl")
    call = [node, str(DRIVER), *(str(page.path) for page in PAGES.values())]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return {Path(path).stem: found for path, found in json.loads(done.stdout).items()}


def deviation(shown, wanted):
    """Largest difference of two arrays, over the largest entry; infinite where they are not finite in one only."""
    shown, wanted = np.asarray(shown, float), np.asarray(wanted, float)
    assert shown.shape == wanted.shape
    both = np.isfinite(shown) & np.isfinite(wanted)
    if not np.array_equal(shown[~both], wanted[~both], equal_nan=True):
        return np.inf
    return np.max(np.abs(shown[both] - wanted[both]), initial=0.0) / np.max(np.abs(wanted[both]), initial=1e-300)


def worst(page, found):
    """Largest deviation over all settings and numbers of a page, and where it is."""
    apart = (
        (deviation(trial["numbers"][name], value), name, trial["settings"])
        for trial in found["trials"]
        for name, value in REFERENCES[page](trial["settings"]).items()
    )
    return max(apart, key=lambda one: one[0])


def test_every_page_has_a_reference():
    assert set(REFERENCES) == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_the_numbers_of_numdl(by_node, page):
    found = by_node[page]
    assert len(found["trials"]) >= 20
    assert all(set(trial["numbers"]) == set(REFERENCES[page](trial["settings"])) for trial in found["trials"][:1])
    size, name, settings = worst(page, found)
    print(f"{page}: at most {size:.1e} apart ({name}), allowed {found['tolerance']:g}")
    assert size <= found["tolerance"], (name, settings)


@pytest.mark.parametrize("page", PAGES)
def test_a_wrong_digit_is_seen(by_node, page):
    found = json.loads(json.dumps({**by_node[page], "trials": by_node[page]["trials"][3:4]}))
    name = next(iter(found["trials"][0]["numbers"]))
    value = np.asarray(found["trials"][0]["numbers"][name], float)
    found["trials"][0]["numbers"][name] = (value * (1 + 10 * found["tolerance"]) + 1e-300).tolist()
    assert worst(page, found)[0] > found["tolerance"]


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_prints_its_numbers(by_node, page):
    prints_its_numbers(by_node[page]["start"])


@pytest.mark.thorough
@pytest.mark.parametrize("page", PAGES)
def test_it_prints_them_at_other_settings_too(by_node, page):
    for one in by_node[page]["trials"][1::7]:
        prints_its_numbers(one)


def prints_its_numbers(one):
    assert len(one["code"].strip().splitlines()) <= 24
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        exec(one["code"], {})
    found, wanted = ([float(word) for word in words] for words in (told.getvalue().split(), one["prints"]))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-14)


@pytest.mark.parametrize("page", PAGES)
def test_claims_that_fail_give_their_reason(by_node, page):
    seen = {}
    for one in (by_node[page]["start"], *by_node[page]["trials"]):
        for i, claim in enumerate(one["claims"]):
            assert claim["found"], claim
            assert claim["holds"] or claim["why"], claim
            assert "NaN" not in claim["found"] and "undefined" not in claim["found"], claim
            seen.setdefault(i, set()).add(claim["holds"])
    assert len(seen) >= 2
    assert {False, True} <= set().union(*seen.values()), "no setting of the trials breaks a claim"


@pytest.mark.parametrize("page", PAGES)
def test_controls_start_where_they_can_stand(by_node, page):
    controls = by_node[page]["controls"]
    assert 1 <= len(controls) <= 3
    for control in controls.values():
        if control["kind"] == "choice":
            assert control["value"] in [name for name, _ in control["options"]]
        else:
            assert control["min"] <= control["value"] <= control["max"]


@pytest.mark.parametrize("page", PAGES)
def test_numbers_that_wait_for_a_guess_are_numbers_of_the_sentence(by_node, page):
    assert set(by_node[page]["hides"]) <= set(by_node[page]["start"]["values"])


@pytest.mark.parametrize("page", PAGES)
def test_buttons_bring_the_settings_that_they_name(by_node, page):
    controls = by_node[page]["controls"]
    for label, name, asked, taken in by_node[page]["moves"]:
        if isinstance(asked, float | int) and name in controls:
            coarse = 0 if "log" in controls[name] else controls[name].get("step", 1) / 2
            assert abs(taken - asked) <= max(1e-3 * abs(asked), coarse), (label, name)
        else:
            assert taken == asked, (label, name)


@pytest.mark.parametrize("page", PAGES)
def test_logarithmic_sliders_reach_their_ends_and_the_powers_of_ten(by_node, page):
    for name, stops in by_node[page]["stops"].items():
        control = by_node[page]["controls"][name]
        assert stops == sorted(set(stops)) and stops[0] == control["min"] and stops[-1] == control["max"]
        if "log" in control:
            low, high = np.log10([stops[0], stops[-1]])
            assert {10.0**k for k in range(int(np.ceil(low)), int(np.floor(high)) + 1)} <= set(stops)


@pytest.mark.parametrize("page", PAGES)
def test_no_exercise_is_done_before_it_is_begun(by_node, page):
    assert not any(reply["passed"] for reply in by_node[page]["idle"])


@pytest.mark.parametrize("page", PAGES)
def test_exercises_tell_right_from_wrong(by_node, page):
    for wrong, right in zip(by_node[page]["wrong"], by_node[page]["key"], strict=True):
        assert right["reply"]["passed"] and not wrong["passed"], (right, wrong)
        assert wrong["say"] and right["right"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_a_notebook_with_its_text_and_code(by_node, page):
    book, start = by_node[page]["notebook"], by_node[page]["start"]
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    text = "\n".join(cell["source"] for cell in book["cells"] if cell["cell_type"] == "markdown")
    assert text.startswith(f"# {PAGES[page].id} {PAGES[page].question}")
    assert not any(left in text for left in ("[[", "{{", "undefined", "NaN"))
    assert next(cell["source"] for cell in book["cells"] if cell["cell_type"] == "code") == start["code"].strip()
    assert text.count("## Exercise") == len(by_node[page]["wrong"])


@pytest.mark.thorough
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_weights_of_the_page_on_landscapes_are_trained(activation):
    for p in trained(activation):
        np.testing.assert_allclose(trained_further(activation, p), p, atol=5e-4)
        assert np.max(np.abs(trained_further(activation, p + 0.02) - (p + 0.02))) > 5e-3


@pytest.mark.thorough
def test_the_data_of_pages_are_those_that_numdl_computes():
    (x, c), _ = grids.rows()
    data = grids.read("spectra_data")
    np.testing.assert_array_equal(x, data["x"])
    np.testing.assert_array_equal(c, data["c"])
    for again, kept in zip(grids.spectra(5, 2), data["runs"]["5"]["nets"], strict=False):
        for name, value in again.items():
            np.testing.assert_allclose(value, kept[name], rtol=1e-3, atol=1e-3)
    kept = grids.read("descent_data")["noise"]["0.3"]
    for rule, values in grids.double_descent(0.3, grids.SIZES[:3]).items():
        np.testing.assert_allclose(values, kept[rule][:3], rtol=1e-4)
    with pytest.raises(ValueError, match=r"read\(name='weather'\).*Use one of certified_data, .*spectra_data"):
        grids.read("weather")


@pytest.mark.thorough
def test_the_networks_that_are_timed_are_those_that_numdl_trains():
    kept = grids.read("timed_data")["trained"]
    for target, widths in (("sine", "32"), ("parabola", "8 8")):
        again = timed.trained(timed.NETWORKS[widths], target)
        assert again["weights"] == kept[target][widths]["weights"]
        np.testing.assert_allclose(again["errors"], kept[target][widths]["errors"], rtol=0.1)


@pytest.mark.thorough
def test_the_networks_that_are_watched_are_those_that_numdl_trains():
    data = grids.read("moved_data")
    np.testing.assert_allclose(watched.drawn_errors(32, 2.0), data["bands"]["2"][watched.SIZES.index(32)], rtol=1e-4)
    for again, kept in zip(watched.moving(4, 5)[:5], data["trained"]["4"], strict=False):  # then the last one again
        np.testing.assert_allclose(again["K"], kept["K"], rtol=1e-3, atol=1e-3)
    again, kept = watched.taught("5", 1, 0), grids.read("levels_data")["5 1 0"]
    np.testing.assert_allclose(again["objective"][:12], kept["objective"][:12], rtol=1e-3)
    assert [one["iterations"] for one in again["levels"]] == [one["iterations"] for one in kept["levels"]]


def test_the_digits_that_pages_show_are_those_of_scikit_learn():
    for ours, theirs in zip(load_digits(), sklearn_digits(return_X_y=True), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    x, y = pictured.digits()
    kept = grids.read("digits_data")
    assert kept == {"images": pictured.written(x[pictured.TRAINING :]), "classes": y[pictured.TRAINING :].tolist()}
    assert len(kept["images"]) == pictured.SHOWN and {len(one) for one in kept["images"]} == {64}


@pytest.mark.thorough
def test_the_network_that_is_certified_is_one_that_numdl_trains(monkeypatch):
    monkeypatch.setattr(pictured, "_attacked", lambda *given: [])
    again, kept = pictured.train("parabolic", 1e-5), grids.read("certified_data")["parabolic 1e-05"]
    x, y = (part[pictured.TRAINING :] for part in pictured.digits())
    net, told = pictured.network("parabolic"), []
    for stored in (again, kept):
        p = pictured.weights(stored)
        assert lipschitz_bound(net, p["theta"]) == pytest.approx(0.5, rel=2e-3)
        told.append(np.asarray(net.batch(p["theta"], x.reshape(len(x), -1) / 16) @ p["W"].T + p["b"]).argmax(axis=1))
    assert np.mean(told[0] == told[1]) > 0.95 and np.mean(told[0] == y) > 0.9


@pytest.mark.thorough
def test_the_networks_that_are_marched_are_those_that_numdl_trains(monkeypatch):
    data = grids.read("marched_data")
    for name, values in zip(("x", "c", "xTest", "cTest"), (a for pair in marched.rows() for a in pair), strict=True):
        np.testing.assert_array_equal(values, data[name])
    nets = {"rk4 8": marched.train("rk4 8")}
    settings = [{"net": "rk4 8", "scheme": scheme, "finer": finer} for scheme, finer in (("rk4", 0), ("euler", 0))]
    kept = [REFERENCES["steps_learnt"](one)["now"][0] for one in settings]
    monkeypatch.setattr(grids, "read", lambda name: {**data, "nets": nets})
    again = [REFERENCES["steps_learnt"](one)["now"][0] for one in settings]
    np.testing.assert_allclose(again, kept, atol=5.0)  # 60 iterations end where rounding lets them
    assert again[0] < 5 and again[1] > 30
