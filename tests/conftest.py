"""Execute the shape annotations of the numerical rooms, and offer float64 where a test asks for it."""

import os

# Tests compile much and compute little: without optimisation compiling takes two thirds of the time.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax
import pytest
from jaxtyping import install_import_hook

ROOMS = ("flow", "models", "problems", "optimize", "regularize", "linalg")
install_import_hook([f"numdl.{room}" for room in ROOMS], "beartype.beartype")


@pytest.fixture
def x64():
    """The test runs in JAX's local 64-bit context."""
    with jax.enable_x64(True):
        yield
