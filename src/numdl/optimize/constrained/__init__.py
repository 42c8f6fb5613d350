"""Methods for bounds and non-smooth penalties: projected and proximal steps."""
