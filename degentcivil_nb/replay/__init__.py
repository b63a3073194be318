"""A recording served as a live run."""
