"""The inverse by halves is the inverse."""

import jax.numpy as jnp
import numpy as np
import pytest

from numdl.linalg import lower_inverse

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.quick("1-1", "4-0", "4-33", "64-7")
@pytest.mark.parametrize("p", [0, 1, 2, 7, 33])
@pytest.mark.parametrize("block", [1, 4, 64])
def test_residual_of_both_sides(p, block):
    rng = np.random.default_rng(p)
    full = rng.normal(size=(p, p)) + 3 * p**0.5 * np.eye(p)
    lower = np.tril(full)
    inverse = np.asarray(lower_inverse(jnp.asarray(full), block=block))
    np.testing.assert_allclose(inverse @ lower, np.eye(p), atol=1e-13)
    np.testing.assert_allclose(lower @ inverse, np.eye(p), atol=1e-13)
    assert not np.triu(inverse, 1).any()
