"""Small networks in NumPy and SciPy, trained by variable projection with a precision for each input. JAX is never imported here."""
