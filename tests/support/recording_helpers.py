"""Streams to be recorded, and what of them a recording must give back."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from msgspec import Raw

from degentcivil_nb.analysis.reader import Reader
from degentcivil_nb.protocol.errors import RecordingWarning
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.lost_messages import DAMAGED
from degentcivil_nb.recordings.manifest import FORMAT
from degentcivil_nb.recordings.segment_reader import SegmentFolder
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.session.recording import Recording

EPOCH = "epoch-1"
QUESTIONS = ("events", "characters", "timeline", "transitions", "errors", "llm_calls", "places", "gaps")


def message_at(seq: int) -> RawMessage:
    """Make the message of a position, always the same."""
    state = ("IDLE", "MOVE", "WORK")[seq % 3]
    data = {"character_id": f"c{seq % 5}", "new_state": state, "location": "Park", "note": "x" * (seq % 7)}
    return RawMessage("state_change", Raw(encode(data)), 1_000.0 + seq / 10, seq, seq // 10)


def entries_of(count: int, size: int, first: int = 1) -> list[RecordedMessage]:
    return [
        RecordedMessage(
            [message_at(seq) for seq in range(start, min(start + size, first + count))], 2_000.0 + start, EPOCH
        )
        for start in range(first, first + count, size)
    ]


def written(
    folder: Path,
    entries: Iterable[RecordedMessage],
    *,
    close: bool,
    segment_messages: int = 65_536,
    format: int = FORMAT,
) -> Path:
    """Write a recording, one record an entry; without `close` it is left as a kill would leave it."""
    writer = SegmentWriter(
        folder, run_id="run", segment_messages=segment_messages, format=format, clock=lambda: 1_000.0
    )
    for entry in entries:
        writer.write([entry])
        if writer.full:
            writer.seal()
    writer.commit()
    if close:
        writer.close()
    writer.abandon()
    return folder


def read_back(folder: Path) -> tuple[list[RawMessage], SegmentFolder]:
    """Read all messages but the gaps that declare damage, and what was found on the way."""
    held = SegmentFolder(folder)
    messages = [message for entry in held.entries() for message in entry.messages]
    return [message for message in messages if not is_damage(message)], held


def is_damage(message: RawMessage) -> bool:
    return message.type == "gap" and message.payload().get("reason") == DAMAGED


def opened(folder: Path) -> Recording:
    """Open what is known to be unfinished or damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        return Recording(folder)


def assert_same_answers(one: object, other: Reader) -> None:
    """Compare every question; if `one` is a store, with what the other's store answers."""
    asked = other if isinstance(one, Reader) else other._store
    for question in QUESTIONS:
        expected, found = getattr(one, question)(), getattr(asked, question)()
        pd.testing.assert_frame_equal(found, expected, obj=question, check_categorical=False)
    events = one.events(payload=True)  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(other.events(payload=True), events, check_categorical=False)
    for by in ("type", "code", "character_id", "state"):
        expected, found = one.rates(by=by), other.rates(by=by)  # type: ignore[attr-defined]
        pd.testing.assert_frame_equal(found, expected, obj=f"rates by {by}", check_freq=False)
