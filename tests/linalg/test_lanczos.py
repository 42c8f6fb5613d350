"""Lanczos from one vector: exact after p steps, exact for few eigenvalues, unbiased for the determinant."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import logm

from numdl.linalg import lanczos_probe

pytestmark = pytest.mark.usefixtures("x64")
P = 12


def matrix(values, seed=0):
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(P, P)))[0]
    return q @ np.diag(values) @ q.T


@functools.partial(jax.jit, static_argnums=2)
def probe(h, z, steps):
    return lanczos_probe(lambda v: h @ v, z, steps)


@pytest.mark.parametrize("condition", [10.0, 1e8])
@pytest.mark.parametrize("steps", [P, 3 * P])
def test_full_length_is_exact(condition, steps):
    h = matrix(np.geomspace(1 / condition, 1.0, P))
    z = np.random.default_rng(1).normal(size=P)
    found = probe(h, z, steps)
    np.testing.assert_allclose(found.solve, np.linalg.solve(h, z), rtol=1e-6 if condition > 1e3 else 1e-10)
    np.testing.assert_allclose(found.log, z @ logm(h).real @ z, rtol=1e-7 if condition > 1e3 else 1e-10)


def test_one_step_is_the_rayleigh_quotient():
    h, z = matrix(np.linspace(1, 2, P)), np.random.default_rng(1).normal(size=P)
    rayleigh = z @ h @ z / (z @ z)
    found = probe(h, z, 1)
    np.testing.assert_allclose(found.solve, z / rayleigh, rtol=1e-12)
    np.testing.assert_allclose(found.log, z @ z * np.log(rayleigh), rtol=1e-12)


def test_few_eigenvalues_are_exact_after_as_many_steps_and_stay_so():
    h = matrix(np.repeat([0.01, 3.0, 50.0], 4))
    z = np.random.default_rng(2).normal(size=P)
    for steps in (3, 4, 8):
        found = probe(h, z, steps)
        np.testing.assert_allclose(found.solve, np.linalg.solve(h, z), rtol=1e-9)
        np.testing.assert_allclose(found.log, z @ logm(h).real @ z, rtol=1e-9)


def test_identity_breaks_down_at_once_and_stays_right():
    z = np.random.default_rng(3).normal(size=P)
    found = probe(2 * np.eye(P), z, 5)
    np.testing.assert_allclose(found.solve, z / 2, rtol=1e-12)
    np.testing.assert_allclose(found.log, z @ z * np.log(2), rtol=1e-12)


def test_the_error_falls_with_the_steps():
    h = matrix(np.geomspace(1e-3, 1.0, P))
    z = np.random.default_rng(1).normal(size=P)
    errors = [np.linalg.norm(probe(h, z, steps).solve - np.linalg.solve(h, z)) for steps in (3, 6, 9, 12)]
    assert all(a > b for a, b in itertools.pairwise(errors))


def test_random_signs_average_to_the_determinant():
    h = matrix(np.geomspace(0.01, 1.0, P))
    signs = jax.random.rademacher(jax.random.key(0), (200, P), float)
    logs = jax.vmap(lambda z: lanczos_probe(lambda v: jnp.asarray(h) @ v, z, P).log)(signs)
    # Hutchinson: the variance is twice the sum of squares beside the diagonal of log H
    log = logm(h).real
    deviation = np.sqrt(2 * (np.sum(log**2) - np.sum(np.diag(log) ** 2)) / len(signs))
    assert abs(jnp.mean(logs) - np.linalg.slogdet(h)[1]) < 4 * deviation
