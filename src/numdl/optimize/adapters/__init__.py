"""Optimisers of other libraries under our contract."""
