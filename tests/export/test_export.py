"""Exported functions say what the estimators say, on 1000 rows, in every language."""

import shutil
import warnings

import pytest
from exported_models import LIGHT, answers, by_c, by_numpy, by_octave, by_onnx, data, error

from numdl.export import describe
from numdl.export.evaluate import evaluate

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
