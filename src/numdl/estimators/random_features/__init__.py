"""Random features with a regularised linear head."""
