"""Variable projection: the head of a model is eliminated."""
