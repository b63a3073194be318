"""What runs beside the simulation: one history, and a cursor into it for each peer."""
