"""Execute the shape annotations of the numerical rooms, and offer float64 where a test asks for it."""

import os

import jaxlib

if jaxlib.__version__.startswith("0.10."):  # a flag that XLA does not know ends the process
    # Tests compile much and compute little: with these settings compiling takes a quarter of the time.
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
        "--xla_cpu_parallel_codegen_split_count=1",
    )

import jax
import jaxtyping
import pytest

ROOMS = ("flow", "models", "problems", "optimize", "regularize", "linalg", "analysis")
jaxtyping.install_import_hook([f"numdl.{room}" for room in ROOMS], "beartype.beartype")


@pytest.fixture
def x64():
    """The test runs in JAX's local 64-bit context."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def unchecked():
    """Annotations are not executed, as for those who use numdl: its own refusals answer."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_programs():
    """Compiled programs of one module are of no use to the next, but make the process grow to gigabytes and slow."""
    yield
    jax.clear_caches()
