"""Debug a living town of LLM-driven characters from a Jupyter notebook."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .core.version import __version__ as __version__

if TYPE_CHECKING:
    from .analysis.compare import Comparison, compare
    from .client.simulation_client import SimulationClient
    from .demo.local_server import LocalServer, start_local_server
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
    from .protocol.messages import MessageTypes, WebSocketMessage
    from .protocol.rate_limits import RateLimiter
    from .replay.replay import Replay, start_replay
    from .server.entrance.auth import WebSocketAuth
    from .server.entrance.connection_pool import ConnectionPool
    from .server.peers.error_handler import ErrorHandler
    from .server.publishers import CharacterStatePublisher, EventNotifier
    from .server.simulation_websocket import SimulationWebSocket
    from .session.connecting import connect
    from .session.recording import Recording, open_recording
    from .session.runs import Runs, open_runs
    from .session.session import Session
    from .session.traces import import_traces
    from .simulation.probe import SimulationProbe


_HOMES = {
    ".session.connecting": ("connect",),
    ".session.session": ("Session",),
    ".session.recording": ("Recording", "open_recording"),
    ".session.runs": ("Runs", "open_runs"),
    ".session.traces": ("import_traces",),
    ".analysis.compare": ("Comparison", "compare"),
    ".demo.local_server": ("LocalServer", "start_local_server"),
    ".replay.replay": ("Replay", "start_replay"),
    ".simulation.probe": ("SimulationProbe",),
    ".server.simulation_websocket": ("SimulationWebSocket",),
    ".server.publishers": ("CharacterStatePublisher", "EventNotifier"),
    ".server.entrance.connection_pool": ("ConnectionPool",),
    ".server.entrance.auth": ("WebSocketAuth",),
    ".server.peers.error_handler": ("ErrorHandler",),
    ".client.simulation_client": ("SimulationClient",),
    ".protocol.messages": ("MessageTypes", "WebSocketMessage"),
    ".protocol.errors": (
        "CommandError",
        "ConnectFailed",
        "DegentCivilError",
        "OutcomeUnknown",
        "RecordingWarning",
        "WebSocketError",
    ),
    ".protocol.batching": ("MessageBatcher",),
    ".protocol.rate_limits": ("RateLimiter",),
    ".monitoring.connection_monitor": ("ConnectionMonitor",),
    ".monitoring.websocket_debugger": ("WebSocketDebugger",),
    ".notebook.extension": ("load_ipython_extension", "unload_ipython_extension"),
}
"""The module of each name, imported when the name is first used, so that `import degentcivil_nb` costs little."""

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
    "import_traces",
    "open_recording",
    "open_runs",
    "start_local_server",
    "start_replay",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module(".core.logs", __name__).install_filters()  # whichever part is used, its log holds no secrets
    try:
        value = getattr(import_module(home, __name__), name)
    except ModuleNotFoundError as error:
        raise import_module(".core.extras", __name__).missing(f"{__name__}.{name}", error) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if "IPython" in sys.modules:  # in a kernel, a user's error is shown as the user's line and one sentence
    import_module(".notebook.tracebacks", __name__).shorten_in_notebooks()
