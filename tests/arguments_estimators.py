"""Base arguments of the catalogue in ``test_arguments``: rooms data, analysis, estimators, plots and report."""

import importlib

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


BASES = {
    "armijo.line": lambda: line,
    "strong_wolfe.line": lambda: line,
    "start": trial,
    "compare.methods": methods,
    "compare.work": lambda: 4,
    "minimize_cascadic.prolong": lambda: lambda level, p: p,
    "minimize_cascadic.max_iter": lambda: 2,
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
