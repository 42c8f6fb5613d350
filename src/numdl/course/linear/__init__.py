"""Lecture 1, linear models: least squares, classification, regularisation and what chooses alpha."""
