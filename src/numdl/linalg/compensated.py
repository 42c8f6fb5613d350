"""Compensated (exact) summation: what is a sum of products, rounded once at the end instead of at every step?

Each product and each sum is split without error into its rounded value and what rounding lost; the losses are added up
and given back at the end. The result is as accurate as if computed with twice the digits, on every machine alike: the
length of C's ``long double`` plays no part.

Source: Ogita, Rump and Oishi, SIAM J. Sci. Comput. 26 (2005) 1955-1988, algorithms 3.1, 3.3 and 5.3 (here the sum is a
tree: its losses are the same, and it is a few operations on whole arrays).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from numdl import checks

_BLOCK = 2**18
"""Products at a time: 2 MiB each for values and losses."""
_SPLITTER = 2.0**27 + 1


def compensated_product(
    a: Float[np.ndarray, "m q"], v: Float[np.ndarray, " q"], *added: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """``a @ v`` plus the vectors added, with an error of ``eps |result| + q^2 eps^2 |a| |v|``.

    About forty operations of an ordinary product, in blocks of rows of 2 MiB.

    Args:
        a: matrix, entries below 1e300 in modulus, (m, q).
        v: vector, (q,).
        *added: vectors, (m,).

    Returns:
        (m,).

    Raises:
        ValueError: an entry is not finite, or shapes do not fit.

    Examples:
        >>> import numpy as np
        >>> from numdl.linalg import compensated_product
        >>> a, v = np.array([[1e16, 1.0, -1e16]]), np.ones(3)
        >>> float(compensated_product(a, v)[0])  # a @ v may be 0
        1.0
    """
    call = "compensated_product"
    m, q = checks.finite(call, "a", a, ("m", "q")).shape
    checks.finite(call, "v", v, (q,))
    for vector in added:
        checks.finite(call, "added", vector, (m,))
    out = np.empty(m)
    rows = max(1, _BLOCK // max(q, 1))
    for i in range(0, m, rows):
        part = slice(i, i + rows)
        value, loss = _product(a[part], v)
        terms = np.column_stack([value, *(vector[part] for vector in added)])
        out[part] = _sum(terms, loss.sum(axis=1))
    return out


def _split(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Halves of 26 digits each (Veltkamp): products of them are exact."""
    c = _SPLITTER * a
    high = c - (c - a)
    return high, a - high


def _product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounded product and what rounding lost (Dekker)."""
    p = a * b
    a1, a2 = _split(a)
    b1, b2 = _split(b)
    return p, a2 * b2 - (((p - a1 * b1) - a2 * b1) - a1 * b2)


def _sum(terms: Float[np.ndarray, "m q"], loss: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Sum along rows, halved until one column is left."""
    while terms.shape[1] > 1:
        half = terms.shape[1] // 2
        a, b, last = terms[:, :half], terms[:, half : 2 * half], terms[:, 2 * half :]
        s = a + b
        t = s - a
        loss = loss + ((a - (s - t)) + (b - t)).sum(axis=1)
        terms = np.hstack([s, last])
    return terms[:, 0] + loss if terms.shape[1] else loss
