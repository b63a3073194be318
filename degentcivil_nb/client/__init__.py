"""What runs in the notebook's process off the main thread: a loop on a thread of its own, and the connection."""
