"""Stop a fit and go on later: the checkpoint holds everything, the result is that of an unbroken fit."""

import tempfile
from pathlib import Path

import numpy as np

from numdl import ResNetRegressor
from numdl.data import TOYS

data = TOYS["friedman1"](200, random_state=0, noise=0.1)
x, y = data.x, data.c[:, 0]
settings = {
    "width": 6,
    "depth": 2,
    "dynamics": "plain",
    "n_restarts": 1,
    "max_iter": 40,
    "tol": 0.05,
    "random_state": 0,
}


def stop_after(iterations):
    """Interrupt the fit as Ctrl-C would."""

    def observe(record):
        if record["iteration"] >= iterations:
            raise KeyboardInterrupt

    return observe


with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "checkpoint.numdl"
    broken = ResNetRegressor(**settings, checkpoint=path).fit(x, y, observe=stop_after(8))
    print(f"{broken.status_.code} after {broken.n_iter_} iterations, checkpoint kept: {path.exists()}")

    resumed = ResNetRegressor(**settings, checkpoint=path).fit(x, y)
    print(f"{resumed.status_.code} after {resumed.n_iter_} iterations, checkpoint kept: {path.exists()}")

unbroken = ResNetRegressor(**settings).fit(x, y)
difference = np.abs(resumed.predict(x) - unbroken.predict(x)).max()
print(f"largest difference from an unbroken fit: {difference:.1e}")
