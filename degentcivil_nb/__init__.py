"""Debug a living town of LLM-driven characters from a Jupyter notebook."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client.simulation_client import SimulationClient
    from .compare import Comparison, compare
    from .monitoring.connection_monitor import ConnectionMonitor
    from .monitoring.websocket_debugger import WebSocketDebugger
    from .protocol.batching import MessageBatcher
    from .protocol.errors import (
        CommandError,
        ConnectFailed,
        DegentCivilError,
        OutcomeUnknown,
        RecordingWarning,
        WebSocketError,
    )
    from .protocol.limits import RateLimiter
    from .protocol.message import MessageTypes, WebSocketMessage
    from .recording import Recording, open_recording
    from .runs import Runs, open_runs
    from .server.auth import WebSocketAuth
    from .server.connection_pool import ConnectionPool
    from .server.error_handler import ErrorHandler
    from .server.publishers import CharacterStatePublisher, EventNotifier
    from .server.simulation_websocket import SimulationWebSocket
    from .session import Session, connect
    from .simulation import LocalServer, Replay, SimulationProbe, start_local_server, start_replay

__version__ = "0.1.0"

_HOMES = {
    ".session": ("Session", "connect"),
    ".recording": ("Recording", "open_recording"),
    ".runs": ("Runs", "open_runs"),
    ".compare": ("Comparison", "compare"),
    ".simulation": ("LocalServer", "Replay", "SimulationProbe", "start_local_server", "start_replay"),
    ".server.simulation_websocket": ("SimulationWebSocket",),
    ".server.publishers": ("CharacterStatePublisher", "EventNotifier"),
    ".server.connection_pool": ("ConnectionPool",),
    ".server.auth": ("WebSocketAuth",),
    ".server.error_handler": ("ErrorHandler",),
    ".client.simulation_client": ("SimulationClient",),
    ".protocol.message": ("MessageTypes", "WebSocketMessage"),
    ".protocol.errors": (
        "CommandError",
        "ConnectFailed",
        "DegentCivilError",
        "OutcomeUnknown",
        "RecordingWarning",
        "WebSocketError",
    ),
    ".protocol.batching": ("MessageBatcher",),
    ".protocol.limits": ("RateLimiter",),
    ".monitoring.connection_monitor": ("ConnectionMonitor",),
    ".monitoring.websocket_debugger": ("WebSocketDebugger",),
}
"""Where each name lives: it is imported when first used, so that `import degentcivil_nb` costs little."""

_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CharacterStatePublisher",
    "CommandError",
    "Comparison",
    "ConnectFailed",
    "ConnectionMonitor",
    "ConnectionPool",
    "DegentCivilError",
    "ErrorHandler",
    "EventNotifier",
    "LocalServer",
    "MessageBatcher",
    "MessageTypes",
    "OutcomeUnknown",
    "RateLimiter",
    "Recording",
    "RecordingWarning",
    "Replay",
    "Runs",
    "Session",
    "SimulationClient",
    "SimulationProbe",
    "SimulationWebSocket",
    "WebSocketAuth",
    "WebSocketDebugger",
    "WebSocketError",
    "WebSocketMessage",
    "compare",
    "connect",
    "open_recording",
    "open_runs",
    "start_local_server",
    "start_replay",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module(".monitoring.logs", __name__).tame()  # whatever is used, its log holds no secret
    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
