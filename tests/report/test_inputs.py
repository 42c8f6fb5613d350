"""Inputs on the page: importance and slices have their right values, the script moves curves to where they belong."""

import base64
import dataclasses
import hashlib
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from report_summaries import EVIL, classification, regression
from scipy.special import ndtri

from numdl import KernelRegressor, TikhonovRegressor
from numdl.estimators.common.effects import LEVELS, POINTS, effects
from numdl.plots import fit
from numdl.plots import inputs as pictures
from numdl.report import FitSummary, calibration, measures, page_html, write_json
from numdl.report.inputs import LIVE
from numdl.report.summary import read_summary, write_summary


class Model:
    """``3 a b + c``, or its sign as a class, and a deviation ``0.1 + |a|``."""

    classes_ = np.array(["down", "up"])

    def __init__(self, classes=False):
        self.classes = classes

    def value(self, x):
        return 3 * x[:, 0] * x[:, 1] + x[:, 2]

    def predict(self, x, return_std=False):
        if self.classes:
            return self.classes_[(self.value(x) > 0).astype(int)]
        return (self.value(x), 0.1 + np.abs(x[:, 0])) if return_std else self.value(x)

    def predict_proba(self, x):
        p = 1 / (1 + np.exp(-self.value(x)))
        return np.column_stack([1 - p, p])


def rows(n=300, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, 4))
    x[:, 3] = x[:, 3] > 0
    return x


def of(model, x, inputs=None, deviations=True):
    c = model.value(x)[:, None] if not model.classes else (model.value(x) > 0).astype(int)

    def bands(rows):
        mean, std = model.predict(rows, return_std=True)
        return [mean, mean - 2 * std, mean + std] if deviations else [mean]

    return effects(model, x, inputs, c, model.predict, bands)


def test_importance_is_the_rise_of_the_error():
    x = rows(20_000)
    found = of(Model(), x)
    # shuffled c: E (c - c')^2 = 2; shuffled a: E (3 b (a - a'))^2 = 18
    assert found["input_names"] == ["x0", "x1", "x2", "x3"]
    np.testing.assert_allclose(found["effects"]["importance"], [18**0.5, 18**0.5, 2**0.5, 0], rtol=0.1)
    assert found["effects"]["importance"][3] == found["effects"]["spread"][3] == 0
    assert found["effects"]["spread"][0] > 0


def test_columns_of_one_input_are_shuffled_together():
    x = rows()
    found = of(Model(), x, {"both": [0, 1], "rest": [2, 3]})
    alone = of(Model(), x, {"a": [0], "b": [1], "rest": [2, 3]})
    assert found["input_names"] == ["both", "rest"] and not len(found["effects"]["shown"])
    assert found["effects"]["importance"][0] != pytest.approx(alone["effects"]["importance"][0], rel=1e-3)


def test_a_number_that_may_be_missing_has_its_curve_where_it_is_told():
    x = rows(200)
    x[:, 3] = np.arange(200) % 3 == 0
    x[x[:, 3] == 1, 0] = -7.0  # what stands for a missing entry of column 0
    found = of(Model(), x, {"a": [0, 3], "b": [1], "c": [2]})["effects"]
    at = list(found["shown"]).index(0)
    np.testing.assert_array_equal(np.isnan(found["values"][:, at]), x[:, 3] == 1)
    assert found["base"][at] == pytest.approx(np.median(x[x[:, 3] == 0, 0])) and found["grid"][at][0] == -7


def test_slices_are_predictions_of_the_model():
    x = rows()
    found = of(Model(), x)["effects"]
    shown = found["shown"].astype(int)
    base = np.median(x, axis=0)
    np.testing.assert_array_equal(found["base"], base[shown])
    assert found["grid"].shape == (4, POINTS) and found["levels"].shape == (4, LEVELS)
    assert found["grid"][0, 0] == x[:, shown[0]].min() and found["grid"][0, -1] == x[:, shown[0]].max()
    for i in range(4):
        for j in range(4):
            for level in range(LEVELS):
                at = np.repeat(base[None], POINTS, axis=0)
                if j != i:
                    at[:, shown[j]] = found["levels"][j, level]
                at[:, shown[i]] = found["grid"][i]
                mean, std = Model().predict(at, return_std=True)
                np.testing.assert_array_equal(found["response"][i, j, level, :, 0], mean)
                np.testing.assert_array_equal(found["low"][i, j, level, :, 0], mean - 2 * std)
                np.testing.assert_array_equal(found["high"][i, j, level, :, 0], mean + std)


