"""The same training for the networks of the textbooks: one layer, or several one behind the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from numdl.estimators.networks.base import NetworkBase
from numdl.estimators.networks.classifier import NetworkClassifier
from numdl.estimators.networks.regressor import NetworkRegressor
from numdl.estimators.networks.training.search_space import MLPs, ResNets, SearchSpace


@dataclasses.dataclass(eq=False, repr=False)
class MLPBase(NetworkBase):
    """Parameters of multi-layer perceptrons."""

    widths: int | Sequence[int] | str = "auto"

    _label: ClassVar[str] = "numdl MLP"

    def _search_space(self) -> SearchSpace:
        found = None if isinstance(self.widths, str) else tuple(int(width) for width in np.ravel(self.widths))
        return MLPs(widths=found, activation=self.activation)


@dataclasses.dataclass(eq=False, repr=False)
class MLPRegressor(NetworkRegressor, MLPBase):
    """Multi-layer perceptron for smooth maps, trained by Gauss-Newton and variable projection.

    Everything but ``widths`` is as for ``ResNetRegressor``: scaling, penalties by evidence, several starts that predict
    together, ``predict(X, return_std=True)``, checkpoints, reports.

    Args:
        widths: units of each layer, a number or several, as ``(32, 16)``; or "auto", two layers whose common width the
            evidence chooses.
        activation: key of ``numdl.flow.ACTIVATIONS``.

    Attributes:
        architecture_: ``numdl.models.MLP``.

    Examples:
        >>> import numpy as np
        >>> from numdl import MLPRegressor
        >>> x = np.linspace(-1, 1, 40)[:, None]
        >>> model = MLPRegressor((6,), n_restarts=1, random_state=0).fit(x, np.sin(3 * x[:, 0]))
        >>> round(float(model.predict([[0.5]])[0]), 2)
        1.0
    """


@dataclasses.dataclass(eq=False, repr=False)
class MLPClassifier(NetworkClassifier, MLPBase):
    """Multi-layer perceptron for classes, trained by Gauss-Newton and variable projection on the cross entropy.

    Same parameters and attributes as ``MLPRegressor``; two classes use the logistic loss, more the softmax loss. The
    probabilities of the members are averaged.

    Attributes:
        classes_: labels in sorted order.

    Examples:
        >>> import numpy as np
        >>> from numdl import MLPClassifier
        >>> x = np.linspace(-1, 1, 40)[:, None]
        >>> model = MLPClassifier((4,), n_restarts=1, random_state=0).fit(x, np.where(abs(x[:, 0]) < 0.5, "in", "out"))
        >>> model.predict([[0.0], [0.9]]).tolist()
        ['in', 'out']
    """


@dataclasses.dataclass(eq=False, repr=False)
class SingleLayerBase(NetworkBase):
    """Parameters of single layers."""

    width: int | str = "auto"

    _label: ClassVar[str] = "numdl single layer"

    def _search_space(self) -> SearchSpace:
        width = None if self.width == "auto" else int(self.width)
        return ResNets(width=width, depth=0, dynamics="plain", activation=self.activation)


@dataclasses.dataclass(eq=False, repr=False)
class SingleLayerRegressor(NetworkRegressor, SingleLayerBase):
    """One layer ``act(K x + b)`` for smooth maps: ``ResNetRegressor(depth=0)`` under its own name.

    Everything but ``width`` is as for ``ResNetRegressor``.

    Args:
        width: units of the layer; or "auto", chosen by the evidence.
        activation: key of ``numdl.flow.ACTIVATIONS``.

    Examples:
        >>> import numpy as np
        >>> from numdl import SingleLayerRegressor
        >>> x = np.linspace(-1, 1, 40)[:, None]
        >>> model = SingleLayerRegressor(6, n_restarts=1, random_state=0).fit(x, np.sin(3 * x[:, 0]))
        >>> round(float(model.predict([[0.5]])[0]), 2)
        1.0
    """


@dataclasses.dataclass(eq=False, repr=False)
class SingleLayerClassifier(NetworkClassifier, SingleLayerBase):
    """One layer ``act(K x + b)`` for classes: ``ResNetClassifier(depth=0)`` under its own name.

    Same parameters and attributes as ``SingleLayerRegressor``.

    Attributes:
        classes_: labels in sorted order.

    Examples:
        >>> import numpy as np
        >>> from numdl import SingleLayerClassifier
        >>> x = np.linspace(-1, 1, 40)[:, None]
        >>> y = np.where(abs(x[:, 0]) < 0.5, "in", "out")
        >>> model = SingleLayerClassifier(4, n_restarts=1, random_state=0).fit(x, y)
        >>> model.predict([[0.0], [0.9]]).tolist()
        ['in', 'out']
    """
