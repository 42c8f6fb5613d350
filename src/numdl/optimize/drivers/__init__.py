"""Loops that call an optimiser step by step: whole data, subsamples, mini-batches, levels."""
