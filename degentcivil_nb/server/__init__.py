"""The server beside the simulation: one shared history, and a read position in it for each peer."""
