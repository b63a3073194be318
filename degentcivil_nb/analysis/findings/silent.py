"""Characters without events, although they had some before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from .evidence import Evidence
from .finding import Finding, told_once
from .statistics import OVER, outliers, usual
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
    table = _silences(evidence)
    if not len(table):
        return
    lengths, done = table["length"].to_numpy(float), ~table["open"].to_numpy(bool)
    states, who = table["state"].to_numpy(object), table["character_id"].to_numpy(object)
    spoken = table["before"].to_numpy()
    found = []
    kinds = pd.factorize(states)[0]
    for at, limit in outliers(lengths, kinds, done, factor):
        more = OVER if done[at] else 1.0
        if lengths[at] <= more * least or spoken[at] < messages:
            continue
        same = kinds == kinds[at]
        if int((same & ~done).sum()) > max(1, int((same & done).sum())):
            continue
        mine = done & (who == who[at])
        mine[at] = False
        limit = max(limit, usual(lengths[mine])) if mine.any() else limit
        rests = not done[at] and not evidence.goes_on_without(
            who[at], float(table["moment"].iloc[at]) + lengths[at] / 2
        )
        if lengths[at] > more * factor * limit and not rests and not _waits(evidence, table.iloc[at]):
            found.append((at, limit))
    if len({who[at] for at, _ in found}) > max(1.0, CROWD * len(set(who))):
        return
    told = [_told(evidence, table.iloc[at], limit) for at, limit in found]
    yield from told_once(told, len(set(who)), "are silent for far longer than is usual")


def _waits(evidence: Evidence, silence: pd.Series) -> bool:
    """Return whether the last event is a call that took far longer than usual; `waiting_for_model` reports that."""
    calls = evidence.calls
    if not len(calls):
        return False
    latency = calls["latency_s"].to_numpy(float, na_value=0.0)
    mine = (calls["character_id"].to_numpy(object) == silence["character_id"]) & (calls.index <= silence["row"])
    last = np.flatnonzero(mine & (calls["moment"].to_numpy(float) >= silence["moment"]))
    return bool(len(last)) and float(latency[last].max()) > SLOW * float(np.median(latency))


def _told(evidence: Evidence, silence: pd.Series, limit: float) -> Finding:
    who = silence["character_id"]
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


def _silences(evidence: Evidence) -> pd.DataFrame:
    """List the silences of all characters: from each of their events to the next; the last silence is open."""
    named = evidence.events["character_id"].cat.codes.to_numpy()
    at = np.flatnonzero(named >= 0)
    at = at[np.argsort(named[at], kind="stable")]
    who = named[at]
    if not len(at):
        return pd.DataFrame()
    last = np.append(who[1:] != who[:-1], True)
    moments = evidence.moments[at]
    ends = np.where(last, evidence.now, np.append(moments[1:], 0.0))
    starts = np.flatnonzero(np.concatenate([[True], who[1:] != who[:-1]]))
    before = np.arange(len(at)) - np.repeat(starts, np.diff(np.append(starts, len(at)))) + 1
    table = pd.DataFrame(
        {
            "character_id": evidence.events["character_id"].cat.categories.to_numpy(object)[who],
            "state": _states(evidence, at, who),
            "moment": moments,
            "length": ends - moments,
            "open": last,
            "before": before,
            "row": evidence.rows[at],
            "since": evidence.times[at],
            "until": evidence.times[np.append(at[1:], 0)],
        }
    )
    return table[~(table["open"] & table["character_id"].isin(evidence.gone))].reset_index(drop=True)


def _states(evidence: Evidence, at: np.ndarray, who: np.ndarray) -> pd.Series:
    """Return the state of each event's character at that moment, "" if it is unknown."""
    states = pd.Series(evidence.events["state"].astype(object).to_numpy()[at])
    return states.groupby(who).ffill().fillna("")