def test_text_stays_at_its_commonest_value():
    x = np.column_stack([rows(60)[:, :3], np.repeat([[1, 0, 0], [0, 1, 0]], [20, 40], axis=0)])
    seen = []

    class Watched(Model):
        def predict(self, x, return_std=False):
            seen.append(x[:, 3:])
            return super().predict(x, return_std)

    of(Watched(), x, {"a": [0], "b": [1], "c": [2], "text": [3, 4, 5]})
    assert (seen[-1] == [0, 1, 0]).all()


def test_classes_are_judged_by_wrong_predictions_and_show_probabilities():
    x = rows()
    model = Model(classes=True)
    found = of(model, x, deviations=False)["effects"]
    assert found["outputs"].tolist() == [1] and "low" not in found
    assert 0 < found["importance"][2] < 50 and found["importance"][3] == 0
    assert found["response"].min() >= 0 and found["response"].max() <= 1


def summary(model=None, **changes):
    model, x = model or Model(), rows(80)
    found = of(model, x, dict(zip((EVIL, "b", "c", "d"), ([0], [1], [2], [3]), strict=True)), not model.classes)
    c = model.value(x)
    fields = {"history": {}, "weights": {}, "rows": np.arange(80) + 7, **found}
    if model.classes:
        return classification(
            n=80, k=2, class_names=["down", EVIL], **{**fields, "c": c > 0, "prediction": c > 0}, **changes
        )
    prediction = c + np.where(np.arange(80) == 5, 9.0, 0.1)
    return regression(**{**fields, "c": c, "prediction": prediction, "interval": np.ones(80)}, **changes)


