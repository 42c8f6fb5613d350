"""Regression by exact Gaussian processes that choose, and where rows are few average, their hyperparameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from numdl import checks
from numdl.estimators.common.intake import is_auto
from numdl.estimators.kernels.base import MixtureRegressor
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import KERNELS, Rows
from numdl.estimators.kernels.search import REFINE, SCREEN, Scored, Settings, processes


class KernelRegressor(MixtureRegressor):
    """Gaussian processes with a length for each input, mixed by how well they explain the targets.

    The prior covariance of a scaled target is ``1 + v x'z + s k(x, z)``, and each row has noise of variance
    ``sigma^2 / sample_weight``. Each target has hyperparameters of its own; k targets cost k times one.

    Args:
        kernel: "linear" (Bayesian ridge regression), "rbf", "matern52", "arcsine" (an infinitely wide layer),
            "legendre" (polynomials and all their interactions), "anova" (interactions of RBF factors), or "auto", which
            tries all, of more than 50 inputs the first four, and mixes the best.
        n_restarts: starts of the search for hyperparameters, or "auto".
        average: whether hyperparameters are averaged over their posterior by Hamiltonian Monte Carlo instead of
            trusted; "auto" does so up to 150 rows.
        subset: rows on which hyperparameters are sought, at least 2; "auto" is 150 for the choice among kernels and 600
            for the best two; None takes all. All rows, up to 6000, are used to predict.
        target_transform: "log" to see positive targets by their logarithm, None as they are, "auto" by the logarithm
            where it is decisively more probable, see `numdl.estimators.kernels.logarithm`; each target for itself.
            Predictions are in units of the target whatever it is.
        loss: "squared", or "pseudo-huber" where some targets hold gross errors: rows that a robust fit of processes
            contradicts are left out, ``status_`` says how many; see ``numdl.estimators.kernels.gross``.
        random_state: seed or generator of starts, subsets and draws.

    Attributes:
        weights_: weight of each kernel in the mixture by name, a dictionary for each target, in a list.
        log_evidence_: Laplace approximation of the log density of the targets, in nats, by the best kernel, (k,) or a
            number.
        evidence_: the same for each kernel that was judged on all rows, a dictionary for each target.
        effective_dof_: trace of the matrix that takes targets to predictions, (k,) or a number.
        noise_: standard deviation of one observation, in units of the target, or of its logarithm where that is seen,
            (k,) or a number.
        relevance_: root mean square over the rows of the derivative of the mean, in standard deviations of target and
            input, (d,) or (k, d); 0 for a constant column. "Target" is here what is seen of it.
        lengths_: ``1 / relevance_`` in units of the input: the way over which the mean changes by a standard deviation
            of the target, (d,) or (k, d).
        leave_one_out_: prediction of each row from all others, hyperparameters fixed, (n,) or (n, k).
        leave_one_out_std_: its standard deviation.
        jitter_: largest variance, over that of the targets, that was added for the sake of rounding.
        mixtures_: the processes of each target.
        logarithm_: which targets are seen by their logarithm (k,).
        gain_: nats that it gains on at most 150 rows, 0 where nobody asked, (k,) or a number.
        status_: what was found, in a sentence.

    Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, ch. 2 and 5; and those of
    the modules of ``numdl.estimators.kernels``.

    Examples:
        >>> import numpy as np
        >>> from numdl import KernelRegressor
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> model = KernelRegressor().fit(x, np.sin(3 * x[:, 0]))
        >>> np.round(model.predict([[0.5], [0.0]]), 3) + 0.0
        array([0.997, 0.   ])
    """

    _label = "numdl kernel"
    _about = "Gaussian processes"

    def __init__(
        self,
        kernel: str = "auto",
        *,
        n_restarts: int | str = "auto",
        average: bool | str = "auto",
        subset: int | str | None = "auto",
        target_transform: str | None = "auto",
        loss: str = "squared",
        random_state: Any = None,
    ) -> None:
        self.kernel = kernel
        self.n_restarts = n_restarts
        self.average = average
        self.subset = subset
        self.target_transform = target_transform
        self.loss = loss
        self.random_state = random_state

    def _check(self) -> None:
        super()._check()
        name = type(self).__name__
        checks.choice(name, "kernel", self.kernel, ("auto", *KERNELS))
        if not is_auto(self.n_restarts):
            checks.whole(name, "n_restarts", self.n_restarts, least=1)
        if not is_auto(self.average) and not isinstance(self.average, bool | np.bool_):
            raise ValueError(f"{name}(average={self.average!r}): unknown. Use True, False or 'auto'.")
        if self.subset is not None and not is_auto(self.subset):
            checks.whole(name, "subset", self.subset, least=2)

    def _settings(self, n: int) -> Settings:
        starts = 2 if self.n_restarts == "auto" else int(self.n_restarts)
        average = n <= SCREEN if self.average == "auto" else bool(self.average)
        few, more = (n, n) if self.subset is None else (SCREEN, REFINE)
        if self.subset not in ("auto", None):
            few, more = min(SCREEN, int(self.subset)), int(self.subset)  # type: ignore[arg-type]
        names = tuple(KERNELS) if self.kernel == "auto" else (self.kernel,)
        return Settings(names, starts, average, few, more)

    def _candidates(
        self, rows: Rows, box: np.ndarray, rng: np.random.Generator, notes: list[str], clock: Clock
    ) -> list[Scored]:
        return processes(rows, box, self._settings(len(rows.y)), rng, notes, clock)
