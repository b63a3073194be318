"""Recordings for tests: of a town, and of messages that somebody made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.recorder import Recorder
from tests.support.waiting import until

HOSTILE = "=cmd()<img src=x onerror=alert(1)>\u202e\x1b[31m"


def record_town(path: Path, *, ticks: int = 40, seed: int = 0, characters: int = 5, event: str | None = None) -> Path:
    """Record a town of the given seed, and one injected event at its end."""
    with (
        dc.start_local_server(characters=characters, seed=seed, tick_s=0.005, paused=True) as server,
        dc.connect(server, record=path) as session,
    ):
        session.step(ticks)
        if event is not None:
            session.inject_event(event, {"by": "hand"})
            session.wait_for("event_notification", where=f"event_type == {event!r}", after=0)
    return path


def told(type: str, data: Any, **envelope: Any) -> RawMessage:
    return RawMessage(type, Raw(encode(data)), **envelope)


def write_recording(path: Path, messages: Sequence[RawMessage], *, received: float = 1_000.0) -> Path:
    """Write messages as a finished recording."""
    recorder = Recorder(path, run_id="made up")
    recorder.put(list(messages), received, "one")
    recorder.close()
    return path


def leave_open(path: Path, messages: Sequence[RawMessage]) -> Recorder:
    """Write messages into a recording that is not finished, and give its recorder."""
    recorder = Recorder(path)
    recorder.put(list(messages), 1_000.0, "one")
    until(lambda: recorder.stats().bytes_written)  # a file is there, and taken from the queue, before it is whole
    return recorder
