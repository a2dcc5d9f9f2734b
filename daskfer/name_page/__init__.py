"""The page on which a person names the clusters of a run by looking at their faces."""
