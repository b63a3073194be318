"""Comparison of two runs: their counts, their first difference, and their characters."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..core.escaping import visible
from ..core.progress import Progress, following
from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode
from ..store.arguments import Names, names_of
from ..store.event_store import EventStore
from .reader import Reader

WALL_CLOCK: Final = ("timestamp", "latency_s")
"""Keys of payloads with times or durations by the wall clock."""
CHUNK: Final = 8_192
SHOWN: Final = 120
_OWN: Final = ("since", "last_seen")


class Divergence(NamedTuple):
    """The first difference of two runs."""

    place: int
    """The number of equal events before it."""
    tick: int | None
    a: dict[str, Any]
    b: dict[str, Any]
    """The two events, with `row`, `payload` and `data`."""
    differs: list[str]
    """What differs: `type`, `tick`, or keys of the payload."""


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs, `a` and `b`. Made by `compare`.

    Attributes
    ----------
    a, b : str
        Path or URL of each run.
    counts : pandas.DataFrame
        One row for each type of event: `a`, `b` and `difference` (b − a), int64.
    rates : pandas.DataFrame
        One row for each type: `a` and `b` in events per second over each run's own span, and `ratio` (b / a), float64.
    divergence : Divergence or None
        The first event that differs: `place` (how many events were the same before), `tick`, the events `a` and `b` as
        dicts, and `differs` (a list of what differs). `None` if all events that both hold are the same.
    compared : int
        How many pairs were compared, the first that differs included.
    only_a, only_b : int
        How many events have no counterpart in the other run: before it begins, after it ends, or in its gaps.
    aligned_by : {"seq", "order"}
        How the events were paired.
    characters : pandas.DataFrame
        One row for each character: `events_a`, `events_b` and `differences` (int64, how many attributes differ),
        `state_a`, `state_b`, `location_a`, `location_b` (text), and `differs` (bool).
    attributes : pandas.DataFrame
        One row for each attribute that differs: `character_id`, `attribute`, `a`, `b`.
    gaps : tuple of int
        How many gaps each run has; what is missing was not compared.
    """

    a: str
    b: str
    counts: pd.DataFrame
    """A row for each type: `a`, `b`, `difference` (b − a)."""
    rates: pd.DataFrame
    """A row for each type: events per second over each run's own span, and `ratio` (b / a)."""
    divergence: Divergence | None
    """The first event that differs, apart from wall clock times; `None` if all common events are equal."""
    compared: int
    """Events in both that were equal, or the first that differs."""
    only_a: int
    only_b: int
    """Events without a counterpart in the other: before it begins, after it ends, or in its gaps."""
    aligned_by: str
    """`seq`, or `order` if there are no seqs or several epochs."""
    characters: pd.DataFrame
    """A row for each character: events, state and location in each, and how many attributes differ."""
    attributes: pd.DataFrame
    """A row for each attribute that differs: `character_id`, `attribute`, `a`, `b`."""
    gaps: tuple[int, int]

    @property
    def same(self) -> bool:
        """Say whether the two runs hold the same events.

        Returns
        -------
        bool
            `False` also if one of them holds events that the other does not.

        Examples
        --------
        >>> dc.compare(recording, recording).same
        True
        """
        return self.divergence is None and not self.only_a and not self.only_b

    def __repr__(self) -> str:
        lines = [f"<Comparison of a = {visible(self.a)} and b = {visible(self.b)}"]
        lines.append(f"  events: {self.counts['a'].sum():,} and {self.counts['b'].sum():,}")
        found = self.divergence
        if found is None:
            lines.append(f"  the {self.compared:,} events that both hold are the same (aligned by {self.aligned_by})")
        else:
            at = "" if found.tick is None else f", tick {found.tick}"
            lines.append(f"  they differ after {found.place:,} events{at}, in {_short(', '.join(found.differs))}:")
            lines += [f"    {name}: {_event(event)}" for name, event in (("a", found.a), ("b", found.b))]
        if self.only_a or self.only_b:
            lines.append(f"  without a counterpart: {self.only_a:,} of a, {self.only_b:,} of b")
        if any(self.gaps):
            lines.append(f"  gaps: {self.gaps[0]:,} and {self.gaps[1]:,}; what is missing was not compared")
        changed = int(self.characters["differs"].sum())
        lines.append(f"  characters: {len(self.characters):,}, of which {changed:,} differ>")
        return "\n".join(lines)


