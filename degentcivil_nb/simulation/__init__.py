"""The debuggee's side: the probe that a simulation calls, and a demo town that calls it."""

from .local_server import LocalServer, start_local_server
from .probe import SimulationProbe

__all__ = ["LocalServer", "SimulationProbe", "start_local_server"]
