"""The methods of `SimulationProbe`, by concern."""
