"""Base arguments of the catalogue in ``test_arguments``: rooms data, analysis, estimators, plots and report."""

import collections.abc
import functools
import importlib
import inspect
import pathlib
import re
import sys
import tempfile
import typing

import jax
import jax.numpy as jnp
import numpy as np
import optax


def of(room, name):
    return getattr(importlib.import_module(f"numdl.{room}"), name)


# ------------------------------------------------------------------------------------------------ optimize, regularize
def methods():
    return {"steepest": of("optimize", "SteepestDescent")()}


def trial():
    from numdl.optimize.parts.line_search import Trial

    return Trial(jnp.asarray(1.0), jnp.asarray(-1.0), None)


def line(t):
    return trial()._replace(value=1.0 - t + t**2, slope=2 * t - 1.0)


def halves():
    return [(np.arange(3), np.arange(3, 6)), (np.arange(3, 6), np.arange(3))]


def rows():
    return np.random.default_rng(0).standard_normal((6, 3))


@functools.cache
def folder():
    """Small files of every kind."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = tempfile.TemporaryDirectory()
    path = pathlib.Path(place.name)
    (path / "table.csv").write_text("a,b\n1,2\n3,5\n")
    (path / "array.idx").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 8]))
    (path / "batch.bin").write_bytes(bytes(3073))
    pq.write_table(pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0]}), path / "table.parquet")
    return place, path


def file(name):
    return lambda: folder()[1] / name


def bowl(p):
    return sum(jnp.sum((leaf - 1.0) ** 2) for leaf in jax.tree.leaves(p))


def weights():
    return {"w": jnp.arange(3.0)}


def axes():
    from matplotlib.figure import Figure

    return Figure().add_subplot()


def curves():
    return {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([3.0, 2.0, 1.0])}


OF_PLOTS = {
    "ax": axes,
    "label": lambda: "of the axis",
    "x_label": lambda: "x",
    "y_label": lambda: "y",
    "draw_histogram.residual": lambda: np.arange(4.0),
    "draw_region.z": lambda: np.array([-1.0 + 1j, -0.5]),
    "draw_parity.name": lambda: "target",
    "draw_confusion.names": lambda: ["a", "b"],
    "draw_importance.names": lambda: ["a", "b", "c", "d"],
    "draw_response.names": lambda: ["a", "b"],
    "draw_response.limits": lambda: (0.0, 1.0),
    "draw_response.band": lambda: (np.zeros(3), np.ones(3)),
    "draw_over_input.name": lambda: "a",
    "draw_reliability.low": lambda: np.zeros(4),
    "draw_class_errors.names": lambda: ["a", "b"],
    "draw_criteria.criteria": lambda: {"gcv": np.arange(4.0, 0.0, -1.0)},
    "marks": lambda: [("gcv", 0.1)],
    "draw_l_curve.at": lambda: [("gcv", 1)],
    "draw_region.size": lambda: np.abs,
    "curves": curves,
    "draw_pictures.pictures": lambda: np.full((2, 3, 3, 1), 0.5),
    "draw_pictures.captions": lambda: ["a", "b"],
    "draw_changes.changes": lambda: {"rk4": 0.1},
    "draw_certified.lengths": lambda: {"proved": np.array([0.1, 0.0])},
    "lines": curves,
    "draw_effective.n_parameters": lambda: 5,
    "draw_over_depth.start": lambda: 0.5,
    "value": lambda: 12.0,
    "text": lambda: "some text",
    "seconds": lambda: 12.0,
    "_": lambda: 0,
}


def fit_summary():
    table, steps = np.arange(6.0).reshape(3, 2), np.arange(1.0, 4.0)
    return {
        "title": "A fit",
        "task": "regression",
        "status": of("contracts", "Status")("converged", "It ended."),
        "facts": {"Rows": "3"},
        "scores": [{"name": "numdl ResNet", "test": 0.1}, {"name": "ridge", "test": 0.2}],
        "history": {"objective": 1 / steps, "alpha:K": steps},
        "c": table,
        "prediction": table + 0.1,
        "interval": np.ones((3, 2)),
        "target_names": ["a", "b"],
        "class_names": [],
        "weights": {"K": np.ones((2, 2))},
        "path": {"alpha": steps, "criterion": steps, "chosen": steps[:1]},
        "rows": np.arange(3),
        "input_names": [],
        "effects": {},
    }


def selection_summary():
    m, row = np.arange(1.0, 5.0), {"name": "gcv", "alpha": 2.0, "freedom": 2.0, "error": 0.1, "message": "Chosen."}
    whole = {"title": "A selection", "facts": {"Rows": "3"}, "rows": [row], "recommended": 0, "reason": "It is best."}
    names = ("alphas", "residuals", "seminorms", "freedom", "error", "error_high", "values", "coefficients")
    arrays = {"criteria": {"gcv": m}, "noise": 0.1, **dict.fromkeys(names, m)}
    return whole | arrays | {"verdict": "The condition holds."}


OF_REPORT = {f"FitSummary.{name}": functools.partial(fit_summary().get, name) for name in fit_summary()}
OF_REPORT |= {
    f"SelectionSummary.{name}": functools.partial(selection_summary().get, name) for name in selection_summary()
}
OF_REPORT |= {
    f"{call}.summary": lambda: of("report", "FitSummary")(**fit_summary())
    for call in ("advise", "page_html", "score_table", "verdict", "write_page", "write_json", "target_table")
}
OF_REPORT |= {
    f"{call}.summary": lambda: of("report", "SelectionSummary")(**selection_summary())
    for call in ("selection_html", "selection_table", "write_selection")
}
OF_REPORT |= {
    "print_status.status": lambda: fit_summary()["status"],
    "write_page.path": lambda: "page.html",
    "write_json.path": lambda: "page.json",
    "write_selection.path": lambda: "page.html",
}

BASES = {
    "f": lambda: bowl,
    "cut.p": weights,
    "attack.search": lambda: of("analysis", "GradientSearch")(),
    "scores": lambda: lambda p, x: jnp.stack([jnp.sum(x), -jnp.sum(x)]),
    "attack.x": lambda: np.ones((4, 2)),
    "labels": lambda: np.zeros(4, int),
    "multistart.optimizer": lambda: lambda p: of("contracts", "Result")(p, None, None, {}),
    "starts": lambda: [weights(), weights()],
    "cut.q": lambda: {"w": jnp.ones(3)},
    "cut.points": lambda: 5,
    "plane.points": lambda: 3,
    "plane.u": weights,
    "plane.v": lambda: {"w": jnp.ones(3)},
    "direction": weights,
    "directions": lambda: [weights()],
    "on_grid.coordinates": lambda: np.zeros((2, 1)),
    "gradient_by_state.step": lambda: lambda theta, u: u + theta,
    "gradient_by_state.layers": lambda: jnp.ones((2, 4)),
    "objective": lambda: lambda u: jnp.sum(u**2),
    "Watch.training": lambda: lambda p, aux: 1.0,
    "Watch.validation": lambda: lambda p, aux: 1.0,
    "over_complexity.fit": lambda: lambda size: (1.0, 2.0),
    "over_complexity.sizes": lambda: [1, 2],
    "read_table.path": file("table.csv"),
    "read_idx.path": file("array.idx"),
    "read_cifar10.path": file("batch.bin"),
    "row_chunks.path": file("table.parquet"),
    "row_chunks.target": lambda: "b",
    "row_pieces.path": file("table.parquet"),
    "row_pieces.target": lambda: "b",
    "check_writable.path": lambda: "free.csv",
    "write_predictions.path": file("written.csv"),
    "write_predictions.overwrite": lambda: True,
    "write_predictions.names": lambda: ["a"],
    "write_predictions.columns": lambda: [np.ones(3)],
    "ArrayPieces.x": rows,
    "ArrayPieces.c": lambda: np.ones((6, 1)),
    "Table.names": lambda: ("a",),
    "Table.columns": lambda: (np.ones(3),),
    "guess_task.column": lambda: np.arange(6.0),
    "split.n": lambda: 6,
    "split.fractions": lambda: [0.5, 0.5],
    "describe.model": lambda: fitted(of("estimators", "TikhonovRegressor")),
    "armijo.line": lambda: line,
    "strong_wolfe.line": lambda: line,
    "start": trial,
    "compare.methods": methods,
    "compare.work": lambda: 4,
    "minimize_cascadic.prolong": lambda: lambda level, p: p,
    "minimize_cascadic.max_iter": lambda: 2,
    "minimize_cascadic.ratio": lambda: 2.0,
    "minimize_sample_average.max_iter": lambda: 2,
    "minimize_subsampled.max_iter": lambda: 2,
    "minimize_stochastic.method": lambda: of("optimize", "StochasticGradient")(optax.sgd(0.1)),
    "minimize_stochastic.epochs": lambda: 2,
    "minimize_stochastic.time_budget": lambda: 0.5,  # of 1e9 epochs
    "prepare_folds.a": rows,
    "prepare_folds.b": lambda: np.arange(6.0)[:, None],
    "prepare_folds.folds": halves,
    "fold_errors.folds": lambda: of("regularize.ridge", "prepare_folds")(rows(), np.arange(6.0)[:, None], halves()),
}

# ---------------------------------------------------------------------------------------------------------- estimators
SETTINGS = {
    "max_iter": 1, "n_restarts": 1, "width": 2, "widths": (2,), "depth": 1, "random_state": 0, "n_neighbors": 2,
    "kernel": "linear", "average": False, "subset": 4, "n_networks": 0, "cv": 2, "degree": 2, "interval": (-9.0, 9.0),
    "damping": 0.1, "dynamics": "antisymmetric", "time_budget": 9.0, "noise": 0.1, "alpha": 0.1, "alpha_head": 0.1,
    "scale": 1.0, "n_filters": 2, "image_shape": (1, 2),
}  # fmt: skip
OWN = {"RandomFeaturesClassifier": {"width": 3}, "BasisFeatures": {}}


def table(n=12):
    return np.random.default_rng(0).standard_normal((n, 2))


def targets(kind):
    return (table()[:, 0] > 0).astype(int) if hasattr(kind, "predict_proba") else table().sum(axis=1)


@functools.cache
def documentation(kind):
    """What the class says, then those that it refers to for its parameters."""
    home = importlib.import_module("numdl.estimators")
    text = inspect.getdoc(kind) or ""
    others = [getattr(home, name) for name in re.findall(r"``(\w+)(?=\(|``)", text) if name in home.__all__]
    return "\n\n".join([text, *(documentation(other) for other in others if other is not kind)])


def resolved(function, *homes):
    """Its signature without self, with annotations as objects."""
    names = {"np": np, "jax": jax, **vars(typing), **vars(collections.abc)}
    for home in homes:
        names |= vars(sys.modules[home])
    parameters = [p for name, p in inspect.signature(function).parameters.items() if name != "self"]
    known = [p.replace(annotation=eval(p.annotation, names) if isinstance(p.annotation, str) else p.annotation)
             for p in parameters]  # fmt: skip
    return inspect.Signature(known)


def good(kind):
    """Parameters of a small fit."""
    known = SETTINGS | OWN.get(kind.__name__, {})
    return {name: known[name] for name in inspect.signature(kind).parameters if name in known}


def answers(fitted):
    """What a fit says of its rows."""
    return (fitted.predict if hasattr(fitted, "predict") else fitted.transform)(table())


@functools.cache
def fitted(kind):
    return kind(**good(kind)).fit(table(), targets(kind))


def calls_of(kind, seen):
    """An estimator as calls: ``fit`` looks at its parameters, and its methods at theirs; what all share, once."""
    homes = [one.__module__ for one in reversed(kind.__mro__) if one.__module__.startswith("numdl")]

    def made(**parameters):
        return answers(kind(**parameters).fit(table(), targets(kind)))

    made.__signature__, made.__doc__, made.__module__ = resolved(kind, *homes), documentation(kind), kind.__module__
    yield kind.__name__, made, {name: functools.partial(good(kind).get, name) for name in good(kind)}
    rows = {"X": table, "X_val": table, "y": lambda: targets(kind), "y_val": lambda: targets(kind)}
    bases = rows | {"sample_weight": lambda: np.ones(12), "path": lambda: "file", "to": lambda: "numpy"}
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        shared = (kind, name) if name.endswith("fit") else method  # fits differ in their targets
        if name[0] == "_" or not method.__module__.startswith("numdl") or shared in seen:
            continue
        seen.add(shared)

        def asked(name=name, **arguments):
            learns = name.endswith("fit")
            result = getattr(kind(**good(kind)) if learns else fitted(kind), name)(**arguments)
            return answers(result) if learns else result

        asked.__signature__, asked.__doc__ = resolved(method, *homes), method.__doc__
        yield f"{kind.__name__}.{name}", asked, bases


BASES |= OF_PLOTS | OF_REPORT
