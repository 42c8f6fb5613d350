"""Which arrays and which JSON make a fitted estimator, so that no pickle is needed?"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from numdl.contracts import Status
from numdl.data import Scaler
from numdl.estimators.networks.ensemble import Member
from numdl.estimators.networks.uncertainty import Posterior
from numdl.models import from_header, to_header

PLAIN = ("n_features_in_", "n_iter_", "n_parameters_", "alpha_", "log_evidence_", "effective_dof_", "solver_")
PLAIN += ("search_", "seconds_")


def pack(estimator: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and header of a fitted estimator.

    Args:
        estimator: fitted.

    Returns:
        Arrays by name, and JSON types.

    Raises:
        ValueError: the estimator has parameters that JSON cannot hold.
    """
    arrays: dict[str, np.ndarray] = {}
    arrays |= {f"scaler/{name}": a for name, a in estimator._scaler._asdict().items()}
    arrays |= {f"history/{name}": a for name, a in estimator.history_.items()}
    members = []
    for i, member in enumerate(estimator.members_):
        leaves = jax.tree.leaves(member.theta)
        arrays |= {f"member/{i}/{j}": leaf for j, leaf in enumerate(leaves)}
        arrays[f"member/{i}/head"] = member.head
        header = {"net": to_header(member.net), "seed": member.seed, "alphas": member.alphas}
        header |= {"noise": member.noise, "score": member.score}
        if member.posterior is not None:
            posterior = member.posterior._asdict()
            header |= {"count": posterior.pop("count"), "precision": posterior.pop("noise")}
            arrays |= {f"member/{i}/posterior/{name}": a for name, a in posterior.items()}
        members.append(header)
    parameters = {name: plain(name, value) for name, value in estimator.get_params().items()}
    header = {"parameters": parameters, "members": members, "status": list(estimator.status_)}
    header |= {name: getattr(estimator, name) for name in PLAIN}
    if hasattr(estimator, "feature_names_in_"):
        header["feature_names"] = [str(name) for name in estimator.feature_names_in_]
    if hasattr(estimator, "classes_"):
        text = estimator.classes_.dtype.kind not in "biuf"
        header["text_classes"] = text
        header["classes"] = [str(label) for label in estimator.classes_] if text else None
        if not text:
            arrays["classes"] = estimator.classes_
    else:
        header["flat"] = bool(estimator._flat)
        arrays |= {f"target/{name}": a for name, a in estimator._target_scaler._asdict().items()}
    return {name: np.asarray(a) for name, a in arrays.items()}, header


def unpack(estimator: Any, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> Any:
    """The estimator that ``pack`` was given.

    Args:
        estimator: unfitted, of the right class.
        arrays: from ``pack``.
        header: from ``pack``.

    Returns:
        The same estimator, fitted.
    """
    estimator.set_params(**header["parameters"])
    estimator._scaler = _scaler(arrays, "scaler")
    prefix = "history/"
    estimator.history_ = {name[len(prefix) :]: a for name, a in arrays.items() if name.startswith(prefix)}
    estimator.members_ = [_member(i, stored, arrays) for i, stored in enumerate(header["members"])]
    estimator.architecture_ = estimator.members_[0].net
    estimator.status_ = Status(*header["status"])
    for name in PLAIN:
        setattr(estimator, name, header[name])
    if "feature_names" in header:
        estimator.feature_names_in_ = np.asarray(header["feature_names"], object)
    if "text_classes" in header:
        estimator.classes_ = np.asarray(header["classes"]) if header["text_classes"] else arrays["classes"]
    else:
        estimator._flat = header["flat"]
        estimator._target_scaler = _scaler(arrays, "target")
    return estimator


def _scaler(arrays: dict[str, np.ndarray], prefix: str) -> Scaler:
    return Scaler(*(arrays[f"{prefix}/{name}"] for name in Scaler._fields))


def _member(i: int, stored: dict[str, Any], arrays: dict[str, np.ndarray]) -> Member:
    net = from_header(stored["net"])
    shapes = net.init(0)
    leaves = [arrays[f"member/{i}/{j}"] for j in range(len(jax.tree.leaves(shapes)))]
    theta = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
    posterior = None
    if "count" in stored:
        names = ("root", "projected", "head_root", "rows", "rotation")
        parts = {name: arrays[f"member/{i}/posterior/{name}"] for name in names}
        posterior = Posterior(**parts, count=stored["count"], noise=stored["precision"])
    head = arrays[f"member/{i}/head"]
    return Member(net, stored["seed"], theta, head, stored["alphas"], stored["noise"], stored["score"], posterior)


def plain(name: str, value: Any) -> Any:
    """A parameter as JSON; generators and paths become what can be stored of them.

    Args:
        name: of the parameter.
        value: as given by the user.

    Returns:
        A JSON type.
    """
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(name, part) for part in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return None if name == "random_state" else str(value)
