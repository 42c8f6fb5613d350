"""Solve ``A x = b`` from products."""

from numdl.linalg.lanczos import Probe, lanczos_probe
from numdl.linalg.steihaug import Subproblem, steihaug

__all__ = ["Probe", "Subproblem", "lanczos_probe", "steihaug"]
