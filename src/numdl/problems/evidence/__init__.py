"""Bayesian evidence (marginal likelihood) that sets penalties during training."""
