"""Examples in docstrings: what a stranger meets first has one, and all of them print what they show."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

import numdl
import numdl.estimators

SOURCE = Path(numdl.__file__).parent
MET_FIRST = {
    "estimators": {*numdl.estimators.__all__, "load", "save", "export", "as_jax"},
    "models": {"ResNet", "refined", "stencil_roughness"},
    "flow": {"serial", "reversible", "LayerParallel", "get_march", "get_dynamics", "get_scheme", "prolong", "energy"},
    "optimize": {"minimize", "minimize_stochastic"},
    "linalg": {
        *("cgls", "lsqr", "preconditioned_cg", "least_squares", "golub_kahan", "bidiagonalise", "tridiagonalise"),
        *("steihaug", "tsqr_solve", "compensated_product", "as_operator", "smoothing_solve"),
    },
    "problems": {"empirical", "separable", "get_loss", "loss_from", "linear_empirical"},
    "plots": {"draw_parity", "draw_picard", "draw_l_curve", "draw_confusion", "draw_heat_map"},
    "data": {"split", "guess_task", "read_table"},
    "analysis": {"multistart", "cut", "eigenpairs", "on_grid", "gradient_by_layer", "spectrum"},
    "regularize": {
        *("decompose", "ridge_path", "gcv", "l_curve", "discrepancy", "upre", "search", "picard", "hybrid_lsqr"),
        *("graph_laplacian", "group_labels", "non_negative"),
    },
    "report": {"advise", "verdict", "write_page", "write_json", "print_status"},
    "testing": {"check_gradient", "check_adjoint", "check_curvature", "check_order"},
}


def shown(path):
    """Names of a module whose docstrings hold an example."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    found = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds))
    return {node.name for node in found if ">>> " in (ast.get_docstring(node) or "")}


def modules():
    """Name of each module with examples."""
    rooms = [
        path for path in sorted(SOURCE.rglob("*.py")) if not {"course", "cli"} & set(path.relative_to(SOURCE).parts)
    ]
    return {
        str(path.relative_to(SOURCE.parent).with_suffix("")).replace("/", "."): path for path in rooms if shown(path)
    }


def test_what_a_stranger_meets_has_an_example():
    found = {}
    for name, path in modules().items():
        found.setdefault(name.split(".")[1], set()).update(shown(path))
    for room, names in MET_FIRST.items():
        assert names <= found.get(room, set()), room


def failures(test):
    """What the examples of a docstring print instead of what they show."""
    said = []
    options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    doctest.DocTestRunner(verbose=False, optionflags=options).run(test, out=said.append, clear_globs=True)
    return "".join(said)


@pytest.mark.thorough
@pytest.mark.parametrize("name", modules())
def test_examples_print_what_they_show(name):
    tests = [test for test in doctest.DocTestFinder().find(importlib.import_module(name), name) if test.examples]
    assert tests
    refusals = [one for test in tests for one in test.examples if one.exc_msg]
    assert all(one.exc_msg.startswith("AssertionError: check_") for one in refusals), "an example shows a mistake"
    for test in tests:
        assert not failures(test), test.name


def test_a_planted_mistake_is_seen():
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "planted", None, 0)
    right = doctest.DocTestParser().get_doctest(">>> 1 + 1\n2\n", {}, "right", None, 0)
    assert "Got:\n    2" in failures(wrong) and not failures(right)
