"""Which pages of the documentation are generated, and from what? ``python -m docs.make`` writes and builds them."""
