"""Every option of a server is declared once; an unknown one is refused with a similar name."""

from __future__ import annotations

import pytest

from degentcivil_nb.server.options import NAMES, sort_options
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket


def test_every_keyword_that_a_server_ever_took_is_taken() -> None:
    assert set(NAMES) == {
        *("auth", "pool", "limiter", "error_handler", "monitor", "traffic", "history", "heartbeat_s"),
        *("max_message_bytes", "ssl", "compression", "commands", "status", "run_id", "origins", "hosts"),
        *("open_s", "resume_s", "batch_s", "clock", "parameters", "workers", "max_queued"),
    }
    assert len(NAMES) == len(set(NAMES))


def test_none_is_the_default() -> None:
    server = SimulationWebSocket("127.0.0.1", 0, **dict.fromkeys(NAMES))
    assert server.heartbeat_s == 5.0
    assert sort_options({"heartbeat_s": 0.5}).peers.heartbeat_s == 0.5


def test_an_unknown_option_is_refused_with_a_similar_name() -> None:
    with pytest.raises(TypeError, match="no option 'heartbeats'; did you mean 'heartbeat_s'"):
        SimulationWebSocket("127.0.0.1", 0, heartbeats=1)
