"""M-matrices: which dense matrices damp for whatever parameters they are given?

A matrix with ``A_ij <= 0`` beside the diagonal and ``A_ii > sum_(j /= i) |A_ij|`` is a nonsingular M-matrix: its
eigenvalues lie in the right half plane, its inverse has no negative entry and ``||A^-1||_inf <= 1 / min margin``.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.linalg.operators.base import LinearMap


class MMatrix(LinearMap):
    """``A = diag(s + W 1) - W`` with ``W_ij = softplus(coupling_ij)``, ``W_ii = 0``, ``s = least + softplus(margin)``.

    So ``(A v)_i = s_i v_i + sum_j W_ij (v_i - v_j)``: every entry is pulled to the others and to zero. Each parameter
    gives a strictly diagonally dominant M-matrix, and each one with ``A_ij < 0`` and row sums above ``least`` has one.

    Attributes:
        coupling: (n, n), any real numbers; the diagonal has no effect.
        margin: (n,), any real numbers.
        least: smallest row sum, positive, in units of A.

    Source: Berman and Plemmons, Nonnegative Matrices in the Mathematical Sciences, SIAM 1994, ch. 6; Haber, Lensink,
    Treister, Ruthotto, IMEXnet, ICML 2019, sec. 3 (M-matrices in implicit layers).
    """

    coupling: Float[Array, "n n"] | Float[np.ndarray, "n n"]
    margin: Float[Array, " n"] | Float[np.ndarray, " n"]
    least: float = eqx.field(static=True, default=1e-6, kw_only=True)

    def __check_init__(self) -> None:
        """Refuse parameters that do not fit together.

        Raises:
            ValueError: shapes differ, or ``least`` is not positive.
        """
        checks.finite("MMatrix", "coupling", self.coupling, ("n", "n"))
        checks.finite("MMatrix", "margin", self.margin, ("n",))
        if self.coupling.shape != 2 * self.margin.shape:
            raise ValueError(
                f"MMatrix: coupling has shape {self.coupling.shape} and margin {self.margin.shape}, needs (n, n) and "
                "(n,). Give one margin for each row."
            )
        checks.number("MMatrix", "least", self.least, above=0, hint="Use the default.")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (n, n)."""
        return len(self.margin), len(self.margin)

    def mv(self, vector: Float[Array, " n"]) -> Float[Array, " n"]:
        """``A v``."""
        return self.as_matrix() @ vector

    def as_matrix(self) -> Float[Array, "n n"]:
        """A from its parameters."""
        pull = jax.nn.softplus(jnp.asarray(self.coupling)) * (1.0 - jnp.eye(len(self.margin), dtype=self.dtype))
        return jnp.diag(self.least + jax.nn.softplus(jnp.asarray(self.margin)) + pull.sum(axis=1)) - pull
