"""Meetings: what characters said to each other, and stays in one place at one time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from ..store.schema import NAT
from ..store.unknown import warn_user

MOST: Final = 1_000_000
"""The most meetings that are listed; a crowd that stays together for long has millions."""
FOREVER: Final = np.iinfo(np.int64).max


class Presence(NamedTuple):
    """A character in a place, with begin and end in nanoseconds; the end is `FOREVER` if it is still there."""

    character_id: str
    location: str
    start: int
    end: int


class _Meeting(NamedTuple):
    character_id: str
    other: str
    location: str | None
    start: int
    end: int
    how: str


def presences(stays: pd.DataFrame) -> list[Presence]:
    """Join the stays of each character in one place; an end that a gap hides is set to the last stay's beginning."""
    frame = stays.sort_values(["character_id", "start"], kind="stable") if len(stays) else stays
    times = (frame[name].to_numpy("M8[ns]").astype(np.int64).tolist() for name in ("start", "end"))
    rows = zip(frame["character_id"].astype("object"), frame["location"].astype("object"), *times, strict=True)
    found: list[Presence] = []
    known = 0  # when the last stay began, until which the presence is known at least
    for who, where, start, end in rows:
        if found and found[-1].character_id == who and found[-1].end == FOREVER:
            found[-1] = found[-1]._replace(end=known)  # another stay follows, so its end was lost
        known = start
        if not isinstance(where, str):
            continue
        until = FOREVER if end == NAT else end
        last = found[-1] if found else None
        if last is not None and (last.character_id, last.location, last.end) == (who, where, start):
            found[-1] = last._replace(end=until)
        else:
            found.append(Presence(who, where, start, until))
    return found


def _together(there: list[Presence], wanted: Collection[str] | None) -> Iterator[_Meeting]:
    """Yield the pairs of presences in one place that overlap, in the order in which they began."""
    present: dict[str, list[Presence]] = {}
    for one in sorted(there, key=lambda presence: presence.start):
        others = [other for other in present.get(one.location, ()) if other.end > one.start]
        for other in others:
            pair = {one.character_id, other.character_id}
            if len(pair) == 2 and (wanted is None or not pair.isdisjoint(wanted)):
                end = min(one.end, other.end)
                yield _Meeting(other.character_id, one.character_id, one.location, one.start, end, "place")
        present[one.location] = [*others, one]


def _spoken(chat: pd.DataFrame, there: list[Presence], wanted: Collection[str] | None) -> Iterator[_Meeting]:
    places: dict[str, list[Presence]] = {}
    for one in there:
        places.setdefault(one.character_id, []).append(one)
    times = chat["time"].to_numpy("M8[ns]").astype(np.int64).tolist()
    for speaker, receivers, time in zip(chat["character_id"].astype("object"), chat["receivers"], times, strict=True):
        if not isinstance(speaker, str) or not isinstance(receivers, list):
            continue
        where = next((at.location for at in places.get(speaker, ()) if at.start <= time < at.end), None)
        for receiver in map(str, receivers):
            if receiver != speaker and (wanted is None or not {speaker, receiver}.isdisjoint(wanted)):
                yield _Meeting(speaker, receiver, where, time, time, "chat")


def meeting_table(
    stays: pd.DataFrame,
    chat: pd.DataFrame,
    names: Collection[str] | None,
    others: Collection[str] | None,
    since: pd.Timestamp | None,
    until: pd.Timestamp | None,
) -> pd.DataFrame:
    """Return the frame of `meetings()`; a character that was asked for comes first in its rows."""
    there = presences(stays)
    wanted = names if names is not None else others
    after = NAT if since is None else since.value
    before = FOREVER if until is None else until.value
    found: list[_Meeting] = []
    for source in (_together(there, wanted), _spoken(chat, there, wanted)):
        for meeting in source:
            if names is not None and meeting.character_id not in names:
                meeting = meeting._replace(character_id=meeting.other, other=meeting.character_id)
            if others is not None and meeting.other not in others:
                meeting = meeting._replace(character_id=meeting.other, other=meeting.character_id)
            fits = (names is None or meeting.character_id in names) and (others is None or meeting.other in others)
            if fits and meeting.end >= after and meeting.start < before:
                found.append(meeting)
            if len(found) >= MOST:
                warn_user(f"only the first {MOST:,} meetings are listed: ask for fewer characters, or a shorter time")
                break
    found.sort(key=lambda meeting: meeting.start)
    columns: dict[str, list[Any]] = {name: [getattr(one, name) for one in found] for name in _Meeting._fields}
    frame = pd.DataFrame(
        {name: pd.Series(columns[name], dtype="str") for name in ("character_id", "other", "location")}
    )
    ends = [NAT if end == FOREVER else end for end in columns["end"]]
    for name, values in (("start", columns["start"]), ("end", ends)):
        frame[name] = pd.DatetimeIndex(np.array(values, np.int64).astype("M8[ns]")).tz_localize("UTC")
    return frame.assign(how=pd.Series(columns["how"], dtype="str"))