@pytest.mark.parametrize("classes", [False, True])
def test_the_page_runs_its_one_script_and_no_other(classes):
    text = page_html(summary(Model(classes)))
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", text, flags=re.DOTALL)
    assert [("json" in kind, body == LIVE) for kind, body in scripts] == [(True, False), (False, True)]
    allowed = base64.b64encode(hashlib.sha256(scripts[1][1].encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}'" in text and not re.search(r"https?:|<link|@import", text)
    assert text.count("<script") == 2 and "alert(" in text
    assert '<nav aria-label="Contents"><a href="#fit-on-the-test-rows">' in text and 'id="inputs"' in text


def test_the_worst_row_is_named_by_its_number_in_the_file():
    text = page_html(summary())
    table = text[text.index("Largest errors") :]
    assert re.search(r'<tbody><tr><th scope="row">12</th>', table)  # 5 + 7


def test_a_summary_keeps_its_inputs(tmp_path):
    write_summary(summary(), tmp_path / "s.numdl")
    again = read_summary(tmp_path / "s.numdl")
    assert page_html(again) == page_html(summary())
    with pytest.raises(ValueError, match="effects"):
        FitSummary(title="", task="regression", status=again.status, effects={"importance": np.ones(2)})
    classes = of(Model(classes=True), rows(), deviations=False)["effects"] | {"outputs": np.array([1.0])}
    told = {"title": "", "task": "classification", "status": again.status, "effects": classes}
    told["input_names"] = ("a", "b", "c", "text")
    both = FitSummary(**told, target_names=("grade",), class_names=("low", "high"))  # outputs are places of classes
    assert both.effects["outputs"].tolist() == [1.0]
    with pytest.raises(ValueError, match=r"needs places among \('low',\)"):
        FitSummary(**told, target_names=("grade",), class_names=("low",))
    with pytest.raises(ValueError, match="rows"):
        regression(rows=np.arange(3))


def test_the_numbers_of_the_page_are_there_for_programs(tmp_path):
    write_json(summary(), tmp_path / "report.json")
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    (target,) = found["targets"]
    assert target["rmse"] == pytest.approx(np.sqrt((81 + 79 * 0.01) / 80))
    assert target["mae"] == pytest.approx((9 + 7.9) / 80) and target["coverage_90"] == 79 / 80
    assert [entry["name"] for entry in found["inputs"]] == [EVIL, "b", "c", "d"]
    write_json(classification(n=50, k=3, scores=[{"name": "numdl", "test": np.nan}]), tmp_path / "c.json")
    found = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert found["scores"] == [{"name": "numdl", "test": None}] and sum(one["rows"] for one in found["classes"]) == 50


STAGE = """
const elements = {}, listeners = {};
const path = (d) => ({ d, getAttribute: () => d, setAttribute(_, value) { this.d = value; } });
const control = (name, value) => ({ value, addEventListener: (_, act) => { listeners[name] = act; } });
const controls = { select: control("select", "-1"), input: control("input", "0"), output: {}, hidden: true };
controls.querySelector = (tag) => controls[tag];
const source = { textContent: DATA, parentElement: { querySelector: () => controls } };
const document = {
  querySelectorAll: () => [source],
  querySelector: (selector) => elements[selector] ??= path("M 10 200 L 110 100"),
};
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_script_draws_the_slice_that_was_chosen():
    slices = {
        "figures": [{"id": "f", "input": 0, "output": 0}],
        "base": [2.0, 0.0],
        "grid": [[0.0, 4.0], [0.0, 1.0]],
        "levels": [[1.0, 3.0], [5.0, 6.0]],
        "limits": [[0.0, 10.0]],
        "response": [[[[[0, 10]]] * 2, [[[1, 2]], [[5, 20]]]]] * 2,
        "low": [[[[[0, 9]]] * 2, [[[0, 1]], [[4, 18]]]]] * 2,
        "high": [[[[[1, 11]]] * 2, [[[2, 3]], [[7, 21]]]]] * 2,
    }
    acts = """
    const seen = () => ["line", "mark", "band"].map((name) => elements[`#f-live-${name} path`].d);
    const out = [seen()];
    controls.select.value = "1"; controls.input.value = "1"; listeners.select(); out.push(seen());
    controls.select.value = "0"; listeners.input(); out.push(seen());
    console.log(JSON.stringify({ out, hidden: controls.hidden, said: controls.output.textContent }));
    """
    program = STAGE.replace("DATA", json.dumps(json.dumps(slices))) + LIVE.replace('"use strict";', "") + acts
    found = json.loads(subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True).stdout)
    still, moved, own = found["out"]
    assert still[:2] == ["M10.00 200.00L110.00 100.00", "M60.00 200.00L60.00 100.00"]
    assert moved[0] == "M10.00 150.00L110.00 100.00"  # 20 lies above the frame
    assert moved[2] == "M10.00 130.00L110.00 100.00L110.00 100.00L10.00 160.00Z"  # from 4 to 7
    assert own[0] == still[0] and own[1] == "M85.00 200.00L85.00 100.00"
    assert found["hidden"] is False and found["said"] == "= 3"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_script_knows_logarithmic_axes():
    slices = {
        "figures": [{"id": "f", "input": 0, "output": 0, "log": True}],
        "base": [2.0], "grid": [[0.0, 4.0]], "levels": [[1.0, 3.0]], "limits": [[1.0, 100.0]],
        "response": [[[[[10, 100]]] * 2]], "low": [[[[[1, 10]]] * 2]], "high": [[[[[100, 1000]]] * 2]],
    }  # fmt: skip
    acts = "console.log(JSON.stringify(['line', 'band'].map((name) => elements[`#f-live-${name} path`].d)));"
    program = STAGE.replace("DATA", json.dumps(json.dumps(slices))) + LIVE.replace('"use strict";', "") + acts
    line, band = json.loads(subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True).stdout)
    assert line == "M10.00 150.00L110.00 100.00"
    assert band == "M10.00 100.00L110.00 100.00L110.00 150.00L10.00 200.00Z"


def test_a_target_seen_by_its_logarithm_is_shown_so(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (60, 2))
    y = np.exp(6 * x[:, 0] + 0.8 * rng.normal(size=60))
    model = KernelRegressor("linear", average=False, n_restarts=1, target_transform="log", random_state=0).fit(x, y)
    found = model.summary(x, y)
    at = np.repeat([np.median(x, axis=0)], POINTS, axis=0)
    shown = found.effects["shown"].astype(int)
    at[:, shown[0]] = found.effects["grid"][0]
    ends = np.stack([found.effects[name][0, 0, 0, :, 0] for name in ("low", "high")])
    np.testing.assert_allclose(ends, model.predict_quantiles(at, [0.05, 0.95]), rtol=1e-12)
    mean, std = model.predict(at, return_std=True)
    assert (mean - 1.6449 * std < 0).all() and (ends > 0).all()  # what mean and deviation would have shown
    z = np.abs(ndtri(found.below[:, 0]))
    assert calibration.deviations(found, 7, 0) == pytest.approx(z[7])
    assert abs(calibration.coverage(found, [0.9])[0] - np.mean(z < 1.6449)) < 1e-12
    drawn = {}
    for name in ("draw_parity", "draw_residuals", "draw_histogram"):
        monkeypatch.setattr(fit, name, lambda ax, called=name, **given: drawn.setdefault(called, given))
    monkeypatch.setattr(pictures, "draw_response", lambda ax, **given: drawn.setdefault("draw_response", given))
    page_html(found)
    assert drawn["draw_parity"]["log"] and drawn["draw_residuals"]["log"] and drawn["draw_response"]["log"]
    off = np.log(model.predict_quantiles(x, [0.5])[0] / y)
    np.testing.assert_allclose(np.ravel(drawn["draw_histogram"]["residual"]), off, atol=1e-12)
    assert drawn["draw_histogram"]["label"] == "ln(median / target)" and drawn["draw_response"]["limits"][0] > 0
    assert not measures.logarithmic(dataclasses.replace(found, c=-found.c)).any()


def test_a_target_seen_by_its_logarithm_is_judged_so():
    """Scores, R^2, importance and the worst rows count ratios: errors in units are those of the largest targets."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.uniform(-1, 1, (200, 2)), np.zeros(200)])
    y = np.exp(8 * x[:, 0] + 2 * x[:, 1] + 0.3 * rng.normal(size=200))
    y[7] *= 40
    fit = KernelRegressor("linear", average=False, n_restarts=1, target_transform="log", random_state=0)
    found = fit.fit(x[20:], y[20:]).summary(x, y)
    off = np.log(fit.predict_quantiles(x, [0.5])[0] / y)
    rms = np.sqrt(np.mean(off**2))
    assert found.score_name == "RMS error of the logarithm"
    np.testing.assert_allclose([row["test"] for row in found.scores], [rms, np.log(y).std()])
    one = measures.target_errors(found)[0]
    np.testing.assert_allclose([one.factor, one.r2], [np.exp(rms), 1 - (rms / np.log(y).std()) ** 2])
    assert one.rmse == pytest.approx(np.sqrt(np.mean((fit.predict(x) - y) ** 2)))
    heads, cells, _ = measures.target_cells(found, 5)
    assert heads[4:6] == ["R² of ln", "off by"] and cells[0][5].startswith("×\u00a0")
    importance = found.effects["importance"]  # shuffled u: E (8 (u - u'))^2 = 128 / 3
    np.testing.assert_allclose(
        importance, [np.sqrt(128 / 3 + rms**2) - rms, np.sqrt(8 / 3 + rms**2) - rms, 0], rtol=0.2
    )
    page = page_html(found)
    worst = page.split("Largest errors")[1].split("<tbody>")[1].split("</tr>")[0]
    ratio = f"×\u00a0{fit.predict_quantiles(x[7:8], [0.5])[0, 0] / y[7]:.3g}"
    assert ">8<" in worst and ratio in worst and int(np.abs(fit.predict(x) - y).argmax()) != 7
    assert "increase of the error of the logarithm" in page
    np.testing.assert_array_equal(found.median[:, 0], fit.predict_quantiles(x, [0.5])[0])
    in_units = dataclasses.replace(found, c=-found.c)
    assert np.isnan(measures.target_errors(in_units)[0].factor)


@pytest.mark.parametrize("inputs", ["x", 3.5, {"a": [2]}, {"a": [-1]}, {"a": "colour"}])
def test_inputs_that_name_no_columns_are_refused(inputs):
    x = np.random.default_rng(0).normal(size=(12, 2))
    model = TikhonovRegressor().fit(x, x[:, 0])
    with pytest.raises((TypeError, ValueError), match=r"summary\(inputs.*needs"):
        model.summary(x, x[:, 0], inputs=inputs)
