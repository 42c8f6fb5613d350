"""What every estimator shares: intake of X and y, saving, processes."""
