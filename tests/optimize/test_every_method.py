"""What every method owes: the contract, any model, one unknown, honest passes, and no step out of the domain."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_problems as sp

from numdl.contracts import Work
from numdl.optimize import (
    BFGS,
    LBFGS,
    BlockCoordinateDescent,
    InexactNewton,
    LevenbergMarquardt,
    LevenbergMarquardtQR,
    Newton,
    NonlinearCG,
    ProjectedGaussNewton,
    ProjectedGradient,
    ProximalGradient,
    SteepestDescent,
    TrustRegion,
    minimize,
)
from numdl.problems import LEAST_SQUARES, Empirical
from numdl.regularize import Box, GroupPenalty
from numdl.testing import check_contract

pytestmark = pytest.mark.usefixtures("x64")
EVERYWHERE = Box(-jnp.inf, jnp.inf)
METHODS = {
    "steepest descent": SteepestDescent,
    "nonlinear cg": NonlinearCG,
    "l-bfgs": LBFGS,
    "bfgs": BFGS,
    "newton": Newton,
    "newton-cg": InexactNewton,
    "trust region": TrustRegion,
    "trust region, lanczos": lambda: TrustRegion(subspace="lanczos"),
    "trust region, arnoldi": lambda: TrustRegion(subspace="arnoldi"),
    "levenberg-marquardt": LevenbergMarquardt,
    "levenberg-marquardt, floor 1": lambda: LevenbergMarquardt(floor=1.0),
    "levenberg-marquardt, accelerated": lambda: LevenbergMarquardt(acceleration=True),
    "levenberg-marquardt by qr": LevenbergMarquardtQR,
    "projected gradient": lambda: ProjectedGradient(EVERYWHERE),
    "projected gauss-newton": lambda: ProjectedGaussNewton(-jnp.inf, jnp.inf),
    "proximal gradient": ProximalGradient,
    "block coordinate descent": BlockCoordinateDescent,
}
methods = pytest.mark.parametrize("name", METHODS)

# Least squares models are asked for whatever a method needs: products, a matrix or a residual.
X, C = np.linspace(-1, 1, 12)[:, None], np.zeros((12, 1))


def fitted(apply, size, n=12, c=0.0):
    """Least squares between a model of one sample and a constant."""
    penalty = GroupPenalty(jnp.full(1, 1e-4), jnp.zeros(size, jnp.int32))
    x, target = jnp.asarray(X[:n]), jnp.full((n, 1), c)
    return Empirical(apply, LEAST_SQUARES, penalty, x, target, jnp.ones(n))


def network(p, x):
    hidden = jnp.tanh(p["layers"][0] @ x + p["layers"][1])
    return p["head"] @ hidden - jnp.sin(3 * x)


def network_start():
    layers = [jnp.asarray(np.linspace(1, 3, 4)[:, None]), jnp.asarray(np.linspace(-1, 1, 4))]
    return {"layers": layers, "head": jnp.asarray(np.full((1, 4), 0.2))}


def logarithm(p, x):
    """No number for p <= 0; from 4 the full Gauss-Newton step for the target log 1 ends at -1.5."""
    return jnp.log(p) + 0 * x


def steep(p, x):
    """No number for p >= 1; from -20 the full Gauss-Newton step with the target 0.5 ends at 2.9."""
    return jnp.log(1 - p) + 0 * x


@pytest.mark.quick(
    "steepest descent",
    "l-bfgs",
    "newton-cg",
    "trust region",
    "levenberg-marquardt",
    "levenberg-marquardt by qr",
    "projected gauss-newton",
    "proximal gradient",
    "block coordinate descent",
)
@methods
def test_contract_and_any_model(name):
    problem, method = fitted(network, 12), METHODS[name]()
    last = check_contract(method, problem, network_start())
    assert set(last.metrics) >= {"objective", "gradient_norm", "accepted", "work", "aux"}
    result, _ = minimize(problem, method, network_start(), max_iter=60)
    work = result.history["work"]
    assert np.all(np.diff(work) > 0) and work[0] >= 2
    assert result.history["objective"][-1] < 0.9 * result.history["objective"][0]


@pytest.mark.quick(
    "nonlinear cg", "bfgs", "newton", "trust region, lanczos", "levenberg-marquardt", "projected gradient"
)
@methods
def test_one_unknown_and_one_sample(name):
    result, _ = minimize(fitted(logarithm, 1, n=1), METHODS[name](), jnp.asarray([3.0]), max_iter=300)
    np.testing.assert_allclose(result.p, 1.0, atol=1e-3)


@pytest.mark.quick("logarithm-*")
@methods
@pytest.mark.parametrize(("apply", "start"), [(logarithm, 4.0), (steep, -20.0)])
def test_a_step_that_is_no_number_is_refused(name, apply, start):
    seen = []
    result, progress = minimize(
        fitted(apply, 1, c=0.0 if apply is logarithm else 0.5),
        METHODS[name](),
        jnp.asarray([start]),
        max_iter=200,
        observe=lambda progress: seen.append([float(progress.iterate.p[0]), float(progress.iterate.value)]),
    )
    assert np.all(np.isfinite(seen))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(progress.iterate.state))
    np.testing.assert_allclose(result.p, 1.0 if apply is logarithm else 1 - np.exp(0.5), atol=5e-2)


def test_acceleration_needs_a_problem_that_bends():
    with pytest.raises(TypeError, match=r"acceleration=True\) needs a BendingProblem: 'Residuals' has no bend\(p, d\)"):
        minimize(sp.Residuals(sp.rosenbrock), LevenbergMarquardt(acceleration=True), jnp.zeros(2))


CALLS = collections.Counter()
PRICES = {"value": 1.0, "linearize": 1e2, "product": 1e4, "matrix": 1e7}


class Counted(sp.Residuals):
    """Counts on the host what is really evaluated, also within compiled loops; prices tell the operations apart."""

    def _count(self, what):
        jax.debug.callback(lambda: CALLS.update([what]))

    def value(self, p, aux):
        self._count("value")
        return super().value(p, aux)

    def linearize(self, p, aux):
        self._count("linearize")
        lin = sp.Residuals(self.residual, self.alpha).linearize(p, aux)

        def curvature(v):
            self._count("product")
            return lin.curvature(v)

        return lin._replace(curvature=curvature)

    def normal(self, p, aux):
        self._count("matrix")
        return sp.Residuals(self.residual, self.alpha).normal(p, aux)

    def work(self, p):
        return Work(trial=PRICES["linearize"], **PRICES)


@pytest.mark.parametrize("name", [name for name in METHODS if not name.endswith(("by qr", "accelerated"))])
def test_the_passes_are_those_that_run(name):
    problem = Counted(sp.rosenbrock, jnp.asarray(1e-3))
    CALLS.clear()
    result, _ = minimize(problem, METHODS[name](), jnp.asarray([-1.2, 1.0]), max_iter=6)
    jax.effects_barrier()
    assert result.history["work"][-1] == sum(PRICES[what] * count for what, count in CALLS.items())
    assert CALLS["linearize"] + CALLS["matrix"] >= len(result.history["work"])
