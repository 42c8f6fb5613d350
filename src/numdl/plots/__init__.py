"""Pictures of a fit, each a function that draws on the axes it is given."""
