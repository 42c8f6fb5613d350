"""Operators on images against values of an independent code, see tests/reference/README.md."""

from pathlib import Path

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from numdl.linalg import Convolution2D, Difference, Kronecker

pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture(scope="module")
def ref():
    with np.load(Path(__file__).parents[1] / "reference" / "image_operators.npz") as file:
        return dict(file)


def close(found, expected):
    assert np.linalg.norm(np.asarray(found) - expected) <= 1e-10 * np.linalg.norm(expected)


def test_averages_of_cells_are_a_kronecker_product(ref):
    def pairs(n):
        return lx.MatrixLinearOperator(jnp.kron(jnp.eye(n // 2), jnp.asarray([[0.5, 0.5]])))

    # the reference numbers cells with the first axis running fastest: rows of an image here are its second axis
    close(Kronecker(pairs(4), pairs(6)).as_matrix(), ref["restriction"])
    with pytest.raises((AssertionError, ValueError)):  # mutant: the axes exchanged
        close(Kronecker(pairs(6), pairs(4)).as_matrix(), ref["restriction"])


def test_the_laplacian_with_pixels_of_unequal_sides(ref):
    (n1, n2), (h1, h2) = ref["laplacian_n"], ref["laplacian_h"]
    second = [Difference(int(n), float(h), order=2, boundary="dirichlet").as_matrix() for n, h in ((n1, h1), (n2, h2))]
    first, other = (lx.MatrixLinearOperator(D) for D in second)
    eyes = [lx.MatrixLinearOperator(jnp.eye(int(n))) for n in (n1, n2)]
    found = Kronecker(eyes[1], first).as_matrix() + Kronecker(other, eyes[0]).as_matrix()
    close(found, ref["laplacian"])


@pytest.mark.parametrize("method", ["fft", "direct"])
@pytest.mark.parametrize("name", ["correlation", "convolution"])
def test_periodic_convolutions_of_channels(ref, name, method):
    x, z, w = (ref[f"{name}_{part}"] for part in "xzw")
    image = x.shape[2:]

    def fun(K, x):
        """One image, (channels, rows, columns)."""
        K = K[..., ::-1, ::-1] if name == "correlation" else K

        def one(kernel, field):
            return Convolution2D(kernel, image, method=method, boundary="periodic").mv(field.ravel()).reshape(image)

        return jax.vmap(lambda kernels: sum(one(k, field) for k, field in zip(kernels, x, strict=True)))(K)

    K = jnp.asarray(ref[f"{name}_K"])

    @jax.jit
    def both(field, w):
        z, pull = jax.vjp(fun, K, field)
        return z, *pull(w)

    found, by_kernel, by_image = zip(*(both(*pair) for pair in zip(x, w, strict=True)), strict=True)
    close(np.stack(found), z)
    close(np.stack(by_image), ref[f"{name}_jtw_x"])
    close(sum(by_kernel), ref[f"{name}_jtw_K"])
    with pytest.raises(AssertionError):  # mutant: the kernel is not turned
        close(fun(K[..., ::-1, ::-1], jnp.asarray(x[0])), z[0])
