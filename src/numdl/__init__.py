"""Numerical methods for deep learning: regularised networks trained by Gauss-Newton and variable projection."""

__version__ = "0.1.0"
