"""Point an estimator at smooth data and get a trained, regularised, checked network: nothing to tune.

The network (opening, flow, head) is trained by variable projection and Gauss-Newton; the evidence chooses the penalty
of each group of weights and, where the user leaves them open, width, depth and dynamics; several random starts predict
together. In ``numdl.estimators.networks.training``, see ``search`` for the order of events and ``solver_choice`` for
the linear algebra.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from numdl.analysis.adversarial import certified_radius
from numdl.analysis.stability import AdjointReport, StabilityReport, adjoint_report, stability_report
from numdl.estimators.networks.base import NetworkBase
from numdl.estimators.networks.classifier import NetworkClassifier
from numdl.estimators.networks.regressor import NetworkRegressor
from numdl.estimators.networks.training.search_space import ResNets, SearchSpace
from numdl.flow import Dynamics
from numdl.models import lipschitz_bound


@dataclasses.dataclass(eq=False, repr=False)
class ResNetBase(NetworkBase):
    """Parameters of residual networks."""

    width: int | str = "auto"
    depth: int | str = "auto"
    T: float = 1.0
    dynamics: str | Dynamics = "auto"
    scheme: str = "euler"
    control: str = "constant"
    smoothness: float = 0.0
    march: str = "stored"
    levels: int = 1
    damping: float | None = None

    _label: ClassVar[str] = "numdl ResNet"

    def _search_space(self) -> SearchSpace:
        return ResNets(
            width=None if self.width == "auto" else int(self.width),
            depth=None if self.depth == "auto" else int(self.depth),
            dynamics=None if self.dynamics == "auto" else self.dynamics,
            T=float(self.T),
            scheme=self.scheme,
            control=self.control,
            smoothness=float(self.smoothness),
            march=self.march,
            activation=self.activation,
            levels=int(self.levels),
            damping=None if self.damping is None else float(self.damping),
        )

    def stability(self, X: Any = None) -> StabilityReport:
        """Stability of the flow of the first network, with a verdict in sentences.

        Args:
            X: rows to follow, as for ``predict``; None for 16 standard normal samples of the scaled inputs.

        Returns:
            Spectra, growth, guarantees of the dynamics, other discretisations; see ``numdl.analysis.stability``.

        Raises:
            NotFittedError: not fitted.
            ValueError: the network has no steps, or X is not what it was trained on.

        Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018.
        """
        x = self._followed(X, "stability")
        return stability_report(self.members_[0].net, self.members_[0].theta, x)

    def adjoint_report(self, X: Any = None) -> AdjointReport:
        """Error of the gradient that ``march="adjoint"`` gives for the first network, with a verdict in sentences.

        Args:
            X: as for ``stability``.

        Returns:
            Errors by weights and states, states that come back, Taylor table; see ``numdl.analysis.stability``.

        Raises:
            NotFittedError: not fitted.
            ValueError: the network has no steps, its scheme cannot step the adjoint equation, or X is not what it was
                trained on.

        Source: Gholami, Keutzer and Biros, ANODE, IJCAI 2019, sec. 3.
        """
        x = self._followed(X, "adjoint_report")
        return adjoint_report(self.members_[0].net, self.members_[0].theta, x)

    def lipschitz_bound(self) -> float:
        """How many times as far as its scaled inputs the features of the first network move at most.

        Returns:
            L of ``||F(x) - F(z)|| <= L ||x - z||``; see ``numdl.models.lipschitz_bound``.

        Raises:
            NotFittedError: not fitted.
            ValueError: no bound is known of these dynamics with this scheme.
        """
        check_is_fitted(self, "members_")
        return lipschitz_bound(self.members_[0].net, self.members_[0].theta)

    def _lipschitz_bounds(self) -> list[float]:
        """That of each network; those of one search may have different dynamics."""
        return [lipschitz_bound(member.net, member.theta) for member in self.members_]

    def _followed(self, X: Any, call: str) -> np.ndarray:
        """Scaled rows whose trajectories are looked at."""
        check_is_fitted(self, "members_")
        if X is None:
            return np.random.default_rng(0).standard_normal((16, self.members_[0].net.d))
        return self._scaled(X, call)


@dataclasses.dataclass(eq=False, repr=False)
class ResNetRegressor(NetworkRegressor, ResNetBase):
    """Residual network for smooth maps, trained by Gauss-Newton and variable projection.

    Minimises ``1/(2n) sum ||W [u_i(T); 1] - c_i||^2 + sum_g alpha_g/2 ||theta_g||^2 + alpha_W/2 ||W||^2`` over
    standardised inputs and targets; every alpha is chosen by the evidence of the Laplace approximation unless given.

    Args:
        width: features m of the flow, or "auto".
        depth: steps of the flow, or "auto"; 0 is a single layer.
        T: final time of the flow; a step has size ``T / depth``.
        dynamics: "plain", "antisymmetric", ... (keys of ``numdl.flow.DYNAMICS``), a ``Dynamics`` of your own,
            or "auto".
        scheme: "euler", "heun", "rk4", ... (keys of ``numdl.flow.SCHEMES``).
        control: weights "constant" on each step or piecewise "linear" in time; or four coefficients of a
            "linear_spline", a cubic "spline", of "legendre" or of "chebyshev" polynomials over all steps.
        smoothness: correlation time of the flow's weights under their prior, in the unit of T; 0 leaves the layers
            independent, more makes weights vary slowly over depth.
        march: how the flow is differentiated: "stored", "remat", "checkpointed", "reversible" or "coupled"; the last
            four save memory where the network is deep.
        levels: number of depths on which each network is trained in turn, each twice the one before, up to ``depth``,
            which must be given and be a multiple of ``2^(levels - 1)``; 1 is training at full depth from the start. A
            level is left when a finer one promises more, see ``numdl.optimize.drivers.cascadic``.
        damping: rate of damping of "antisymmetric" and "contractive" dynamics, or of the diffusion of
            "reaction_diffusion", in 1 / time; these dynamics must be named. None for their own: 0, 0.1 and 1.
        activation: key of ``numdl.flow.ACTIVATIONS``.
        alpha: penalty on all weights of the network, in units of the mean misfit, or "auto".
        alpha_head: penalty on the head, or "auto".
        solver: "auto", "dense" or "matrix-free" Gauss-Newton.
        max_iter: iterations of each start at most.
        tol: stop when ten iterations raise the log evidence by less than tol nats per observed number; 0 never stops.
        n_restarts: random starts that predict together; "auto" is 8 where a step is cheap, else 4 or 2.
        time_budget: seconds for the whole fit, looked at between steps, so that compiling the first one (some
            seconds) may exceed it; None for no limit. What is best by then is kept.
        dtype: "float64" or "float32".
        memory_budget: bytes for work arrays; blocks of rows are chosen to fit.
        warm_start: start from the weights of the last fit where the architecture is the same.
        checkpoint: file in which an interrupted fit finds its runs again.
        verbose: 0 silent, k prints every k-th iteration.
        random_state: seed, generator or None.
        loss: "squared", or "pseudo-huber" where some targets hold gross errors: rows that a robust fit of processes
            contradicts are left out, ``status_`` says how many; see ``numdl.estimators.kernels.gross``.

    Attributes:
        members_: networks that predict together, best evidence first.
        architecture_: architecture of the first; the others have it too, or one that the evidence cannot tell from it.
        history_: one array per recorded quantity for the first member.
        status_: why its training ended.
        n_iter_: its number of iterations.
        alpha_: penalty parameter of each group of weights.
        effective_dof_: number of parameters the data determine, of ``n_parameters_``.
        log_evidence_: in nats.
        search_: every run with its evidence.
        solver_: linear algebra that was chosen.

    Sources: Newman, Chung, Chung, Ruthotto (2022); MacKay (1992); Foresee and Hagan (1997).

    Examples:
        >>> import numpy as np
        >>> from numdl import ResNetRegressor
        >>> x = np.linspace(-1, 1, 40)[:, None]
        >>> model = ResNetRegressor(width=4, depth=2, n_restarts=1, random_state=0)
        >>> model = model.fit(x, np.sin(3 * x[:, 0]))
        >>> round(float(model.predict([[0.5]])[0]), 2)
        1.0
    """


@dataclasses.dataclass(eq=False, repr=False)
class ResNetClassifier(NetworkClassifier, ResNetBase):
    """Residual network for classes, trained by Gauss-Newton and variable projection on the cross entropy.

    Same parameters and attributes as ``ResNetRegressor``; two classes use the logistic loss, more the softmax loss. The
    probabilities of the members are averaged.

    Args:
        class_weight: instead of ``loss``: factors on the weights of rows, None, "balanced" for the same total of each
            class, or a dictionary from labels.

    Attributes:
        classes_: labels in sorted order.

    Examples:
        >>> import numpy as np
        >>> from numdl import ResNetClassifier
        >>> x = np.linspace(-1, 1, 40)[:, None]
        >>> y = np.where(abs(x[:, 0]) < 0.5, "in", "out")
        >>> model = ResNetClassifier(width=4, depth=2, n_restarts=1, random_state=0).fit(x, y)
        >>> model.predict([[0.0], [0.9]]).tolist()
        ['in', 'out']
    """

    def certified_radius(self, X: Any, y: Any) -> np.ndarray:
        """Length, in scaled inputs, below which no change of a row takes its true class from it.

        Where each network keeps a class above another so does the mean of their probabilities: the least of their
        radii is certified, see ``numdl.analysis.certified_radius``.

        Args:
            X: rows, (n, d).
            y: their true labels, (n,).

        Returns:
            (n,), in standard deviations of the inputs in training; 0 where a network is wrong.

        Raises:
            NotFittedError: not fitted.
            ValueError: no bound is known of these dynamics with this scheme, wrong columns, or labels that are none of
                the fit.
        """
        call = f"{type(self).__name__}.certified_radius"
        all_scores = self._member_scores(self._scaled(X, "certified_radius"))
        codes, radii = self._codes(call, "y", y, all_scores.shape[1]), []
        for member, scores, bound in zip(self.members_, all_scores, self._lipschitz_bounds(), strict=True):
            W = member.head[:, :-1]
            if len(W) == 1:  # the other one's scores are 0
                scores, W = (np.concatenate([np.zeros_like(a), a], axis) for a, axis in ((scores, 1), (W, 0)))
            radii.append(certified_radius(scores, codes, W, bound))
        return np.min(radii, axis=0)
