"""Methods for smooth unconstrained problems: descent, quasi-Newton, Newton."""
