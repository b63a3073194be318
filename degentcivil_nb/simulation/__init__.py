"""The debuggee's side: the probe that a simulation calls, a demo town that calls it, and recordings played again."""

from .local_server import LocalServer, start_local_server
from .probe import SimulationProbe
from .replay import Replay, start_replay

__all__ = ["LocalServer", "Replay", "SimulationProbe", "start_local_server", "start_replay"]
