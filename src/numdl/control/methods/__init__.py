"""Optimisers of control problems: maximum principle, multiple shooting, augmented Lagrangian, one-shot."""
