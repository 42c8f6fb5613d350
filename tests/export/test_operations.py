"""Every operation of a program means the same in NumPy, JAX, C, ONNX and MATLAB, and has the derivative it says."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exported_models import by_c, by_octave, by_onnx, error
from scipy.linalg import solve_triangular

from numdl.export import Description, description, slopes
from numdl.export.description import DESCRIBERS
from numdl.export.evaluate import RULES, evaluate, run
from numdl.export.program import BINARY, UNARY, Program
from numdl.export.slopes import PULLS, adjoints, gradients

D = 3
RNG = np.random.default_rng(0)
ROWS = RNG.uniform(-0.9, 0.9, (50, D))
# two trees, of which one asks twice: input, threshold, child for what is not above it, child for what is
NODES = [
    [1, 0.2, 1, 2],
    [0, 0, 1, 1],
    [0, -0.1, 3, 4],
    [0, 0, 3, 3],
    [0, 0, 4, 4],
    [2, 0.1, 6, 7],
    [0, 0, 6, 6],
    [0, 0, 7, 7],
]
# rows, values, noise, scale, and the settings of Matern's kernel on the five nearest rows
NEAREST = (RNG.normal(size=(9, D)), RNG.normal(size=9), RNG.uniform(0.1, 0.2, 9), np.array([1.0, 2.0, 0.5]))
NEAREST += (np.array([5.0, 1.5, 0.3, 5.0, 1.0, 1.0, 1 / 3]),)
L = np.tril(RNG.normal(size=(D, D))) + 3 * np.eye(D)


def single(op):
    """A program with one operation, of two entries or more."""
    program = Program(D)
    x = program.input
    if op in UNARY:
        inner = x + 1.5 if op in ("log", "sqrt") else x
        value = getattr(inner, op)()
    elif op in BINARY:
        value = program.binary(op, x, x[::-1] + 2.0) + program.binary(op, x.sum() + 4.0, x + 2.0)
    else:
        value = {
            "take": lambda: x[[2, 0, 2, 1]] * x[0::2].sum(),
            "join": lambda: program.join([x, program.constant([1.0, 2.0]), x.square()]),
            "affine": lambda: x.affine(np.arange(6.0).reshape(2, 3), [1.0, -1.0]),
            "solve": lambda: x.solve(L),
            "distances": lambda: x.distances(np.arange(6.0).reshape(2, 3)),
            "outer": lambda: x.outer(x[1:].exp()) + x[[0]].outer(x[:2]).sum(),
            "sum": lambda: program.join([x.square().sum(), x.sum()]),
            "trees": lambda: x.trees(np.array(NODES), np.arange(16.0).reshape(8, 2) ** 2, np.array([0, 5])),
            "softmax": lambda: (3.0 * x).softmax(),
            "local": lambda: x.local(*NEAREST),
            "constant": lambda: x + program.join([program.constant(2.0), program.constant([1.0, 3.0])]),
        }[op]()
    program.results["mean"] = value.at
    return program


OPERATIONS = sorted([*RULES, "solve", "local"])


def together():
    """All operations in one program, so that each language is asked once."""
    program, parts = Program(D), []
    for op in OPERATIONS:
        shift, lone = len(program.nodes) - 1, single(op)
        for node in lone.nodes[1:]:
            program.nodes.append(node._replace(args=tuple(arg + shift if arg else 0 for arg in node.args)))
        parts.append(type(program.input)(program, lone.results["mean"] + shift))
    program.results["mean"] = program.join(parts).at
    return program


class Together:
    """Something with a description."""

    kind = "Together"


@pytest.fixture
def model(monkeypatch):
    described = Description("Together", together(), False, np.zeros(D), np.full(D, 0.3))
    monkeypatch.setitem(DESCRIBERS, "Together", "test_operations_describer")
    monkeypatch.setattr(
        description, "import_module", lambda name: type("M", (), {"describe": staticmethod(lambda m, std: described)})
    )
    return Together(), evaluate(described.program, ("mean",), ROWS)[0]


def test_jax(model):
    with jax.enable_x64(True):
        (found,) = jax.jit(lambda x: run(together(), ("mean",), x, jnp, {}))(ROWS)
        assert error(np.asarray(found), model[1]) < 1e-13


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_c(model, tmp_path):
    assert error(by_c(model[0], ROWS, tmp_path)["mean"], model[1]) < 1e-13


@pytest.mark.skipif(shutil.which("octave-cli") is None, reason="no Octave")
def test_matlab(model, tmp_path):
    assert error(by_octave({"all": model[0]}, ROWS, tmp_path)["all"]["mean"], model[1]) < 1e-13


def test_onnx(model, tmp_path):
    pytest.importorskip("onnxruntime")
    found = by_onnx(model[0], ROWS, tmp_path)["mean"]
    place = [int(np.searchsorted(OPERATIONS, "erf"))]
    sizes = np.cumsum([0, *(single(op).nodes[single(op).results["mean"]].size for op in OPERATIONS)])
    short = np.zeros(found.shape[1], bool)
    for at in place:
        short[sizes[at] : sizes[at + 1]] = True
    assert error(found[:, ~short], model[1][:, ~short]) < 1e-13
    assert error(found[:, short], model[1][:, short]) < 1e-6  # float32 in ONNX Runtime


def taylor(op):
    """Order of the error of value plus slope of a nonlinear function of the operation."""
    program = single(op)
    value = program.join([program.input, type(program.input)(program, program.results["mean"])])
    outcome = (value.sin() * np.arange(1.0, value.size + 1)).sum()
    (slope,) = adjoints(outcome, [program.input])
    program.results |= {"f": outcome.at, "g": slope.at}
    return lambda x: evaluate(program, ("f",), x[None])[0][0, 0], lambda x: evaluate(program, ("g",), x[None])[0][0]


def order(op):
    f, g = taylor(op)
    x, v = np.array([0.3, -0.4, 0.6]), np.array([0.5, 0.8, -0.3])
    h = 2.0 ** -np.arange(8, 13)
    left = [abs(f(x + t * v) - f(x) - t * g(x) @ v) for t in h]
    return np.polyfit(np.log(h), np.log(left), 1)[0]


@pytest.mark.parametrize("op", sorted(PULLS))
def test_the_slope_of_each_operation_by_taylor(op):
    assert abs(order(op) - 2) < 0.1


def test_trees_are_walked_by_hand():
    x = np.array([[0.0, 0.2, 0.1], [-0.1, 0.3, 0.2], [0.0, 0.3, 0.0]])  # a threshold itself is not above it
    leaves = [(1, 6), (3, 7), (4, 6)]
    values = np.arange(16.0).reshape(8, 2) ** 2
    (found,) = evaluate(single("trees"), ("mean",), x)
    np.testing.assert_array_equal(found, [values[a] + values[b] for a, b in leaves])


def test_a_wrong_slope_is_seen(monkeypatch):
    monkeypatch.setitem(slopes.PULLS, "tanh", slopes._unary(lambda v, a: 1.0 - v))
    assert order("tanh") < 1.5


def test_what_is_the_same_for_all_rows_becomes_a_constant():
    program = Program(2)
    value = (program.constant([1.0, 2.0]) * 3.0).affine(np.eye(2), 1.0)
    assert program.nodes[value.at].op == "constant"
    np.testing.assert_array_equal(program.nodes[value.at].data[0], [4.0, 7.0])


def test_gradients_have_one_vector_for_each_entry():
    program = single("affine")
    program.results["g"] = program.join(gradients(program, "mean")).at
    np.testing.assert_allclose(evaluate(program, ("g",), ROWS[:1])[0][0], np.arange(6.0))


def nearly_singular():
    """``|L^-1 k|^2`` for the covariance L L' of a process all but without noise; as in SciPy, at rows."""
    z = np.linspace(-2, 2, 150)[:, None]
    L = np.linalg.cholesky(np.exp(-((z - z.T) ** 2)) + 1e-12 * np.eye(150))
    program = Program(1)
    program.results["mean"] = program.input.distances(z).negative().exp().solve(L).square().sum().at
    x = np.linspace(-1.9, 1.9, 40)[:, None]
    half = solve_triangular(L, np.exp(-((x - z.T) ** 2)).T, lower=True)
    return Description("Together", program, False, np.zeros(1), np.ones(1)), x, np.sum(half**2, axis=0)


def test_triangular_solves_by_tiles_err_as_substitution_does():
    """Products with the inverse of a tile alone err by 2e-9, far more than what is left of the variance."""
    described, x, wanted = nearly_singular()
    found = evaluate(described.program, ("mean",), x)[0][:, 0]
    assert np.abs(found - wanted).max() < 1e-12


def test_onnx_solves_as_well(monkeypatch, tmp_path):
    """Where a process says that there is no noise, deviations were a hundred times those of the model."""
    pytest.importorskip("onnxruntime")
    described, x, wanted = nearly_singular()
    monkeypatch.setitem(DESCRIBERS, "Together", "test_operations_describer")
    module = type("M", (), {"describe": staticmethod(lambda m, std: described)})
    monkeypatch.setattr(description, "import_module", lambda name: module)
    assert np.abs(by_onnx(Together(), x, tmp_path)["mean"][:, 0] - wanted).max() < 1e-12
