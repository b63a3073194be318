"""A debugger's questions about a run, live or recorded: breakpoints, stops, and where a condition would match."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np
import pandas as pd

from ..core.progress import following_cell
from ..expressions.breakable import compile_breakable
from ..expressions.candidates import Rule
from ..expressions.ended_ticks import ticks_ended
from ..expressions.judge import Judge
from ..protocol.control_payloads import RunState, Snapshot
from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..protocol.messages import Links, MessageTypes
from ..simulation.totals import Totals
from .unknown_names import unseen_text

if TYPE_CHECKING:
    from ..store.controls import ControlRow
    from ..store.interfaces import RunStore

CHUNK: Final = 2_048
_STOPPED: Final = ("name", "condition", "matched")


def breakpoint_table(store: RunStore, stops: pd.DataFrame) -> pd.DataFrame:
    """Make the frame of `breakpoints()`; `stops` are those of `stops()`, in which its last rows are found."""
    rows = store.breakpoints
    last = {(name, condition): row for name, condition, row in zip(*(stops[key] for key in _STOPPED), strict=True)}
    return pd.DataFrame(
        {
            "name": pd.Series([row.name for row in rows], dtype="str"),
            "condition": pd.Series([row.condition for row in rows], dtype="str"),
            "owner": pd.Series([row.owner.name or row.owner.id for row in rows], dtype="str"),
            "enabled": np.array([row.enabled for row in rows], np.bool_),
            "verified": np.array([row.verified for row in rows], np.bool_),
            "problem": pd.Series([row.problem or unseen_text(store, row.unseen) for row in rows], dtype="str"),
            "hits": np.array([row.count for row in rows], np.int64),
            "stops_at": np.array([row.hits for row in rows], np.int64),
            "once": np.array([row.once for row in rows], np.bool_),
            "log": pd.Series([row.log for row in rows], dtype="str"),
            "last_tick": pd.array([row.last_tick for row in rows], dtype="Int64"),
            "last_character_id": pd.Series([row.last_character_id for row in rows], dtype="str"),
            "last_row": pd.array([last.get((row.name, row.condition), pd.NA) for row in rows], dtype="Int64"),
        }
    )


class Controlled(Protocol):
    """The control messages of a run, and the rows that they name."""

    @property
    def next_row(self) -> int: ...
    def control_rows(self, start: int, stop: int) -> list[ControlRow]: ...
    def row_of(self, epoch: str | None, seq: int) -> int | None: ...


def stop_table(store: Controlled) -> pd.DataFrame:
    """Make the frame of `stops()`: a row for each breakpoint of each stop.

    A client that connects during a stop receives the stop twice, by itself and with the history: the earlier time
    counts.
    """
    found: list[dict[str, Any]] = []
    known: dict[tuple[str | None, int | None, bytes], list[dict[str, Any]]] = {}
    for control in store.control_rows(0, store.next_row + 1):
        if control.type != MessageTypes.RUN_STATE:
            continue
        try:
            state = decode(RunState, control.data)
        except WebSocketError:  # a malformed one has a row in errors()
            continue
        if state.reason != "breakpoint" or state.state != "paused":
            continue
        here: list[dict[str, Any]] = []
        again = known.setdefault((control.epoch, state.tick, encode(state.breakpoints)), here)
        if again is not here:
            for told in again:
                told["time"] = min(told["time"], control.time)
            continue
        for hit in state.breakpoints:
            seq = hit.get("seq")
            row = None if seq is None else store.row_of(control.epoch, seq)
            here.append({**hit, "stopped": state.tick, "row": row, "time": control.time})
        found += here
    return pd.DataFrame(
        {
            "stopped": pd.array([hit["stopped"] for hit in found], dtype="Int64"),
            "time": pd.to_datetime(np.array([hit["time"] for hit in found], "M8[ns]"), utc=True),
            "name": pd.Series([hit.get("name") for hit in found], dtype="str"),
            "condition": pd.Series([hit.get("condition") for hit in found], dtype="str"),
            "character_id": pd.Series([hit.get("character_id") for hit in found], dtype="str"),
            "matched": pd.array([hit["row"] for hit in found], dtype="Int64"),
            "tick": pd.array([hit.get("tick") for hit in found], dtype="Int64"),
        }
    )


def why_paused(store: Controlled) -> str:
    """Return in a few words why a run that is paused stands, as it has said last; an empty text if it has not."""
    for control in reversed(store.control_rows(0, store.next_row + 1)):
        if control.type == MessageTypes.RUN_STATE:
            with suppress(WebSocketError):  # a malformed one has a row in errors()
                return _why(decode(RunState, control.data))
    return ""


def _why(state: RunState) -> str:
    if state.state != "paused":
        return ""
    if state.reason == "exception":
        return "after an exception"
    if state.reason != "breakpoint":
        return ""
    hits = [hit for hit in state.breakpoints if isinstance(hit, dict) and hit.get("name")]
    if not hits:
        return "at a breakpoint"
    who = f" by {hits[0]['character_id']}" if hits[0].get("character_id") else ""
    more = f" and {len(hits) - 1:,} more" if len(hits) > 1 else ""
    return f"at breakpoint {hits[0]['name']}{who}{more}"


def matching_rows(store: RunStore, text: str) -> list[int]:
    """Return the rows at which a breakpoint with this condition would have matched, in order.

    For a condition that is judged at checkpoints, it is the last event before the checkpoint. A snapshot is used from
    the first event on that it does not include, since a client that asks for past events gets the snapshot before them.
    """
    condition = compile_breakable(text)
    totals = Totals()
    judge: Judge[None] = Judge([Rule(condition, None)], lambda: totals.both, _raise)
    controls = _snapshots(store)
    waiting = next(controls, None)
    rows: list[int] = []
    tick: int | None = None
    last: int | None = None
    epoch: str | None = None
    for event in _events(store):
        while waiting is not None and waiting.is_before(event):
            waiting.seed(judge, tick or 0)
            waiting = next(controls, None)
        now = event["tick"]
        if last is not None and _met_at_checkpoints(judge, tick, now):
            rows.append(last)
        tick = now if now is not None else tick
        payload = event["payload"]
        totals.add_message(event["type"], payload)
        met = judge.event(event["type"], payload, now, event["time"].timestamp(), _links(event))
        if met and not event.get("intervention"):  # breakpoints are not about commands
            rows.append(event["row"])
        last, epoch = event["row"], event["epoch"]
    if last is not None and tick is not None and _met_at_checkpoints(judge, tick, _end_of_ticks(store, tick, epoch)):
        rows.append(last)
    return list(dict.fromkeys(rows))


def _end_of_ticks(store: RunStore, tick: int, epoch: str | None) -> int:
    """Return the tick after the last one whose checkpoint was reached, also if nothing has happened in it.

    `epoch` is that of the last event: a simulation that was started again has ticks of its own.
    """
    reached = tick
    for control in store.control_rows(store.next_row, store.next_row + 1):
        if control.type != MessageTypes.RUN_STATE or control.epoch != epoch:
            continue
        with suppress(WebSocketError):  # a malformed one has a row in errors()
            reached = max(reached, decode(RunState, control.data).tick or 0)
    return reached + 1


def _met_at_checkpoints(judge: Judge[None], last: int | None, now: int | None) -> bool:
    return sum([len(judge.checkpoint(ended)) for ended in ticks_ended(last, now)]) > 0


def _events(store: RunStore) -> Iterator[dict[str, Any]]:
    row, first, end = store.first_row, store.first_row, store.next_row
    with following_cell("looking through events") as progress:
        while row < end:
            yield from store.event_dicts(row, min(row + CHUNK, end))
            row += CHUNK
            progress(min(row, end) - first, end - first)


def _links(event: dict[str, Any]) -> Links:
    return Links(event.get("sim_time"), event.get("event_id"), event.get("cause"))


class _Told(NamedTuple):
    """A snapshot, the row that follows it, and the epoch of its seq."""

    row: int
    epoch: str | None
    snapshot: Snapshot

    def is_before(self, event: dict[str, Any]) -> bool:
        """Return whether it is known at an event."""
        same = event["epoch"] == self.epoch
        return self.row <= event["row"] and not self.snapshot.includes(event["seq"], same_epoch=same)

    def seed(self, judge: Judge[None], tick: int) -> None:
        """Set what no event has said."""
        for one in self.snapshot.characters:
            judge.seed(str(one.character_id), one.state, one.location, one.attributes, tick)


def _snapshots(store: RunStore) -> Iterator[_Told]:
    for control in store.control_rows(0, store.next_row + 1):
        if control.type == MessageTypes.SNAPSHOT:
            with suppress(WebSocketError):  # as above
                yield _Told(control.row, control.epoch, decode(Snapshot, control.data))


def _raise(_: None, error: Exception) -> None:
    raise error
