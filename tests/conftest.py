"""Execute the shape annotations of the numerical rooms, and offer float64 where a test asks for it."""

import fnmatch
import gc
import os

import jaxlib

os.environ["NUMDL_CACHE"] = "off"  # nothing is written to, or comes from, the folder of who runs the tests

# JAX and numdl call LAPACK on small matrices; its threads wait for each other by spinning, three quarters of the time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where in Python an operation comes from is written into each program that is compiled, and no test asks for it.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

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
from threadpoolctl import threadpool_limits

from numdl.contracts import compilation_cache

threadpool_limits(limits=1, user_api="blas")  # a library that was loaded before this file does not read the environment
# Tracing makes many small objects that live on: looking through them for circles took a tenth of the time.
gc.set_threshold(100_000, 50, 100)

ROOMS = ("flow", "models", "problems", "control", "optimize", "regularize", "linalg", "analysis")


def pytest_addoption(parser):
    parser.addoption("--no-annotations", action="store_true", help="do not execute the shape annotations")


def pytest_configure(config):
    if not config.getoption("no_annotations"):
        jaxtyping.install_import_hook([f"numdl.{room}" for room in ROOMS], "beartype.beartype")
    # One program in ten is that of another test, and nearly all are those of the last run.
    compilation_cache.MOST = 2**28
    compilation_cache.compilation_cache(config.rootpath / ".pytest_cache" / "programs")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test with ``@pytest.mark.quick(cases, ...)`` make test runs the cases whose names match.

    Tests of refusals see those of numdl: annotations would answer before.

    Raises:
        pytest.UsageError: a pattern matches no case, which may have been renamed.
    """
    tests = {}
    for item in items:
        if "refus" in item.name and "unchecked" not in item.fixturenames:
            item.fixturenames.append("unchecked")
        if wanted := item.get_closest_marker("quick"):
            tests.setdefault((f"{item.path.name}::{item.originalname}", wanted.args), []).append(item)
    for (test, patterns), cases in tests.items():
        names = [item.callspec.id for item in cases]
        for pattern in patterns if len(names) > 1 else ():  # one alone has been asked for by its name
            if not fnmatch.filter(names, pattern):
                raise pytest.UsageError(f"{test}: quick({pattern!r}) is no case, needs one of {', '.join(names)}")
        for item in cases:
            if not any(fnmatch.fnmatchcase(item.callspec.id, pattern) for pattern in patterns):
                item.add_marker(pytest.mark.thorough)


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


MANY = 1000
"""Programs of two megabytes each; two processes that keep all of a room ran out of memory."""
compiled = []


def count(event, seconds, **about):
    if event.endswith("backend_compile_duration"):
        compiled.append(event)


jax.monitoring.register_event_duration_secs_listener(count)


def pytest_runtest_teardown(item, nextitem):
    """Compiled programs of one room are of little use to the next, but make the process grow to gigabytes and slow."""
    if nextitem is None or nextitem.path == item.path:  # at the end of the process all are gone anyway
        return
    if nextitem.path.parent != item.path.parent or len(compiled) > MANY:
        jax.clear_caches()
        compiled.clear()
