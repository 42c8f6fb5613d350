"""Packed numbers become a triangle, row by row, on both sides of the size where the way changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow.dynamics.lower import FEW, lower

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.quick("1-0", "5--1", "33-0")
@pytest.mark.parametrize("diagonal", [0, -1])
@pytest.mark.parametrize("m", [1, 2, 5, FEW, FEW + 1])
def test_entries_stand_row_by_row(m, diagonal):
    rows, columns = np.tril_indices(m, diagonal)
    packed = np.arange(1.0, len(rows) + 1)
    found = np.asarray(jax.jit(lower, static_argnums=(1, 2))(jnp.asarray(packed), m, diagonal))
    np.testing.assert_array_equal(found[rows, columns], packed)
    assert np.count_nonzero(found) == len(packed)
    planted = np.zeros((m, m))
    planted[columns, rows] = packed
    assert m < 2 or np.any(found != planted)


@pytest.mark.parametrize("m", [4, FEW + 1])
def test_the_transpose_reads_the_entries(m):
    rows, columns = np.tril_indices(m, -1)
    packed = jnp.asarray(np.random.default_rng(0).standard_normal(len(rows)))
    cotangent = np.random.default_rng(1).standard_normal((m, m))
    pulled = jax.jit(lambda packed, by: jax.vjp(lambda a: lower(a, m, -1), packed)[1](by)[0])(packed, cotangent)
    np.testing.assert_array_equal(pulled, cotangent[rows, columns])
