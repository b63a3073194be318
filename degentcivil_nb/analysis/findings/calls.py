"""Helpers of the rules about calls of language models: groups of calls, and unusually large shares."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from .evidence import Evidence, Mask
from .finding import Finding, Severity
from .statistics import binomial_surprise, groups_of, two_shares_surprise

GROUPINGS: Final = {"model": "model", "prompt_type": "kind of prompt", "character_id": "character"}
Places = npt.NDArray[np.intp]


def call_groups(calls: pd.DataFrame) -> Iterator[tuple[str, str, Places]]:
    """Yield column, value and the indices of the calls of each group: by model, kind of prompt and character."""
    for column in GROUPINGS:
        for value, places in groups_of(calls[column]):
            yield column, value, places


@dataclass(frozen=True, slots=True)
class TellingGroup:
    """A group of calls of which far more are hit than of all others, since one of them."""

    column: str
    value: str
    hits: Places
    """The indices of the calls that are hit, since then."""
    of: int
    """How many calls the group has since then."""
    over: bool
    """Whether it ended: so many of the newest calls were hit by none that it is no chance."""

    @property
    def name(self) -> str:
        """Its name for a text."""
        return name_of_group(self.column, self.value)

    def text(self, calls: pd.DataFrame, what: str) -> str:
        """Say how many answers are hit and, unless it is a character, whose they are."""
        whose = [who for who, _ in Counter(calls["character_id"].iloc[self.hits].dropna().tolist()).most_common()]
        named = "" if self.column == "character_id" or not whose else f" (of {', '.join(map(str, whose[:SHOWN]))}"
        named += f" and {len(whose) - SHOWN:,} others)" if named and len(whose) > SHOWN else ")" if named else ""
        return f"{len(self.hits):,} of {self.of:,} answers of {self.name}{named} {what}"


MOST_TRIED: Final = 2_000
"""Calls of a group that are tried as the first of those that are hit."""
SHOWN: Final = 5
"""Characters that a text names at most."""


def telling_groups(
    calls: pd.DataFrame, hit: Mask, *, least: int, surprise: float, ratio: float, among: Mask | None = None
) -> list[TellingGroup]:
    """List the groups with far more hits than in the other calls, or than before; each call counts in one of them.

    `hit` is a mask over the calls: true for calls with the fault; `among` leaves out those that could not have it.
    """
    among = np.ones(len(calls), np.bool_) if among is None else among
    groups = [(column, value, places[among[places]]) for column, value, places in call_groups(calls)]
    count = int(among.sum())
    chances = math.log10(max(1, len(groups)))
    found = []
    for column, value, places in groups:
        score, since = _since(hit, places, count, least=least, ratio=ratio)
        if score - chances >= surprise and hit[places[since:]].any():
            found.append((score, column, value, places[since:]))
    chosen: list[TellingGroup] = []
    told = np.zeros(len(calls), np.bool_)
    for _, column, value, places in sorted(found, key=lambda item: -item[0]):
        hits = places[hit[places]]
        if told[hits].mean() < 0.5:  # most of them belong to a group that is reported already
            told[hits] = True
            after = int((places > hits[-1]).sum())
            share = len(hits) / (len(places) - after + 1)
            over = -after * math.log10(max(1 - share, 1e-9)) >= surprise
            chosen.append(TellingGroup(column, value, hits, len(places) - (after if over else 0), over))
    return chosen


def _since(hit: Mask, places: Places, count: int, *, least: int, ratio: float) -> tuple[float, int]:
    """Find since which call of a group most is hit, and how surprising that is; a surprise of 0 where nothing is.

    `count` calls are judged in all.
    """
    mine = hit[places]
    firsts = np.flatnonzero(mine)
    if len(firsts) < least:
        return 0.0, 0
    tries, total = math.log10(len(firsts)), int(hit.sum())
    best, at = 0.0, 0
    for number in range(0, len(firsts) - least + 1, 1 + len(firsts) // MOST_TRIED):
        first = int(firsts[number])
        hits, of = len(firsts) - number, len(places) - first
        rest = (total - hits + 1) / (count - of + 20)  # as if 20 more had been seen: a few prove little
        if hits / of >= ratio * rest:
            told_apart = two_shares_surprise(hits, of, total - hits, count - of)  # the others may be few themselves
            score = min(binomial_surprise(hits, of, rest), told_apart) - (tries if number else 0.0)
            if score > best:
                best, at = score, first
    return best, at


def about_group(
    evidence: Evidence,
    kind: str,
    severity: Severity,
    text: str,
    column: str,
    value: str,
    rows: list[int],
    until: int | None = None,
) -> Finding:
    """Make the finding about a group of calls."""
    owner = value if column == "character_id" else None
    return evidence.found(
        kind, severity, text, rows, until=until, character_id=owner, subject="" if owner else f"{column} {value}"
    )


def about_telling(evidence: Evidence, kind: str, group: TellingGroup, what: str) -> Finding:
    """Make the finding about a group of calls in which far more are hit than elsewhere."""
    rows = evidence.calls.index[group.hits].tolist()
    until = evidence.clock.time_of(rows[-1]) if group.over else None
    text = group.text(evidence.calls, what)
    return about_group(evidence, kind, "warning", text, group.column, group.value, rows, until)


def name_of_group(column: str, value: str) -> str:
    """Return the name of a group for a text: "model gpt-4", "kind of prompt PLAN", "emma"."""
    return value if column == "character_id" else f"{GROUPINGS[column]} {value}"
