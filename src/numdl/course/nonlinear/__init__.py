"""Lecture 2, nonlinear models: single layers, perceptrons, residual networks and how they are trained."""
