"""Characters without events, although they had some before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from .evidence import Evidence
from .finding import Finding, told_once
from .silences import silences
from .spans import long_spans
from .statistics import OVER
from .stuck import SLOW

KIND: Final = "silent"
CROWD: Final = 0.5
"""The share of characters from which on a silence at the same time counts as the town's."""


def silent(evidence: Evidence, *, least: float = 20, factor: float = 5.0, messages: int = 5) -> Iterator[Finding]:
    """Find silences far longer than others in the same state.

    Parameters
    ----------
    evidence : Evidence
        The run.
    least : float
        Silences up to this long, in ticks (seconds for a run without ticks), are never reported.
    factor : float
        How many times as long as a usual long silence in that state (the 95 % quantile) a silence must be. For silences
        that are over, `least` and `factor` count twice.
    messages : int
        How many events a character must have had before.
    """
    spans = long_spans(lambda: silences(evidence, least), least, factor)
    if spans is None:
        return
    table, counts = spans.kept, spans.lengths
    open_ones = table["kind"][table["open"]].value_counts().to_dict()
    whose = len({*counts.who.tolist(), *table["who"].tolist()})
    found = []
    for at, limit in spans.outliers():
        silence = table.iloc[at]
        length, goes_on = float(silence["length"]), bool(silence["open"])
        more = 1.0 if goes_on else OVER
        if length <= more * least or silence["before"] < messages:
            continue
        if open_ones.get(silence["kind"], 0) > max(1, len(counts.of_kind(int(silence["kind"])))):
            continue
        mine = counts.of(int(silence["who"]))
        mine = mine if goes_on else mine.without(length)
        limit = max(limit, mine.usual) if len(mine) else limit
        who = evidence.names("character_id")[int(silence["who"])]
        rests = goes_on and not evidence.goes_on_without(who, float(silence["moment"]) + length / 2)
        if length > more * factor * limit and not rests and not _waits(evidence, silence, who):
            found.append((who, silence, limit))
    if len({who for who, *_ in found}) > max(1.0, CROWD * whose):
        return
    told = [_told(evidence, who, silence, limit) for who, silence, limit in found]
    yield from told_once(told, whose, "are silent for far longer than is usual")


def _waits(evidence: Evidence, silence: pd.Series, who: str) -> bool:
    """Whether the last that was heard is a call that took far longer than usual: the stay says so."""
    calls = evidence.calls_by_character
    mine = calls.of(who)
    last = (calls.rows[mine] <= silence["row"]) & (calls.moments[mine] >= silence["moment"])
    took = np.nan_to_num(calls.latency[mine][last])
    return bool(len(took)) and float(took.max()) > SLOW * calls.usual_with_unknown


def _told(evidence: Evidence, who: str, silence: pd.Series, limit: float) -> Finding:
    goes_on = bool(silence["open"])
    verb = "Nothing is heard of" if goes_on else "Nothing was heard of"
    text = f"{verb} {who} for {evidence.span(silence['length'])}; a long silence is {evidence.span(limit)}"
    until = None if goes_on else int(silence["until"])
    return evidence.found(
        KIND,
        "error" if goes_on else "warning",
        text,
        [int(silence["row"])],
        since=int(silence["since"]),
        until=until,
        character_id=who,
    )
