"""Add an experiment: claims about what was computed, a figure, and files."""

import sys
import tempfile

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most
from numdl.course.runner import run_experiment

TITLE = "Euler's method: the error halves with the step"
PARAMETERS = {"end": Parameter(1.0, 0.1, 5.0, "final time")}  # what --set knows, with bounds


def run(quick, random_state, *, end=PARAMETERS["end"].default):
    """Solve ``u' = -u`` up to ``end`` with more and more steps."""
    steps = 2 ** np.arange(3, 7 if quick else 11)
    errors = np.array([abs((1 - end / nt) ** nt - np.exp(-end)) for nt in steps])
    orders = np.log2(errors[:-1] / errors[1:])
    claims = [at_least("The last observed order is", orders[-1], 0.95), at_most("and", orders[-1], 1.05)]

    def draw(figure):
        axes = figure.subplots()
        axes.loglog(steps, errors, "o-")
        axes.set(xlabel="steps", ylabel="error at the end")

    return Outcome({"steps": steps, "errors": errors}, claims, draw)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        record = run_experiment("euler-order", sys.modules[__name__], folder, quick=True, settings={"end": 0.5})
    assert record["passed"]
