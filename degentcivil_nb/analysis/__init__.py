"""Questions about a run: the reader, SQL, and comparisons."""
