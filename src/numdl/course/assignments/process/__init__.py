"""Process in which submissions run, and its pipe."""
