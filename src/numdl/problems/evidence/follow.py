"""How does a run follow the evidence: which penalty parameters belong to the next step?"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np

from numdl.contracts import Iterate
from numdl.optimize.drivers.loop import Adapted
from numdl.problems.varpro.varpro import VarPro
from numdl.regularize.evidence import Precisions, Sizes, log_evidence, reestimate


@dataclasses.dataclass(frozen=True)
class FollowEvidence:
    """Adaptation of a run: re-estimate the precisions after each step, score points by their log evidence.

    Attributes:
        sizes: numbers of samples, outputs and weights.
        names: names of the G groups; the head is added.
        merge_head: whether the head shares the precision of the first group.
        fixed: (G+1,) alphas of the mean misfit that the user gave; NaN where the evidence decides.
        first: steps before the first update: the start says nothing about the weights.
    """

    sizes: Sizes
    names: tuple[str, ...]
    merge_head: bool = False
    fixed: np.ndarray | None = None
    first: int = 1

    def start(self, prior: float = 1e-2, noise: float = 1.0) -> tuple[Precisions, int]:
        """Memory of a run that has not begun: all groups alike."""
        return Precisions(np.full(len(self.names) + 1, prior), noise), 0

    def alphas(self, memory: tuple[Precisions, int]) -> np.ndarray:
        """(G+1,) penalty parameters of the mean misfit, the head last."""
        alphas = memory[0].penalties(self.sizes.n)
        return alphas if self.fixed is None else np.where(np.isnan(self.fixed), alphas, self.fixed)

    def apply(self, problem: VarPro, memory: tuple[Precisions, int]) -> VarPro:
        """The problem with the penalty parameters of a memory."""
        alphas = jnp.asarray(self.alphas(memory), problem.x.dtype)
        return problem.with_alpha(alphas[:-1], alphas[-1])

    def update(self, memory: tuple[Precisions, int], after: Iterate) -> Adapted:
        """New precisions from the Laplace metrics of a step."""
        precisions, steps = memory
        metrics = {name: np.asarray(after.metrics[name], float) for name in ("gamma", "squares", "logdet", "misfit")}
        misfit, gamma, squares = float(metrics["misfit"]), metrics["gamma"], metrics["squares"]
        alphas = self.alphas(memory)
        effective = Precisions(alphas * self.sizes.n * precisions.noise, precisions.noise)
        known = np.isfinite(misfit) and np.all(np.isfinite(squares)) and np.all(np.isfinite(effective.prior))
        score = -np.inf
        if known and np.isfinite(metrics["logdet"]):
            score = log_evidence(effective, self.sizes, misfit, squares, float(metrics["logdet"]))
        columns = {"log_evidence": score, "effective_dof": float(np.sum(gamma)), "noise": precisions.noise}
        columns |= {f"alpha:{name}": float(a) for name, a in zip((*self.names, "head"), alphas, strict=True)}
        if steps >= self.first and known:
            precisions = reestimate(effective, self.sizes, misfit, gamma, squares, merge_head=self.merge_head)
        return Adapted((precisions, steps + 1), score if np.isfinite(score) else -np.inf, columns)