def compare(
    a: Reader, b: Reader | None = None, *, ignore: Names = WALL_CLOCK, progress: Progress | None = None
) -> Comparison:
    """Compare two sessions or recordings: counts and rates by type, the first divergence, character by character.

    Events are compared one by one: their type, their tick, and their payload without the keys in `ignore`. They are
    paired by position where both runs have one epoch of positions, and in order otherwise.

    Parameters
    ----------
    a, b : Session or Recording
        The two runs.
    ignore : str or list-like of str, optional
        Keys of payloads that are not compared. Left out: those that tell the time on the wall, ``"timestamp"`` and
        ``"latency_s"``.
    progress : callable, optional
        Called with how many pairs are compared and how many there are. Left out, what takes over a second shows a bar.

    Returns
    -------
    Comparison
        What differs; printing it gives a summary.

    Raises
    ------
    TypeError
        If one of the two is neither a session nor a recording.

    Examples
    --------
    >>> with dc.start_local_server(seed=2, tick_s=0.01, paused=True) as town, dc.connect(town) as other:
    ...     _ = other.step(20)
    ...     found = dc.compare(recording, other)
    >>> found.same, found.aligned_by
    (False, 'seq')
    """
    a, b = _reader(a), _reader(b)
    ignored = frozenset(names_of(ignore) or ())
    frames = (a.events(), b.events())
    names = (_name(a), _name(b))
    rows_a, rows_b, aligned_by = _aligned(*frames)
    with following(f"comparing {visible(names[0])} and {visible(names[1])}", progress) as told:
        differ = _first_difference(a, b, frames, rows_a, rows_b, ignored, told)
    counts = _counts(*frames)
    characters, attributes = _characters(a, b, *frames)
    return Comparison(
        *names,
        counts=counts,
        rates=_rates(counts, *frames),
        divergence=None if differ is None else _divergence(a, b, rows_a, rows_b, differ, ignored),
        compared=len(rows_a) if differ is None else differ + 1,
        only_a=len(frames[0]) - len(rows_a),
        only_b=len(frames[1]) - len(rows_b),
        aligned_by=aligned_by,
        characters=characters,
        attributes=attributes,
        gaps=(len(a.gaps()), len(b.gaps())),
    )


def _reader(given: Any) -> Reader:
    if isinstance(given, Reader):
        return given
    if given is None:
        raise TypeError("compare takes two sessions or recordings; the second is missing")
    if isinstance(given, str | os.PathLike):
        path = os.fspath(given)
        raise TypeError(f"compare takes sessions or recordings, not a path: dc.open_recording({path!r}) opens one")
    raise TypeError(f"compare takes two sessions or recordings, not {type(given).__name__}")


def _name(reader: Any) -> str:
    return str(getattr(reader, "path", None) or getattr(reader, "url", None) or type(reader).__name__)


# --- the two sequences -------------------------------------------------------------------------------------------

Places = npt.NDArray[np.int64]


def _aligned(a: pd.DataFrame, b: pd.DataFrame) -> tuple[Places, Places, str]:
    """Pair the indices of corresponding events."""
    if all(len(frame) and frame["seq"].notna().all() and frame["epoch"].nunique() == 1 for frame in (a, b)):
        seqs_a, seqs_b = (frame["seq"].to_numpy(dtype=np.int64) for frame in (a, b))
        _, first, second = np.intersect1d(seqs_a, seqs_b, assume_unique=True, return_indices=True)
        return first, second, "seq"
    both = np.arange(min(len(a), len(b)))
    return both, both, "order"


def _first_difference(
    a: Reader,
    b: Reader,
    frames: tuple[pd.DataFrame, pd.DataFrame],
    rows_a: Places,
    rows_b: Places,
    ignore: frozenset[str],
    progress: Progress,
) -> int | None:
    """Return the index of the first pair that differs."""
    for start in range(0, len(rows_a), CHUNK):
        sides = []
        for reader, frame, places in ((a, frames[0], rows_a), (b, frames[1], rows_b)):
            part = frame.iloc[places[start : start + CHUNK]]
            ticks = part["tick"].astype("Int64").fillna(-1).tolist()
            payloads = _payloads(reader, part.index.tolist())
            sides.append(zip(part["type"].astype("object").tolist(), ticks, payloads, strict=True))
        for place, (one, other) in enumerate(zip(*sides, strict=True), start):
            if one == other:
                continue
            if one[:2] != other[:2] or not _alike(_read(one[2], ignore), _read(other[2], ignore)):
                return place
        progress(min(start + CHUNK, len(rows_a)), len(rows_a))
    return None


def _payloads(reader: Reader, rows: list[int]) -> list[Any]:
    """Return payloads as bytes, which are compared fastest, or decoded from a store that is not in memory."""
    store = reader._store
    return list(store.take_payloads(rows)) if isinstance(store, EventStore) else [reader.payload(row) for row in rows]


