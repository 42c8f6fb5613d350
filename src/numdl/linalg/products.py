"""Matrix-free products for host methods.

How is whatever gives products ``A v`` and ``A' u`` handed to a method of the host?

Matrices, sparse matrices, SciPy's and lineax's operators all become a ``scipy.sparse.linalg.LinearOperator`` in
float64, whose algebra then composes them: ``as_operator(A) @ as_operator(M)`` is ``A M``. That is also the way to
precondition from the right: with ``x = M z``, solve for z with ``A M`` and return ``M z``; a method that starts at zero
then looks for x where M makes it cheap to go (priorconditioning; for ``M = L^-1`` this is the standard form of a
penalty ``||L x||``).

Source: Calvetti and Somersalo, Inverse Problems 21 (2005) 1397-1418; Hansen, Discrete Inverse Problems, SIAM 2010,
sec. 8.4.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import scipy.sparse as sparse
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from numdl import checks

_KINDS = "a 2-D array, a SciPy sparse matrix, a scipy.sparse.linalg.LinearOperator or a lineax operator"


def as_operator(A: Any, *, name: str = "A") -> LinearOperator:
    """Products with A and A' in float64.

    Arrays of another precision are converted once; operators compute in their own precision. A lineax operator is
    compiled once per shape, inside JAX's 64-bit context, its input and output raveled if they are not vectors.

    Args:
        A: 2-D array, sparse matrix, SciPy or lineax operator, m by n, real.
        name: what an error calls it.

    Returns:
        An operator with ``matvec``, ``rmatvec``, ``matmat`` and ``rmatmat``.

    Raises:
        TypeError: A is of another kind.
        ValueError: A is not two-dimensional, not real, or has an entry that is not finite.

    Examples:
        >>> import numpy as np
        >>> from scipy import sparse
        >>> from numdl.linalg import as_operator
        >>> A = as_operator(sparse.diags_array([1.0, 2.0, 3.0]))
        >>> A.matvec(np.ones(3)), A.rmatvec(np.ones(3))
        (array([1., 2., 3.]), array([1., 2., 3.]))
    """
    if isinstance(A, LinearOperator):
        if np.issubdtype(A.dtype, np.complexfloating):
            raise ValueError(_not_real(name, A.dtype))
        return A
    if sparse.issparse(A):
        _require_matrix(name, A)
        A = A.tocsr().astype(np.float64)
        require_finite_entries("as_operator", name, A)
        return aslinearoperator(A)
    if hasattr(A, "in_structure"):
        return _from_lineax(name, A)
    try:
        array = np.asarray(A)
    except Exception as error:
        raise TypeError(f"as_operator({name}): {error}. Give {_KINDS}.") from None
    if array.dtype.kind not in "biufc":
        raise TypeError(f"as_operator({name}): is a {type(A).__name__}, needs {_KINDS}. Convert it.")
    _require_matrix(name, array)
    array = array.astype(np.float64, copy=False)
    return aslinearoperator(checks.finite("as_operator", name, array))


def _from_lineax(name: str, A: Any) -> LinearOperator:
    import jax
    import jax.numpy as jnp
    import lineax as lx

    if not isinstance(A, lx.AbstractLinearOperator):
        raise TypeError(f"as_operator({name}): is a {type(A).__name__}, needs {_KINDS}. Convert it.")
    for leaf in jax.tree.leaves((A.in_structure(), A.out_structure())):
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            raise ValueError(_not_real(name, leaf.dtype))

    def product(operator: lx.AbstractLinearOperator) -> Any:
        def times(V: np.ndarray) -> np.ndarray:
            with jax.enable_x64(True):
                columns = jnp.asarray(V[:, None] if V.ndim == 1 else V, jnp.float64)
                found = np.asarray(_compiled_columns()(operator, columns), np.float64)
            return found[:, 0] if V.ndim == 1 else found

        return times

    with jax.enable_x64(True):
        A = lx.linearise(A)
        forward, backward = product(A), product(A.transpose())
    operator: Any = LinearOperator  # its constructor makes a private subclass, which type checkers do not see
    return operator(
        (A.out_size(), A.in_size()),
        matvec=forward,
        rmatvec=backward,
        matmat=forward,
        rmatmat=backward,
        dtype=np.float64,
    )


@functools.cache
def _compiled_columns() -> Any:
    """``(operator, V) -> A V``, compiled once for all operators of one structure."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    @eqx.filter_jit
    def columns(operator: Any, V: jax.Array) -> jax.Array:
        start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), operator.in_structure())
        flat, unravel = ravel_pytree(start)
        return jax.vmap(lambda v: ravel_pytree(operator.mv(unravel(v.astype(flat.dtype))))[0], 1, 1)(V)

    return columns


def as_vector(b: Any, size: int, *, name: str, call: str) -> Float[np.ndarray, " m"]:
    """A finite real vector in float64.

    Args:
        b: numbers, (size,).
        size: how many.
        name: what an error calls it.
        call: what an error calls the caller.

    Returns:
        The vector.

    Raises:
        ValueError: another shape, not real, or an entry that is not finite.
    """
    vector = np.asarray(b)
    if vector.shape != (size,):
        raise ValueError(f"{call}: {name} has shape {vector.shape}, needs ({size},). Give one number for each row.")
    if vector.dtype.kind not in "biuf":
        raise ValueError(_not_real(name, vector.dtype, call))
    return checks.finite(call, name, vector.astype(np.float64))


def _require_matrix(name: str, A: Any) -> None:
    if A.ndim != 2:
        raise ValueError(f"as_operator({name}): has {A.ndim} dimensions, needs 2. Reshape it to (rows, columns).")
    if A.dtype.kind == "c":
        raise ValueError(_not_real(name, A.dtype))


def require_finite_entries(call: str, name: str, A: Any, columns: Any = None) -> None:
    """Refuse a sparse matrix with NaN or infinity, naming row and column.

    Args:
        call: the call to name.
        name: of the matrix.
        A: sparse, (m, n).
        columns: their names; None if they have none.

    Raises:
        ValueError: an entry is not finite.
    """
    found = A.tocoo()
    bad = np.flatnonzero(~np.isfinite(found.data))
    if bad.size:
        kind = "NaN" if np.isnan(found.data[bad[0]]) else "infinity"
        where = checks.place([axis[bad[0]] for axis in found.coords], columns)
        raise ValueError(
            f"{call}: Input {name} contains {kind} at {where} ({bad.size} such entries in all), needs "
            "finite numbers. Remove or fill that entry."
        )


def _not_real(name: str, dtype: Any, call: str = "as_operator") -> str:
    return f"{call}: {name} has dtype {dtype}, needs real numbers. Split it into real and imaginary parts."
