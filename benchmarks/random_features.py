"""How well and how fast do 1530 random features with softmax classify digits and clothing?

Test error and fit time on MNIST and Fashion-MNIST, with the first 10 000 rows for training and 2000 for testing, and
with all 60 000 and 10 000. Pixels go in as they are; the estimator gives them one common factor. The bandwidth is
chosen by it, the penalty is fixed at 1e-4, and the fit runs in float32 to a relative gradient of 1e-3. The course code
needs 75 s for 8.65 % (MNIST) and 98 s for 15.10 % (Fashion-MNIST) with 10 000 rows, on another machine. The
alternative is a pipeline of scikit-learn: Gaussian random features of the same number, their bandwidth by the median of
distances, and softmax by L-BFGS at the same penalty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.pipeline import make_pipeline

from benchmarks._common import Run, median, ratio, table, timed

SETS = ("mnist", "fashion_mnist")
SIZES = {"10k": (10_000, 2_000), "60k": (60_000, 10_000)}
WIDTH, ALPHA = 1530, 1e-4
COURSE = {"mnist": (8.65, 75.0), "fashion_mnist": (15.10, 98.0)}
"""Test error in per cent and seconds of the course code at 10k."""
ACTIVATIONS = ("sine", "relu", "tanh")


def load(run: Run, name: str, size: str) -> tuple[np.ndarray, ...]:
    """Pixels from 0 to 1 and labels of training and test part."""
    from numdl.data.images import read_idx

    parts = []
    for part, rows in zip(("train", "t10k"), SIZES[size], strict=True):
        images, labels = (
            read_idx(run.folder(name, f"{part}-{what}.gz")) for what in ("images-idx3-ubyte", "labels-idx1-ubyte")
        )
        parts += [images[:rows].reshape(rows, -1) / 255.0, labels[:rows]]
    return tuple(parts)


def pipeline(x: np.ndarray, labels: np.ndarray, seed: int) -> Any:
    """scikit-learn's features and softmax at the same penalty."""
    rows = np.random.default_rng(seed).permutation(len(x))[:500]
    gamma = 0.5 / np.median(pairwise_distances(x[rows])) ** 2
    features = RBFSampler(gamma=gamma, n_components=WIDTH, random_state=seed)
    # sums against means, and features with squares summing to 1 against squares that sum to m / 2
    softmax = LogisticRegression(C=WIDTH / (2 * ALPHA * len(x)), tol=1e-3, max_iter=1000)
    return make_pipeline(features, softmax).fit(x.astype(np.float32), labels)


def run(run: Run) -> None:
    """Measure all that was asked for."""
    for name in run.chosen(SETS, 1):
        for size in ("10k",) if run.quick else SIZES:
            x, labels, x_test, labels_test = load(run, name, size)
            for seed in range(run.seeds or 1):
                keys = {"set": name, "size": size, "seed": seed}
                if run.wants("theirs", "rbf_sampler", **keys):
                    model, seconds = timed(lambda x=x, c=labels, s=seed: pipeline(x, c, s))
                    run.record(
                        "theirs",
                        "rbf_sampler",
                        keys,
                        error=100 * (1 - model.score(x_test, labels_test)),
                        seconds=seconds,
                    )
                for activation in ACTIVATIONS:
                    if run.wants("ours", activation, **keys):
                        model, seconds = timed(lambda a=activation, x=x, c=labels, s=seed: ours(a, x, c, s))
                        values = {"error": 100 * (1 - model.score(x_test, labels_test)), "seconds": seconds}
                        run.record("ours", activation, keys, **values, scale=model.scale_, steps=model.n_iter_)


def ours(activation: str, x: np.ndarray, labels: np.ndarray, seed: int) -> Any:
    """numdl's classifier."""
    from numdl.estimators import RandomFeaturesClassifier

    settings: dict[str, Any] = {"standardize": False, "tol": 1e-3, "dtype": "float32", "random_state": seed}
    return RandomFeaturesClassifier(WIDTH, activation, ALPHA, **settings).fit(x, labels)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the seeds, and the course code's time over ours."""
    summary, rows = {}, []
    groups = dict.fromkeys((r["set"], r["size"], r["side"], r["method"]) for r in records)
    for name, size, side, method in sorted(groups):
        same = [r for r in records if (r["set"], r["size"], r["side"], r["method"]) == (name, size, side, method)]
        error, seconds = (median(r[key] for r in same) for key in ("error", "seconds"))
        course_error, course_seconds = COURSE[name] if size == "10k" else (None, None)
        faster = ratio(course_seconds, seconds)
        summary[f"{name}/{size}/{method}"] = {"error": error, "seconds": seconds, "times_faster_than_course": faster}
        rows.append((name, size, side, method, error, seconds, course_error, course_seconds, faster))
    header = ("set", "size", "side", "method", "error %", "s", "course error %", "course s", "times faster")
    table("Random features and softmax", header, rows)
    return summary
