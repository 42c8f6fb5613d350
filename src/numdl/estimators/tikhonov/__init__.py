"""Regularised linear regression: Tikhonov, truncated SVD, iterative and hybrid methods."""