def _read(payload: Any, ignore: frozenset[str]) -> Any:
    try:
        value = decode(Any, payload) if isinstance(payload, bytes) else payload
    except WebSocketError:
        return payload
    return {key: item for key, item in value.items() if key not in ignore} if isinstance(value, dict) else value


def _alike(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except RecursionError:  # nested too deeply to compare
        return False


def _divergence(a: Reader, b: Reader, rows_a: Places, rows_b: Places, place: int, ignore: frozenset[str]) -> Divergence:
    events = []
    for reader, places in ((a, rows_a), (b, rows_b)):
        row = reader._store.first_row + int(places[place])
        (event,) = reader._store.event_dicts(row, row + 1)
        events.append(event)
    first, second = events
    differs = [name for name in ("type", "tick") if first[name] != second[name]]
    one, other = first["payload"], second["payload"]
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [key for key in {**one, **other} if key not in ignore]
        differs += [f"payload[{key!r}]" for key in keys if not _alike(one.get(key), other.get(key))]
    elif not _alike(one, other):
        differs.append("payload")
    tick = second["tick"] if first["tick"] is None else first["tick"]
    return Divergence(place, tick, first, second, differs)


# --- counts ------------------------------------------------------------------------------------------------------


def _counted(frame: pd.DataFrame, column: str) -> pd.Series:
    counts = frame[column].value_counts(sort=False)  # by category, in the order of first appearance
    counts.index = counts.index.astype("str")
    return counts[counts > 0]


def _counts(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    counts = _counted(a, "type"), _counted(b, "type")
    order = pd.Index(dict.fromkeys([*counts[0].index, *counts[1].index]), dtype="str", name="type")
    both = pd.DataFrame({"a": counts[0].reindex(order), "b": counts[1].reindex(order)}).fillna(0).astype("int64")
    both["difference"] = both["b"] - both["a"]
    return both


def _rates(counts: pd.DataFrame, a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    rates = pd.DataFrame({"a": counts["a"] / _span_s(a), "b": counts["b"] / _span_s(b)})
    rates["ratio"] = rates["b"] / rates["a"].where(rates["a"] > 0)
    return rates


def _span_s(frame: pd.DataFrame) -> float:
    span = (frame["time"].max() - frame["time"].min()).total_seconds() if len(frame) else 0.0
    return span if span > 0 else float("nan")


# --- characters --------------------------------------------------------------------------------------------------


def _characters(a: Reader, b: Reader, *frames: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    known: list[dict[Any, dict[Any, Any]]] = []
    for reader in (a, b):
        town = reader.characters()
        town = town.drop(columns=[name for name in _OWN if name in town])
        known.append(town.astype("object").to_dict("index"))
    events = [_counted(frame[frame["character_id"].notna()], "character_id").to_dict() for frame in frames]
    names = list(dict.fromkeys([*known[0], *known[1]]))
    rows, differences = [], []
    for name in names:
        one, other = (side.get(name, {}) for side in known)
        different = [key for key in {**one, **other} if not _same_value(one.get(key), other.get(key))]
        differences += [(name, key, _value(one.get(key)), _value(other.get(key))) for key in different]
        sides = [(events[i].get(name, 0), known[i].get(name, {})) for i in (0, 1)]
        rows.append(
            {
                **{f"events_{side}": count for side, (count, _) in zip("ab", sides, strict=True)},
                **{f"state_{side}": _value(about.get("state")) for side, (_, about) in zip("ab", sides, strict=True)},
                **{f"location_{side}": _value(at.get("location")) for side, (_, at) in zip("ab", sides, strict=True)},
                "differences": len(different),
                "differs": bool(different) or sides[0][0] != sides[1][0] or (name in known[0]) != (name in known[1]),
            }
        )
    columns = ["events_a", "events_b", "state_a", "state_b", "location_a", "location_b", "differences", "differs"]
    table = pd.DataFrame(rows, pd.Index(names, name="character_id", dtype="object"), columns)
    table = table.astype({"events_a": "int64", "events_b": "int64", "differences": "int64", "differs": "bool"})
    return table, pd.DataFrame(differences, columns=["character_id", "attribute", "a", "b"], dtype="object")


def _value(value: Any) -> Any:
    return None if value is None or value is pd.NA or (isinstance(value, float) and value != value) else value


def _same_value(one: Any, other: Any) -> bool:
    return _alike(_value(one), _value(other))


def _event(event: dict[str, Any]) -> str:
    return f"{_short(str(event['type']))} {_short(str(event['payload']))}"


def _short(text: str) -> str:
    text = visible(text[: SHOWN + 1])
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
