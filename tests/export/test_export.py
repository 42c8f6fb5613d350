"""Exported functions say what the estimators say, on 1000 rows, in every language."""

import shutil
import warnings

import numpy as np
import pytest
from exported_models import LIGHT, answers, by_c, by_numpy, by_octave, by_onnx, data, error

from numdl import KernelRegressor
from numdl.export import describe
from numdl.export.describers.mixtures import fewer
from numdl.export.evaluate import evaluate
from numdl.export.targets import numpy_module
from numdl.export.write import export

ROWS = data(1000, seed=5)[0]


@pytest.fixture(scope="module")
def models():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: build() for name, build in LIGHT.items()}


@pytest.mark.parametrize("name", LIGHT)
def test_the_program_says_what_the_estimator_says(models, name):
    wanted = answers(models[name], ROWS)
    described = describe(models[name])
    for result, values in zip(described.names, described.evaluate(ROWS), strict=True):
        assert error(values, wanted[result]) < 1e-12, result


@pytest.mark.parametrize("name", LIGHT)
def test_numpy(models, name, tmp_path):
    wanted = answers(models[name], ROWS)
    for result, values in by_numpy(models[name], ROWS, tmp_path).items():
        assert error(values, wanted[result]) < 1e-12, result


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
@pytest.mark.parametrize(
    "name", ["mixture", *(pytest.param(name, marks=pytest.mark.thorough) for name in LIGHT if name != "mixture")]
)
def test_c(models, name, tmp_path):
    wanted = answers(models[name], ROWS)
    for result, values in by_c(models[name], ROWS, tmp_path).items():
        assert error(values, wanted[result]) < 1e-12, result


@pytest.mark.parametrize("name", LIGHT)
def test_onnx(models, name, tmp_path):
    pytest.importorskip("onnxruntime")
    wanted = answers(models[name], ROWS)
    for result, values in by_onnx(models[name], ROWS, tmp_path).items():
        assert error(values, wanted[result]) < (1e-12 if result != "std" else 1e-11), result


@pytest.mark.skipif(shutil.which("octave-cli") is None, reason="no Octave")
def test_matlab(models, tmp_path):
    for name, found in by_octave(models, ROWS, tmp_path).items():
        wanted = answers(models[name], ROWS)
        for result, values in found.items():
            assert error(values, wanted[result]) < 1e-12, (name, result)


def test_a_planted_fault_is_seen(models):
    described = describe(models["rbf"])
    program = described.program
    at = next(at for at, node in enumerate(program.nodes) if node.op == "affine")
    W, b = program.nodes[at].data
    program.nodes[at] = program.nodes[at]._replace(data=(W * (1 + 1e-9), b))
    wanted = answers(models["rbf"], ROWS)
    assert error(evaluate(program, ("mean",), ROWS)[0], wanted["mean"]) > 1e-11


def smooth(n=150):
    """A smooth function of two inputs by two kernels, and rows in and around its own."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (n, 2))
    y = np.sin(2 * x[:, 0]) + x[:, 1] ** 2 + 0.2 * rng.normal(size=n)
    return KernelRegressor(kernel="rbf", average=False, n_restarts=1, random_state=0).fit(
        x, y, sample_weight=rng.uniform(0.2, 2, n)
    ), rng.uniform(-3, 3, (1000, 2))


@pytest.mark.parametrize("share", [0.05, 1e-3, 1e-6])
def test_deviations_of_fewer_numbers_are_too_large_by_no_more_than_a_share(share, tmp_path):
    model, x = smooth()
    mean, std = model.predict(x, return_std=True)
    exact, few = describe(model), describe(model, std=share)
    assert few.program.count("std") < 0.8 * exact.program.count("std")
    found, more = few.evaluate(x)
    np.testing.assert_allclose(found[:, 0], mean, rtol=1e-12, atol=1e-12)
    larger = more[:, 0] / std - 1
    assert larger.min() > -1e-9 and larger.max() <= share + 1e-9
    if share == 0.05:  # mutant: as many directions less one decade
        assert (describe(model, std=10.0).evaluate(x)[1][:, 0] / std - 1).max() > share
    path = export(model, tmp_path / "m.py", std=share)
    assert f"at most {share:g} of themselves" in path.read_text()
    assert by_numpy_at(path, x, more) < 1e-9


def test_fewer_numbers_keep_their_digits_where_noise_is_small():
    t = np.linspace(0, 1, 100)
    lower = np.linalg.cholesky(np.exp(-50 * (t[:, None] - t) ** 2) + 1e-12 * np.eye(100))
    V = fewer(lower, np.full(100, 1e-12), 0.05)
    assert V is not None and 10 < len(V) < 40
    rows = V @ lower  # k = L w is known in the kept directions w, which are orthonormal
    np.testing.assert_allclose(rows @ rows.T, np.eye(len(V)), atol=1e-5)  # squared matrices miss that by 4e-4


def by_numpy_at(path, x, std):
    space = numpy_module.loaded(path.read_bytes())
    return np.abs(space["predict"](x, return_std=True)[1].reshape(std.shape) / std - 1).max()


@pytest.mark.parametrize("std", [0.0, 0.5, -1e-3, float("nan"), "yes"])
def test_another_share_is_refused(std, tmp_path):
    with pytest.raises(ValueError, match=r"needs True, False, 'auto' or a share to 0\.1"):
        export(smooth(20)[0], tmp_path / "m.py", std=std)
