"""Laplace approximation: how well do the data determine the weights, and what does each row say to the others?

With J (n, P) the derivative by all weights, A their diagonal prior precision and row i the mean of ``w_i`` observations
of noise variance ``s``, the linearised model is a Gaussian process of covariance ``J A^-1 J'``: all follows from one
Cholesky factor, of

    C = J A^-1 J' + s diag(1/w)    (n, n) where rows are fewer,    B = I + A^-1/2 J' diag(w/s) J A^-1/2    else,

and ``log det C = log det B + sum log(s/w)``.

Source: MacKay, A practical Bayesian framework for backpropagation networks, Neural Computation 4, 1992, sec. 2;
Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, sec. 2.1.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dsymv, dsyrk, dtrsm  # pyright: ignore[reportAttributeAccessIssue]
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtri  # pyright: ignore[reportAttributeAccessIssue]

from numdl.estimators.kernels.evidence import JITTER

DUAL = 0.7
"""Rows over weights up to which C is the cheaper one: it is factorised anew for each damping, B keeps its products."""


class Curvature:
    """Factor of C or B, whichever is smaller.

    Args:
        J: derivative by all weights (n, P), in Fortran's order.
        a: precisions of the weights (P,).
        noise: variance of one observation.
        w: observations that each row stands for (n,).
        dual: whether C is factorised; by itself where rows are much fewer than weights.
        gram: upper triangle of ``J' diag(w) J`` where it is known.

    Attributes:
        upper: the factor.
        ok: whether there is one: the matrix is finite and positive definite.
        noise: as given, or more where rounding needs it.
        root: square roots of a.
        gram: as above, None where C is factorised.
    """

    def __init__(
        self,
        J: np.ndarray,
        a: np.ndarray,
        noise: float,
        w: np.ndarray,
        dual: bool | None = None,
        gram: np.ndarray | None = None,
    ) -> None:
        n, size = J.shape
        self.dual = n < DUAL * size if dual is None else dual
        self.J, self.w, self.root = J, w, np.sqrt(a)
        if self.dual:
            self.scaled, self.gram = J / self.root, None
            matrix = dsyrk(1.0, self.scaled)
            trace = float(w @ matrix.diagonal())
            self.noise = max(noise, JITTER * trace)
            matrix[np.diag_indices(n)] += self.noise / w
        else:
            self.gram = dsyrk(1.0, J * np.sqrt(w)[:, None], trans=1) if gram is None else gram
            trace = float(self.gram.diagonal() @ (1 / a))
            self.noise = max(noise, JITTER * trace)
            scale = 1 / (self.root * np.sqrt(self.noise))
            matrix = self.gram * scale[:, None]
            matrix *= scale
            matrix[np.diag_indices(size)] += 1.0
        upper, info = dpotrf(matrix, lower=0, clean=1, overwrite_a=1)
        self.upper, self.ok = upper, bool(info == 0 and np.isfinite(trace))

    @property
    def logdet(self) -> float:
        """``log det C``."""
        own = 2 * float(np.log(self.upper.diagonal()).sum())
        return own if self.dual else own + float(np.log(self.noise / self.w).sum())

    def determined(self) -> tuple[np.ndarray, float]:
        """Share of each weight that the data determine, ``1 - a_j (H^-1)_jj`` with H the posterior precision.

        Returns:
            (P,), and what the weights leave of the observations, their number minus the sum of the shares.
        """
        if self.dual:
            half = dtrsm(1.0, self.upper, self.scaled, trans_a=1)
            share = np.einsum("np,np->p", half, half)
            left = self.noise * float(self.precision() @ (1 / self.w)) + float(self.w.sum()) - len(self.w)
        else:
            inverse = dtrtri(self.upper, lower=0)[0]
            share = 1 - np.einsum("pq,pq->p", inverse, inverse)
            left = float(self.w.sum() - share.sum())
        return share, max(left, 0.0)  # rounding; or fewer observations than weights that they determine

    def precision(self) -> np.ndarray:
        """Diagonal of the inverse of C (n,): each row given all others has its inverse as variance."""
        if self.dual:
            inverse = dtrtri(self.upper, lower=0)[0]
            return np.einsum("nm,nm->n", inverse, inverse)
        half = dtrsm(1.0, self.upper, (self.J / self.root).T, trans_a=1)
        weight = self.w / self.noise
        return weight * np.maximum(1 - weight * np.einsum("pn,pn->n", half, half), np.finfo(float).eps)

    @property
    def diagonal(self) -> np.ndarray:
        """Diagonal of ``J' diag(w) J`` (P,)."""
        return self.w @ self.J**2 if self.gram is None else self.gram.diagonal()

    def solve(self, v: np.ndarray) -> np.ndarray:
        """``H^-1 v`` with H the posterior precision, where B is factorised.

        Args:
            v: (P,).

        Returns:
            (P,).
        """
        return dpotrs(self.upper, v / self.root, lower=0)[0] / self.root

    def square(self, q: np.ndarray) -> float:
        """``|J q|^2``, weighted.

        Args:
            q: change of the weights (P,).

        Returns:
            A number.
        """
        return float(self.w @ (self.J @ q) ** 2 if self.gram is None else q @ dsymv(1.0, self.gram, q))

    def weights(self, target: np.ndarray) -> np.ndarray:
        """The most probable weights of the linearised model, ``A^-1 J' C^-1 target``.

        Args:
            target: (n,).

        Returns:
            (P,).
        """
        if self.dual:
            return (dpotrs(self.upper, target, lower=0)[0] @ self.scaled) / self.root
        return self.solve((self.w / self.noise * target) @ self.J)

    def posterior_root(self) -> np.ndarray | None:
        """R (P, P) upper triangular in Fortran's order, ``R R'`` the covariance of the weights; or None."""
        primal = Curvature(self.J, self.root**2, self.noise, self.w, dual=False) if self.dual else self
        if not primal.ok:
            return None
        return dtrtri(primal.upper, lower=0)[0] / self.root[:, None]


def without_each(
    y: np.ndarray, w: np.ndarray, mean: np.ndarray, variance: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Each row given all others, where predictions are linear in the targets and the other parameters are kept.

    Args:
        y: targets (n,).
        w: weights of the rows (n,), positive.
        mean: predictions at the rows (n,).
        variance: of a new observation there (n,).
        noise: of one observation.

    Returns:
        Mean and variance, (n,) both.
    """
    rest = np.maximum(1 - w / noise * (variance - noise), np.finfo(float).eps)
    return y - (y - mean) / rest, noise / w / rest
