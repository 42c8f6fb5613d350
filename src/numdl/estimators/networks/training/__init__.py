"""Architecture search and training behind the estimators of networks."""
