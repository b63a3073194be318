"""A single finding, and the table of many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import pandas as pd

Severity = Literal["error", "warning", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "info")
MOST_ROWS: Final = 100
"""The most rows that a finding lists as evidence; the text says how many there are in all."""
COLUMNS: Final = ("kind", "severity", "character_id", "since", "until", "since_tick", "rows", "text")


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault in a run: its kind, its character, its beginning, and the events that show it."""

    kind: str
    severity: Severity
    text: str
    rows: Sequence[int]
    since: int
    """When the fault began, in nanoseconds since 1970."""
    until: int | None = None
    """When the fault was over; None if it goes on."""
    since_tick: int | None = None
    character_id: str | None = None
    subject: str = ""
    """What else the fault is about, such as a model: findings of one kind, character and subject are joined."""


def fold(findings: Iterable[Finding]) -> list[Finding]:
    """Join the findings of one kind, character and subject, from the begin of the earliest to the end of the latest."""
    groups: dict[tuple[str, str | None, str], list[Finding]] = {}
    for found in findings:
        groups.setdefault((found.kind, found.character_id, found.subject), []).append(found)
    return [_joined(sorted(group, key=lambda found: found.since)) for group in groups.values()]


def _joined(group: list[Finding]) -> Finding:
    first, last = group[0], group[-1]
    if len(group) == 1:
        return first
    ends = [found.until for found in group]
    severity = min((found.severity for found in group), key=SEVERITIES.index)
    until = None if None in ends else max(end for end in ends if end is not None)
    rows = list(dict.fromkeys(row for found in group for row in found.rows))
    text = f"{last.text} ({len(group)} times in all)"
    return replace(first, severity=severity, until=until, rows=rows, text=text)


def finding_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """Make the frame of `findings()`: sorted by severity, those that go on first, then the newest."""
    sort = lambda found: (SEVERITIES.index(found.severity), found.until is not None, -found.since)  # noqa: E731
    rows = sorted(findings, key=sort)
    until = np.array([np.iinfo(np.int64).min if found.until is None else found.until for found in rows], np.int64)
    return pd.DataFrame(
        {
            "kind": pd.Series([found.kind for found in rows], dtype="str"),
            "severity": pd.Categorical([found.severity for found in rows], SEVERITIES, ordered=True),
            "character_id": pd.Series([found.character_id for found in rows], dtype="str"),
            "since": pd.DatetimeIndex(np.array([found.since for found in rows], "M8[ns]")).tz_localize("UTC"),
            "until": pd.DatetimeIndex(until.view("M8[ns]")).tz_localize("UTC"),
            "since_tick": pd.array([found.since_tick for found in rows], dtype="Int64"),
            "rows": pd.Series([list(found.rows[:MOST_ROWS]) for found in rows], dtype="object"),
            "text": pd.Series([found.text for found in rows], dtype="str"),
        },
        columns=list(COLUMNS),
    )


CROWD: Final = 10
"""The number of characters from which on, if they are also over a tenth of all, the same finding is listed once."""


def told_once(findings: Iterable[Finding], characters: int, what: str) -> list[Finding]:
    """Join findings that more characters share than a person would read; `what` says what they share."""
    found = list(findings)
    whose = list(dict.fromkeys(one.character_id for one in found if one.character_id is not None))
    if len(whose) <= max(CROWD, characters / 10):
        return found
    first = min(found, key=lambda one: one.since)
    goes_on = any(one.until is None for one in found)
    until = None if goes_on else max(one.until or 0 for one in found)
    rows = list(dict.fromkeys(row for one in found for row in one.rows))
    names = ", ".join(str(name) for name in whose[:5])
    text = f"{len(whose):,} of {characters:,} characters {what}: {names} …"
    return [replace(first, severity="info", character_id=None, until=until, rows=rows, text=text)]
