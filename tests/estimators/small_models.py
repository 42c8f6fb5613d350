"""Settings and tables small enough to be fitted in a moment; the same shapes share one compilation."""

import numpy as np

from numdl import ResNetClassifier, ResNetRegressor

SMALL = {"width": 4, "depth": 1, "dynamics": "plain", "max_iter": 12, "n_restarts": 1, "random_state": 0}
N, D = 40, 3


def table(n=N, noise=0.0, seed=0):
    """Smooth function of three inputs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, D))
    return x, 3.0 + 2.0 * np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + noise * rng.normal(size=n)


def labels(n=N, noise=0.3):
    """Three classes from the same function."""
    x, y = table(n, noise)
    return x, np.array(["high", "low", "mid"])[np.where(y < 2.0, 1, np.where(y > 4.0, 0, 2))]


def regressor(**options):
    return ResNetRegressor(**SMALL | options)


def classifier(**options):
    return ResNetClassifier(**SMALL | options)


def interrupt_at(start, iteration, error=KeyboardInterrupt):
    """An observer that breaks the fit at an iteration of one of the starts."""

    def observe(record):
        if record["iteration"] == iteration and f"start {start} of" in record["phase"]:
            raise error

    return observe
