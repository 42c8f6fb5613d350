"""Contracts by name: which problem satisfies which, and what whoever misses a part is told."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from numdl import ResNetRegressor, contracts
from numdl.contracts import Control, Iterate, Optimizer, Problem, Scheme, Status, StochasticOptimizer, require
from numdl.control import AugmentedLagrangian, ControlProblem, MultipleShooting, OneShot, SuccessiveApproximations
from numdl.flow import PiecewiseConstant, final, get_scheme
from numdl.models import ResNet
from numdl.optimize import (
    LBFGS,
    LevenbergMarquardt,
    LevenbergMarquardtQR,
    StochasticGradient,
    minimize,
    minimize_sample_average,
    minimize_stochastic,
    minimize_subsampled,
)
from numdl.problems import (
    Empirical,
    ExactHessian,
    InexactVarPro,
    LinearEmpirical,
    NonlinearLeastSquares,
    SlimTrain,
    VarPro,
)

pytestmark = pytest.mark.usefixtures("unchecked")

OFFERS = {
    Empirical: "dense bending residual counted heldout sampled",
    ExactHessian: "counted",
    InexactVarPro: "dense counted companion heldout",
    LinearEmpirical: "hessian line preconditioned counted",
    NonlinearLeastSquares: "dense residual counted sampled",
    VarPro: "dense residual counted companion heldout sampled",
    ControlProblem: "dense counted heldout layered fullspace shot",
}
EXTENSIONS = {
    name.removesuffix("Problem").lower(): getattr(contracts, name)
    for name in contracts.__all__
    if name.endswith("Problem") and name != "Problem"
}


@pytest.mark.parametrize("kind", OFFERS)
def test_problems_are_what_the_page_says(kind):
    # What an instance of it has: fields and methods.
    fields = {field.name: 1 for field in dataclasses.fields(kind)}
    methods = {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}
    thing = SimpleNamespace(**methods | fields)
    assert isinstance(thing, Problem)
    assert {name for name, protocol in EXTENSIONS.items() if isinstance(thing, protocol)} == set(OFFERS[kind].split())


@pytest.mark.parametrize("method", [LBFGS(), LevenbergMarquardt(), SuccessiveApproximations()])
def test_methods_satisfy_the_contract(method):
    assert isinstance(method, Optimizer) and not isinstance(method, StochasticOptimizer)
    assert isinstance(StochasticGradient(optax.sgd(1.0)), StochasticOptimizer) and isinstance(
        SlimTrain(optax.sgd(1.0)), StochasticOptimizer
    )


class Bowl(eqx.Module):
    """``||p||^2 / 2`` and no more than a Problem has to have."""

    def value(self, p, aux):
        return p @ p / 2, aux

    def linearize(self, p, aux):
        return contracts.Linearization(p @ p / 2, p, lambda v: v, aux, {})


class Plain:
    """Halves the unknowns; no pytree."""

    def init(self, problem, p, aux):
        return Iterate(p, aux, jnp.asarray(np.inf, p.dtype), (), {})

    def step(self, problem, iterate):
        value, aux = problem.value(iterate.p, iterate.aux)
        return Iterate(iterate.p / 2, aux, value / 4, (), {"objective": value, "aux": aux})

    def status(self, history):
        return Status("running", "")


@dataclasses.dataclass(frozen=True)
class Frozen(Plain):
    """The same, with a setting that nobody has declared."""

    name: str = "halves"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Registered(Plain):
    """The same, as JAX wants it."""

    name: str = dataclasses.field(default="halves", metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Undeclared(Plain):
    """The same, with text for a leaf."""

    name: str = "halves"


P = np.ones(2, np.float32)


def test_a_registered_dataclass_is_an_optimiser():
    result, _ = minimize(Bowl(), Registered(), jnp.asarray(P), max_iter=3)
    np.testing.assert_array_equal(result.p, P / 8)


def stochastic(problem, method):
    return minimize_stochastic(problem, method, P, batch=1, epochs=1, rate=0.1)


SAMPLES = NonlinearLeastSquares(lambda p, x: p * x, jnp.ones((3, 2)), jnp.ones((3, 2)))
REFUSED = {
    "plain class": (lambda: minimize(Bowl(), Plain(), P), r"optimizer=Plain\): JAX does not know.*an equinox.Module"),
    "frozen dataclass": (lambda: minimize(Bowl(), Frozen(), P), r"optimizer=Frozen.*tree_util\.register_dataclass"),
    "text for a leaf": (lambda: minimize(Bowl(), Undeclared(), P), r"Undeclared\): \.name is str, no array.*static"),
    "no problem": (lambda: minimize(None, LBFGS(), P), r"needs a Problem: None has no value\(p, aux\) -> tuple"),
    "half a problem": (
        lambda: minimize(SimpleNamespace(value=len), LBFGS(), P),
        r"'SimpleNamespace' has no linearize\(p, aux\) -> Linearization\. Give it\.",
    ),
    "no method": (lambda: minimize(Bowl(), "lbfgs", P), r"needs an Optimizer: 'lbfgs' has no init.*LBFGS\(\)"),
    "a class": (lambda: minimize(Bowl(), LBFGS, P), r"needs an Optimizer: LBFGS is a class\. Give an instance"),
    "stochastic method": (
        lambda: minimize(Bowl(), StochasticGradient(optax.sgd(1.0)), P),
        r"'StochasticGradient' has no status\(history\) -> Status\. Give it",
    ),
    "no matrix": (
        lambda: minimize(Bowl(), LevenbergMarquardt(), P),
        r"^LevenbergMarquardt needs a DenseProblem: 'Bowl' has no normal\(p, aux\) -> Normal\. Give it, or use "
        r"TrustRegion, which needs products only\.$",
    ),
    "no residual": (lambda: minimize(Bowl(), LevenbergMarquardtQR(), P), r"needs a ResidualProblem.*residual\(p\)"),
    "no bend": (
        lambda: minimize(SAMPLES, LevenbergMarquardt(acceleration=True), P),
        r"needs a BendingProblem: 'NonlinearLeastSquares' has no bend\(p, d\).*use acceleration=False",
    ),
    "no layers": (lambda: minimize(Bowl(), SuccessiveApproximations(), P), r"needs a LayeredProblem.*layers\(p\)"),
    "no states": (lambda: minimize(Bowl(), MultipleShooting(), P), r"MultipleShooting needs a FullSpaceProblem"),
    "no multipliers": (lambda: minimize(Bowl(), AugmentedLagrangian(), P), r"needs a FullSpaceProblem.*lagrangian\("),
    "no shots": (lambda: minimize(Bowl(), OneShot(), P), r"needs a ShotProblem: 'Bowl' has no u0, shots\(p, U, Lam"),
    "no samples": (lambda: stochastic(Bowl(), LBFGS()), r"minimize_stochastic needs a SampledProblem: 'Bowl' has no x"),
    "no weights": (lambda: stochastic(SAMPLES, LBFGS()), r"'NonlinearLeastSquares' has no w\. Give it.*weights of 1"),
    "no rows": (lambda: minimize_sample_average(Bowl(), LBFGS(), P, first=2), r"has no x, c, w, rows\(index\)"),
    "no rows to grow": (lambda: minimize_subsampled(Bowl(), LBFGS(), P, first=2), r"has no x, c, w, rows\(index\)"),
    "no control": (
        lambda: final(get_scheme("euler"), lambda t, u, theta: u, "constant", jnp.ones(2), P, 0.0, 0.1),
        r"final\(control\) needs a Control: 'constant' has no cells\(coeffs\).*PiecewiseConstant",
    ),
    "no scheme": (
        lambda: final(SimpleNamespace(order=1), lambda t, u, theta: u, PiecewiseConstant(2), jnp.ones(2), P, 0.0, 0.1),
        r"final\(scheme\) needs a Scheme: 'SimpleNamespace' has no step.*get_scheme\('heun'\)",
    ),
    "half of dynamics": (
        lambda: ResNet(d=2, width=2, depth=1, dynamics=SimpleNamespace(name="mine", init=len)),
        r"needs a Dynamics: 'SimpleNamespace' has no vector_field\. Give it, or use one of plain",
    ),
    "half of dynamics for an estimator": (
        lambda: ResNetRegressor(dynamics=SimpleNamespace(name="mine", init=len)).fit(np.eye(4), np.arange(4.0)),
        r"ResNetRegressor\(dynamics\) needs a Dynamics: 'SimpleNamespace' has no vector_field\. Give it",
    ),
    "no inner method": (lambda: SuccessiveApproximations(Plain()), r"inner=Plain\): JAX does not know"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_whoever_misses_a_part_is_told_which(case):
    call, message = REFUSED[case]
    with pytest.raises(TypeError, match=message):
        call()


def test_what_has_all_parts_but_is_another_class_is_told():
    with pytest.raises(TypeError, match=r"needs a Scheme: 'SimpleNamespace' is no Scheme\. Make it Scheme\(order,"):
        require(SimpleNamespace(order=1, step=len), Scheme, "march")
    assert require(get_scheme("heun"), Scheme, "march") is require(PiecewiseConstant(2), Control, "march") is None


def test_contracts_start_without_jax():
    code = "import sys, numdl.contracts; print(sorted({'jax', 'jaxtyping', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_says_the_same():
    page = (Path(__file__).parents[1] / "ARCHITECTURE.md").read_text()
    shown = {kind.__name__: set() for kind in OFFERS}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and (name := cells[0].strip("`").removesuffix("Problem").lower()) in EXTENSIONS:
            for kind in shown if cells[2] == "all" else cells[2].replace("`", "").split(", "):
                shown[kind].add(name)
    assert shown == {kind.__name__: set(offered.split()) for kind, offered in OFFERS.items()}
