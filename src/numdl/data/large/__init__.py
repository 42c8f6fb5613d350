"""Data too large for memory: read in pieces, row by row."""
