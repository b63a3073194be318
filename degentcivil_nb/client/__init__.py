"""The client: it runs in the notebook's process, on a thread with its own loop, and holds the connection."""
