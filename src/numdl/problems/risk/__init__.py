"""Empirical risk: losses of samples, their mean, and derivatives of it."""
