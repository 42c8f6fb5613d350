"""Small networks in NumPy and SciPy, trained by variable projection, a precision for each input. No JAX here."""
