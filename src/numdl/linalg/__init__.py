"""Solve ``A x = b``, from products where A is not at hand."""

from numdl.linalg.lanczos import Probe, lanczos_probe
from numdl.linalg.steihaug import Subproblem, steihaug
from numdl.linalg.triangular import lower_inverse

__all__ = ["Probe", "Subproblem", "lanczos_probe", "lower_inverse", "steihaug"]
