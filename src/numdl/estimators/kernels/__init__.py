"""Exact Gaussian processes in NumPy and SciPy: kernels, evidence, search and mixture. JAX is never imported here."""
