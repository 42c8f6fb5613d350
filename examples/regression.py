"""Fit a simulator from 200 runs, look at the errors, write a report, keep the model in a file."""

import tempfile
from pathlib import Path

import numpy as np

import numdl
from numdl import ResNetRegressor
from numdl.data import TOYS

data = TOYS["borehole"](400, random_state=0)
x, y = data.x, data.c[:, 0]
# Nothing has to be set; a fixed network, one start and a loose tolerance keep this example short.
short = {"width": 8, "depth": 4, "dynamics": "antisymmetric", "n_restarts": 1, "tol": 0.1}
model = ResNetRegressor(**short, random_state=0).fit(x[:200], y[:200])
print(model.status_.message)

mean, std = model.predict(x[200:], return_std=True)
print(f"R^2 on 200 other runs: {model.score(x[200:], y[200:]):.6f}")
print(f"error {np.sqrt(np.mean((mean - y[200:]) ** 2)):.3g}, predicted {np.sqrt(np.mean(std**2)):.3g} m^3 per year")

with tempfile.TemporaryDirectory() as folder:
    model.report(Path(folder) / "report.html", x[200:], y[200:], title="Borehole")
    model.save(Path(folder) / "model.numdl")
    again = numdl.load(Path(folder) / "model.numdl")
    print("the loaded model predicts the same:", np.array_equal(again.predict(x[200:]), mean))
