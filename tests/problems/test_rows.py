"""Passes in blocks: every chunk size gives what one block gives, and every row counts once."""

import jax.numpy as jnp
import numpy as np
import pytest

from numdl.problems.blocks import map_rows, sum_rows

pytestmark = pytest.mark.usefixtures("x64")
N = 7
X = np.arange(2.0 * N).reshape(N, 2)
W = np.arange(1.0, N + 1)


@pytest.mark.quick("None", "1", "4", "9")
@pytest.mark.parametrize("chunk", [None, *range(1, N + 3)])
def test_every_block_size_gives_the_same(chunk):
    x, w = jnp.asarray(X), jnp.asarray(W)
    np.testing.assert_array_equal(map_rows(lambda a, b: a[:, :1] * b[:, None], chunk, x, w), X[:, :1] * W[:, None])

    def tree(w, x):
        return {"scalar": jnp.sum(w), "matrix": (w[:, None] * x).T @ x}

    found = sum_rows(tree, chunk, w, x)
    np.testing.assert_allclose(found["scalar"], W.sum(), rtol=1e-14)
    np.testing.assert_allclose(found["matrix"], (W[:, None] * X).T @ X, rtol=1e-14)


@pytest.mark.parametrize("chunk", range(1, N))
def test_a_function_that_ignores_the_weights_is_seen(chunk):
    found = sum_rows(lambda w, x: jnp.sum(x), chunk, jnp.asarray(W), jnp.asarray(X))
    assert bool(found == X.sum()) is (N % chunk == 0)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_dtype_is_kept(dtype):
    x, w = jnp.asarray(X, dtype), jnp.asarray(W, dtype)
    assert map_rows(lambda a: a, 3, x).dtype == dtype
    assert sum_rows(lambda w, x: w @ x, 3, w, x).dtype == dtype
