"""Methods for sums of squares: Levenberg-Marquardt."""
