"""Programs compiled at once: how does a small version of an experiment start sooner?

Small versions compile much and compute little. With these settings XLA compiles in a third of the time; what it makes
is slower, which only long computations notice.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata

FLAGS = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)


def compile_at_once() -> bool:
    """Have this process compile its programs quickly instead of well; before JAX is loaded.

    Returns:
        Whether it does: not where JAX is loaded, where XLA_FLAGS say something already, or with a version of JAX whose
        flags are not known here, as one that XLA does not know ends the process.
    """
    if "jax" in sys.modules or "XLA_FLAGS" in os.environ or not metadata.version("jaxlib").startswith("0.10."):
        return False
    os.environ["XLA_FLAGS"] = " ".join(FLAGS)
    # Where in Python an operation comes from is written into each program otherwise.
    os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
    return True
