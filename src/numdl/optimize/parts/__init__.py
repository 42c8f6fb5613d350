"""What several optimisation methods share: line search, acceptance, stopping, packing."""
