"""What pages about layers, their slopes and their memory must show, by numdl, NumPy and SciPy."""

import contextlib
import functools

import jaxtyping
import numpy as np

from numdl.flow import get_scheme

TINY = 1e-30  # f(u + i TINY v) = f(u) + i TINY f'(u) v: slopes without a difference


def march(scheme, f, nt, T, u):
    """States behind all layers, by numdl's schemes, which step NumPy's arrays without being compiled."""
    step, states = get_scheme(scheme).step, [u]
    with plain_arrays():
        for k in range(nt):
            states.append(step(f, k * T / nt, T / nt, states[-1], lambda c: None))
    return states


@contextlib.contextmanager
def plain_arrays():
    """The annotations of numdl speak of JAX's arrays."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def turning(t, u, _):
    x, y = u
    return np.tanh(np.stack([2 * np.cos(t) * x + y + 0.5 * np.sin(t), -x - 2 * np.cos(t) * y]))


@functools.cache
def followed(T):
    return march("rk4", turning, 256, T, mesh())[-1]


def mesh():
    return np.stack([np.tile(np.linspace(-1, 1, 9), 9), np.repeat(np.linspace(-1, 1, 9), 9)])


def depth(settings):
    def network(u):
        return march(settings["scheme"], turning, 2 ** settings["steps"], settings["T"], u)[-1]

    ends, exact = network(mesh()), followed(settings["T"])
    J = [network(mesh() + 1j * TINY * e[:, None]).imag / TINY for e in np.eye(2)]
    gap = np.sqrt(np.mean(np.sum((ends - exact) ** 2, axis=0)))
    return {"mesh": ends.T, "exact": exact.T, "gap": gap, "dets": J[0][0] * J[1][1] - J[1][0] * J[0][1]}


REFERENCES = {
    "depth": depth,
}
