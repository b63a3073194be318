"""What runs inside a simulation: the probe that it calls."""

from .probe import SimulationProbe

__all__ = ["SimulationProbe"]
