"""The events of a run in columns, and the present state of every character; in memory only."""
