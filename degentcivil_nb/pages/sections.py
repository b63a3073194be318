"""The sections of a page about a run at a moment; a capped list says how many of how many are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd

from ..analysis.answers import JUDGED, usual_kinds, with_malformed
from ..analysis.run_events import described
from ..core.counting import counted
from ..figures.parts import bucket_s
from ..protocol.json_text import encode
from ..protocol.messages import MessageTypes
from ..store.error_names import error_names
from ..store.llm import LLM_TYPES
from ..store.moments import RowMoment
from .lanes import lanes
from .parts import Part, Picture, Remark, Section, Table, Text, cell, number, records, table_of
from .strip import BUCKETS, strip
from .town_map import town_map

TOWN: Final = 1_000
ATTRIBUTES: Final = 14
BEFORE: Final = 36
"""How many events before a moment are shown, and after it a third of them."""
CALLS: Final = 20
PROMPT: Final = 8_000
"""The most characters of a prompt or an answer."""
NOTES: Final = 40
ERRORS: Final = 300
PIECE: Final = 200_000
"""How many errors are looked at together."""
TICKS: Final = 50
"""How many ticks before the moment the timeline reaches back, and a fifth of them after it."""
SPAN_S: Final = 60
SECOND: Final = 1_000_000_000


StaysBetween = Callable[[int, int], pd.DataFrame]
"""What gives the stays, as `timeline()` does, between two times in nanoseconds since 1970, or more of them."""


class Rows(Protocol):
    """The rows of a run: a store, or the reader of a panel."""

    @property
    def first_row(self) -> int: ...
    @property
    def next_row(self) -> int: ...
    def moment_of(self, row: int) -> RowMoment: ...
    def row_at(self, *, tick: int | None = None, at: Any = None) -> int | None: ...
    def rows_of(self, types: Sequence[str] | None, start: int = 0, stop: int | None = None) -> Sequence[int]: ...
    def frame_of(self, rows: Sequence[int]) -> pd.DataFrame: ...
    def calls_of(self, rows: Sequence[int]) -> pd.DataFrame: ...
    def payload(self, row: int) -> Any: ...
    def take_payloads(self, rows: Sequence[int]) -> list[bytes]: ...
    def rates(self, every: str = "1s", by: str = "type") -> pd.DataFrame: ...
    def gaps(self) -> pd.DataFrame: ...


class Run(Protocol):
    """The questions that pages ask of a session or a recording beside those of its store."""

    def findings(self) -> pd.DataFrame: ...
    def breakpoints(self) -> pd.DataFrame: ...
    def stops(self) -> pd.DataFrame: ...


def whole_run(store: Rows, moment: int | None) -> Section:
    """Draw the whole run as a strip, with a line at the moment (nanoseconds)."""
    if store.next_row <= store.first_row:
        return Section("The whole run", [Remark("No event yet.")])
    first, last = store.moment_of(store.first_row).time, store.moment_of(store.next_row - 1).time
    width = bucket_s(np.datetime64(first, "ns"), np.datetime64(last, "ns"), BUCKETS)
    picture = strip(store.rates(f"{width}s", "type"), width, store.gaps(), moment)
    return Section("The whole run", [Remark("No event yet.") if picture is None else picture])


def town(characters: pd.DataFrame, places: pd.DataFrame, most: int = TOWN) -> Section:
    """Draw the map, and list the characters with their attributes."""
    if not len(characters):
        return Section("Town", [Remark("No character is known at this moment.")])
    picture = town_map(characters, places)
    parts: list[Part] = [] if picture is None else [picture]
    return Section("Town", [*parts, *town_table(characters, most)])


def town_table(characters: pd.DataFrame, most: int) -> list[Part]:
    """List characters; if there are many attributes, those that differ most come first."""
    own = [name for name in ("state", "location", "since") if name in characters]
    told = [name for name in characters.columns if name not in (*own, "last_seen")]
    kinds = {name: characters[name].astype(str).nunique() for name in told}
    told.sort(key=lambda name: (kinds[name] < 2, not pd.api.types.is_numeric_dtype(characters[name].dtype)))
    table = table_of(
        characters.rename_axis("character_id").iloc[:most],
        ["character_id", *own, *told[:ATTRIBUTES]],
        len(characters),
        "character",
        which="first",
    )
    if len(told) <= ATTRIBUTES:
        return [table]
    return [table, Remark(f"{ATTRIBUTES} of {len(told):,} attributes are shown; session.characters() has all.")]


def events_around(store: Rows, row: int | None, most: int = BEFORE) -> Section:
    """List the events around a moment, or the newest ones."""
    first, stop = store.first_row, store.next_row
    last = stop - 1 if row is None else row
    rows = range(max(first, last + 1 - most), min(stop, last + 1 + most // 3))
    if not len(rows):
        return Section("Events", [Remark("No event yet.")])
    table = event_table(store, rows, stop - first)
    marked = None if row is None else last - rows[0]
    return Section("Events", [Table(*table[:3], "event", table[3], "around this moment", marked)])


def event_table(store: Rows, rows: Sequence[int], total: int) -> tuple[list[str], list[list[str]], int, frozenset[str]]:
    """Return a table of events with descriptions: columns, rows, the number of events, and the columns of numbers."""
    frame = store.frame_of(rows)
    columns = ["row", "tick", "time", "type", "what"]
    payloads = {row: _payload(store, row) for row in frame.index.tolist()}
    listed = [
        [
            number(event.Index), cell(event.tick), cell(event.time), cell(event.type),
            described(str(event.type), cell(event.character_id) or None, payloads[event.Index]),
        ]
        for event in records(frame)
    ]  # fmt: skip
    return columns, listed, total, frozenset({"row", "tick"})


def _payload(store: Rows, row: int) -> Any:
    try:
        return store.payload(row)
    except KeyError:  # it was evicted meanwhile
        return None


def timeline_around(
    store: Rows, stays: StaysBetween, row: int | None, first: Iterable[str], gaps: pd.DataFrame, most: int
) -> Section:
    """Draw the states of characters some ticks before a moment, and what came next."""
    if store.next_row <= store.first_row:
        return Section("Timeline", [Remark("No stay yet.")])
    at = store.moment_of(store.next_row - 1 if row is None else row)
    start, end = _span(store, at.tick, at.time)

    errors, all_errors = _errors_between(store, start, end)
    picture = lanes(
        stays(start, end), start, end, None if row is None else at.time,
        gaps=gaps, errors=errors, all_errors=all_errors, first=list(first), most=most,
    )  # fmt: skip
    return Section("Timeline", [Remark("No stay in this time.") if picture is None else picture])


def _span(store: Rows, tick: int | None, time: int) -> tuple[int, int]:
    """Return the times between which a timeline is drawn."""
    first, last = store.moment_of(store.first_row).time, store.moment_of(store.next_row - 1).time
    start, end = time - SPAN_S * SECOND, time + SPAN_S // 5 * SECOND
    if tick is not None:
        before, after = store.row_at(tick=tick - TICKS), store.row_at(tick=tick + TICKS // 5)
        start = first if before is None else store.moment_of(before).time
        end = time if after is None else store.moment_of(after).time
    start, end = max(first, min(start, time)), min(last, max(end, time))
    return start, max(end, start + SECOND // 10)


def _errors_between(store: Rows, start: int, end: int) -> tuple[pd.DataFrame, int]:
    """Return the newest errors between two times, and how many there are."""
    rows = store.rows_of((MessageTypes.ERROR,))
    found, total = [], 0
    for first in range(0, max(1, len(rows)), PIECE):  # of a long run, all errors would not fit into memory
        frame = store.frame_of(rows[first : first + PIECE])
        times = frame["time"].to_numpy("M8[ns]").astype(np.int64)
        between = frame[(times >= start) & (times <= end)]
        total += len(between)
        found.append(between.tail(ERRORS))
    return pd.concat(found).tail(ERRORS) if len(found) > 1 else found[0], total


def calls_around(store: Rows, row: int | None, most: int = CALLS) -> Section:
    """List the calls of language models up to a moment, the newest last, each with its prompt and its answer."""
    stop = store.next_row if row is None else row + 1
    before = store.rows_of(LLM_TYPES, 0, stop)
    after = store.rows_of(LLM_TYPES, stop)[: most // 5]
    everything = store.rows_of(LLM_TYPES)
    total = len(everything)
    rows = [int(number) for number in [*before[-most:], *after]]
    if not rows:
        return Section("LLM calls", [Remark("No call of a language model is held.")])
    calls = with_malformed(store.calls_of(rows), usual_kinds(store.calls_of(everything[-JUDGED:])))
    calls["malformed"] = calls["malformed"].map({True: "malformed"})
    columns = ["row", "tick", "time", "character_id", "prompt_type", "malformed", "error", "model", "latency_s"]
    columns += ["prompt_tokens", "completion_tokens", "cost_usd"]
    marked = len(before[-most:]) - 1 if after is not None and len(after) and len(before) else None
    table = table_of(calls, columns, total, "call", which="around this moment", marked=marked)
    return Section("LLM calls", [table, *(part for call in records(calls) for part in _call_texts(call))])


def _call_texts(call: Any) -> list[Part]:
    who = f"row {call.Index:,}, {cell(call.character_id) or 'nobody'}, {cell(call.prompt_type) or 'unknown type'}"
    told = [
        f"{what}:\n{cut_text(value)}"
        for what, value in (("Prompt", call.prompt), ("Answer", call.response))
        if cell(value)
    ]
    return [Text(who, "\n\n".join(told))] if told else []


def cut_text(value: Any, cap: int = PROMPT) -> str:
    """Return a text, or a value as JSON text, cut to `cap` characters; the end says how many of how many are shown."""
    text = value if isinstance(value, str) else _pretty(value)
    return text if len(text) <= cap else f"{text[:cap]}\n… {cap:,} of {len(text):,} characters are shown"


def _pretty(value: Any) -> str:
    import msgspec

    return msgspec.json.format(encode(value), indent=2).decode("utf-8", "backslashreplace")


def chat_around(store: Rows, row: int | None, most: int = NOTES) -> Section:
    """List the chat messages up to a moment."""
    rows = store.rows_of((MessageTypes.CHAT_MESSAGE,), 0, store.next_row if row is None else row + 1)
    if not len(rows):
        return Section("Chat", [])
    total = len(store.rows_of((MessageTypes.CHAT_MESSAGE,)))
    columns, listed, _, numbers = event_table(store, list(rows[-most:]), total)
    return Section("Chat", [Table(columns, listed, total, "message", numbers, "up to this moment")])


def errors_until(store: Rows, row: int | None, most: int = NOTES) -> Section:
    """List the errors up to a moment, and count those of the whole run by code."""
    rows = store.rows_of((MessageTypes.ERROR,), 0, store.next_row if row is None else row + 1)
    everything = store.rows_of((MessageTypes.ERROR,))
    if not len(everything):
        return Section("Errors", [Remark("No error in the events held.")])
    frame = store.frame_of([int(number) for number in rows[-most:]])
    shown = frame.assign(name=[name or "" for name in error_names(store, frame)])
    table = table_of(
        shown, ["row", "tick", "time", "character_id", "code", "name", "message"], len(everything), "error",
        which="up to this moment",
    )  # fmt: skip
    return Section("Errors", [table])


def findings_of(found: pd.DataFrame, most: int = 100) -> Section:
    """List what is wrong in the whole run."""
    if not len(found):
        return Section("Findings", [Remark("Nothing was found in the events held.")])
    frame = found.assign(rows=[_first(rows) for rows in found["rows"]])
    columns = ["severity", "kind", "character_id", "since_tick", "since", "until", "text", "rows"]
    table = table_of(frame.head(most), columns, len(found), "finding", which="severest")
    return Section("Findings", [table, Remark("Findings are about the whole run held, not about this moment alone.")])


def _first(rows: Sequence[int], most: int = 5) -> str:
    more = f" and {len(rows) - most:,} more" if len(rows) > most else ""
    return ", ".join(map(str, rows[:most])) + more


def gaps_of(gaps: pd.DataFrame, most: int = 100) -> Section:
    """List the gaps."""
    if not len(gaps):
        return Section("Gaps", [Remark("Nothing is missing in the events held.")])
    columns = ["row", "time", "epoch", "from_seq", "to_seq", "reason"]
    return Section("Gaps", [table_of(gaps.tail(most), columns, len(gaps), "gap", which="newest")])


def stops_of(run: Run, most: int = 50) -> Section:
    """List the breakpoints as they were last published, and the stops of the run."""
    breakpoints, stops = run.breakpoints(), run.stops()
    parts: list[Part] = []
    if len(breakpoints):
        columns = ["name", "condition", "owner", "enabled", "verified", "hits", "problem", "last_tick"]
        parts.append(table_of(breakpoints.head(most), columns, len(breakpoints), "breakpoint", which="first"))
    if len(stops):
        columns = ["time", "stopped", "name", "condition", "character_id", "matched"]
        parts.append(table_of(stops.tail(most), columns, len(stops), "stop", which="newest"))
    return Section("Breakpoints", parts or [Remark("No breakpoint was set.")])


def pictures_of(section: Section) -> list[Picture]:
    """Return the drawings of a section."""
    return [part for part in section.parts if isinstance(part, Picture)]


def shown_of(table: Table) -> str:
    """Return a text on how many rows are shown of how many."""
    if len(table.rows) >= table.total:
        return counted(table.total, table.what)
    return f"{len(table.rows):,} of {counted(table.total, table.what)}" + (f", {table.which}" if table.which else "")
