"""Forests as plain arrays: grown by scikit-learn, evaluated by NumPy."""
