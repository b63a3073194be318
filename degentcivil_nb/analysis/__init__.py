"""Questions about a run: the reader, SQL, comparisons."""
