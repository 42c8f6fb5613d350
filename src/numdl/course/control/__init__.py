"""Lecture 3, training as optimal control: maximum principle, shooting, multilevel, layer-parallel, path planning."""
