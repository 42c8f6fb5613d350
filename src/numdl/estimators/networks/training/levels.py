"""Levels of cascadic training.

How does a run of an estimator book the level it is on, and when does it give way to a finer one?

The rule is that of ``numdl.optimize.drivers.cascadic``, applied to the misfit: while the evidence moves the penalty
parameters, objectives of different steps are not compared, and a penalty on each coefficient counts double on
twice as many.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp

from numdl.contracts import Status
from numdl.models import ResNet, prolonged
from numdl.optimize import Progress, Refinement
from numdl.optimize.drivers.cascadic import book_work, judge, objective
from numdl.optimize.parts.steps import work_of
from numdl.problems import VarPro

RULE = Refinement()


@dataclasses.dataclass(frozen=True)
class OneLevel:
    """One of the depths on which a network is trained in turn.

    Attributes:
        net: of this level.
        finest: depth of the last level.
        finer: problem of the next level, to which this one gives way; None on the last, or while networks are compared.
    """

    net: ResNet
    finest: int
    finer: VarPro | None

    def book(self, progress: Progress, problem: VarPro) -> Status | None:
        """Enter depth and work of the last step into the history, and apply the rule.

        Args:
            progress: after the step; its history is changed.
            problem: of this level, with the present penalty parameters.

        Returns:
            Why to leave the level, or None.
        """
        history, p = progress.history, progress.iterate.p
        history.setdefault("depth", []).append(float(self.net.depth))
        share, steps = self.net.depth / self.finest, progress.iteration - progress.since
        if self.finer is None or not RULE.looks(steps):
            book_work(history, share)
            return judge(history, RULE)
        book_work(history, share, 3 * work_of(problem, p).value)  # the finer network's pass is as long as two
        aux, alpha_head = progress.iterate.aux, problem.alpha_head
        bare = jnp.zeros_like(problem.penalty.alpha)
        now = float(objective(problem.with_alpha(bare, alpha_head), p, aux))
        then = float(objective(self.finer.with_alpha(bare, alpha_head), prolonged(self.net, p), aux))
        return judge(history, RULE, abs(then - now), history["misfit"][-RULE.window] - now)
