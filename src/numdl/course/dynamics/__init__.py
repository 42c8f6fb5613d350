"""Lecture 3, residual networks as discretised ODEs: stability, reversibility, energy and gradients."""
