"""A session's events as messages, for `save` and for recordings that begin in the middle of a run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from msgspec import Raw

from ..core.redaction import redacted
from ..core.version import __version__
from ..protocol.control_payloads import Gap, RunState, Snapshot
from ..protocol.json_text import encode
from ..protocol.messages import MessageTypes, RawMessage
from ..protocol.receiver import gap_message
from ..store.links import own_values
from ..store.schema import SECOND
from .arrow_messages import RecordedMessage
from .segment_reader import SegmentFolder
from .segment_writer import SegmentWriter
from .whole_run import snapshot_characters

if TYPE_CHECKING:
    from ..store.event_store import EventStore
    from .recorder import Recorder

Position = tuple[str, int] | None
CHUNK: Final = 8_192  # events converted at a time
NOT_VALID: Final = "not a valid "
"""How the store's text of a malformed payload begins; the type follows."""


def snapshot_messages(store: EventStore, position: Position) -> list[RawMessage]:
    """Return a snapshot of the store's characters and places as of a position, and the run state."""
    characters = snapshot_characters(store.present_columns())
    places = store.parts.places.told()
    snapshot = Snapshot(seq=0 if position is None else position[1], characters=characters, places=places)
    messages = [RawMessage(MessageTypes.SNAPSHOT, Raw(encode(snapshot)))]
    if store.run_state is not None:
        messages.append(RawMessage(MessageTypes.RUN_STATE, Raw(encode(RunState(store.run_state, tick=store.tick)))))
    return messages


def declare_gap_between(recorded: Position, now: Position) -> list[RawMessage]:
    """Declare what is missing in a recording that ends at one position and continues after another."""
    if recorded == now:
        return [] if now is not None else [gap_message(Gap(None))]
    if recorded is None or now is None:
        return [gap_message(Gap(None if now is None else now[0]))]
    if recorded[0] == now[0]:
        return [gap_message(Gap(now[0], recorded[1] + 1, now[1], "recorder"))] if recorded[1] < now[1] else []
    gaps = [gap_message(Gap(recorded[0], recorded[1] + 1, None, "recorder"))]
    return gaps + ([gap_message(Gap(now[0], 1, now[1], "recorder"))] if now[1] else [])


def restore_into(store: EventStore, recorder: Recorder) -> None:
    """Load the recording that a session continues into its store, as far as its retention allows."""
    for entry in SegmentFolder(recorder.path, live=True).entries():
        store.append(list(entry.messages), entry.received, entry.epoch)
    if recorder.position is None:  # without positions, messages sent in between cannot be requested
        now = time.time()
        between = declare_gap_between(None, None)
        store.append(between, now)
        recorder.put(between, now)


def save(
    store: EventStore,
    path: str | os.PathLike[str],
    *,
    position: Position = None,
    run_id: str | None = None,
    url: str | None = None,
    parameters: dict[str, Any] | None = None,
) -> Path:
    """Write what a store holds as a finished recording; `FileExistsError` if the folder is not empty."""
    return write_entries(Path(path), held_entries(store, position), run_id=run_id, url=url, parameters=parameters)


def write_entries(
    folder: Path,
    entries: Iterable[RecordedMessage],
    *,
    run_id: str | None = None,
    url: str | None = None,
    parameters: dict[str, Any] | None = None,
) -> Path:
    """Write messages as a finished recording; `FileExistsError` if the folder is not empty."""
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; a new recording is written, so pass another name")
    url = None if url is None else redacted(url)
    writer = SegmentWriter(folder, run_id=run_id, url=url, package=__version__)
    writer.manifest.parameters = parameters or {}
    try:
        for entry in entries:
            writer.write([entry])
            if writer.full:
                writer.seal()
        writer.close()
    finally:
        writer.abandon()
    return folder


def held_entries(store: EventStore, position: Position = None) -> Iterator[RecordedMessage]:
    """Yield the events and ordered control messages that a store holds, in order, with snapshots where needed.

    Times are rounded to microseconds, as in the store; request ids are missing, since the store does not keep them.
    """
    first, stop = store.first_row, store.next_row
    now = time.time()
    for gap in store.gaps().to_dict("records"):
        if gap["row"] < first:  # the gap's control message was evicted with the events around it, but the gap remains
            known: Any = {name: None if pd.isna(value) else value for name, value in gap.items()}
            moment = known["time"].timestamp()
            said = Gap(known["epoch"], known["from_seq"], known["to_seq"], known["reason"], known["at_least"])
            yield RecordedMessage([gap_message(said, moment)], moment, said.epoch)
    lost_beginning = store.first_row > 0
    if lost_beginning and position is not None:  # a snapshot later than the events is kept, and the events are its past
        yield RecordedMessage(snapshot_messages(store, position), now, position[0])
    controls = store.control_rows(first, stop + 1)
    while True:
        end = min(first + CHUNK, stop)
        while controls and controls[0].row < end:
            if controls[0].row > first:
                yield from _event_entries(store, first, controls[0].row)
                first = controls[0].row
            yield _control_entry(controls.pop(0))
        yield from _event_entries(store, first, end)
        if end == stop:
            break
        first = end
    for control in controls:
        yield _control_entry(control)
    if lost_beginning and position is None:
        yield RecordedMessage(snapshot_messages(store, None), now, None)


def _control_entry(control: Any) -> RecordedMessage:
    seconds = control.time / SECOND
    return RecordedMessage([RawMessage(control.type, Raw(control.data), seconds)], seconds, control.epoch)


def _event_entries(store: EventStore, start: int, stop: int) -> Iterator[RecordedMessage]:
    view = store.view()
    frame = own_values(view.frame.iloc[view.rows(start, stop)], view.links)
    if not len(frame):
        return
    payloads = store.take_payloads(frame.index.to_list())
    names = ("epoch", "seq", "tick", "time_source", "type", "message", "event_id", "cause", "intervention", "sim_time")
    epochs, seqs, ticks, sources, types, texts, *links = (
        frame[name].astype("object").where(frame[name].notna(), None).to_list() for name in names
    )
    times, received = (frame[name].astype("int64").to_list() for name in ("time", "received"))
    rows = [
        (
            (came, epoch),
            RawMessage(
                _sent_type(type, text),
                Raw(data),
                moment / SECOND if source == "sent" else None,
                seq,
                tick,
                event_id=event_id,
                cause=cause,
                intervention=intervention,
                sim_time=sim_time,
            ),
        )
        for came, epoch, type, text, data, moment, source, seq, tick, event_id, cause, intervention, sim_time in zip(
            received, epochs, types, texts, payloads, times, sources, seqs, ticks, *links, strict=True
        )
    ]
    for (came, epoch), group in groupby(rows, key=lambda row: row[0]):
        yield RecordedMessage([message for _, message in group], came / SECOND, epoch)


def _sent_type(type: str, text: str | None) -> str:
    """Return the type that a message arrived with: the store changes it to error for a malformed payload."""
    if type == MessageTypes.ERROR and text is not None and text.startswith(NOT_VALID) and ":" in text:
        return text[len(NOT_VALID) : text.index(":")]
    return type
