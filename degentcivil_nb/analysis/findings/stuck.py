"""Characters that stay in one state or place far longer than is usual there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from .evidence import SECOND, Evidence, Mask, nanoseconds
from .finding import Finding, told_once
from .statistics import OVER, Outlier, outliers, usual

KIND: Final = "stuck"
WAITING: Final = "waiting_for_model"


def stuck(evidence: Evidence, *, least: float = 20, factor: float = 5.0) -> Iterator[Finding]:
    """Find stays far longer than the other stays in the same state, or in any place.

    Parameters
    ----------
    evidence : Evidence
        The run.
    least : float
        Stays up to this long, in ticks (seconds for a run without ticks), are never reported.
    factor : float
        How many times as long as a usual long stay in that state (the 95 % quantile) a stay must be. For stays that are
        over, `least` and `factor` count twice.
    """
    found = [stay.finding for stay in long_stays(evidence, least, factor) if not stay.waiting]
    yield from told_once(
        found, evidence.stays["character_id"].nunique(), "stay far longer than is usual where they are"
    )


def waiting_for_model(evidence: Evidence, *, least: float = 20, factor: float = 5.0) -> Iterator[Finding]:
    """Find stays as `stuck` does in which the character waits for an answer of the model.

    For a stay that is over, the latency of a call shows that. For a stay that goes on, it is derived: nearly all other
    stays in that state contain a call of their character, and this one has none yet.
    """
    found = [stay.finding for stay in long_stays(evidence, least, factor) if stay.waiting]
    yield from told_once(found, evidence.stays["character_id"].nunique(), "wait for the model")


class LongStay:
    """A stay that is far too long, and whether it waits for a model."""

    def __init__(self, finding: Finding, waiting: bool) -> None:
        self.finding = finding
        self.waiting = waiting


def long_stays(evidence: Evidence, least: float, factor: float) -> list[LongStay]:
    """List the stays in a state that are far too long; for characters without states, the stays in a place."""
    in_states = merged(evidence.stays, "state")
    found = [
        _told(evidence, in_states, at, "state", limit)
        for at, limit in _too_long(in_states, "state", least, factor)
        if _alone(evidence, in_states, at)
    ]
    known = {stay.finding.character_id for stay in found}
    in_places = merged(evidence.stays.dropna(subset=["location"]), "location")
    places = [found for found in _too_long(in_places, None, least, factor) if _alone(evidence, in_places, found.at)]
    crowd = max(1.0, CROWD * in_places["character_id"].nunique())
    if len({in_places["character_id"].iat[at] for at, _ in places}) > crowd:
        return found
    return found + [
        _told(evidence, in_places, at, "location", limit)
        for at, limit in places
        if in_places["character_id"].iat[at] not in known
    ]


CROWD: Final = 0.3
"""The share of characters up to which staying in a place is reported; if more stay, that is normal in this town."""


def merged(stays: pd.DataFrame, column: str) -> pd.DataFrame:
    """Join the stays of a character that follow each other with the same value of a column."""
    stays = stays.sort_values(["character_id", "since"], kind="stable")
    who, what = stays["character_id"].to_numpy(object), stays[column].to_numpy(object)
    starts = np.flatnonzero(
        np.concatenate([[True], (who[1:] != who[:-1]) | (what[1:] != what[:-1])]) if len(stays) else np.zeros(0, bool)
    )
    ends = np.append(starts[1:], len(stays)) - 1
    joined = stays.iloc[starts].reset_index(drop=True)
    for name in ("end", "ended", "open"):
        joined[name] = stays[name].to_numpy()[ends[: len(starts)]]
    joined["length"] = joined["end"] - joined["start"]
    return joined


def _too_long(stays: pd.DataFrame, by: str | None, least: float, factor: float) -> Iterator[Outlier]:
    """Yield the stays that are too long in their state, or, without `by`, in a place."""
    lengths, who = stays["length"].to_numpy(float), stays["character_id"].to_numpy(object)
    done = ~stays["open"].to_numpy(bool)
    kinds = pd.factorize(stays[by])[0] if by is not None else np.zeros(len(stays), np.intp)
    for found in outliers(lengths, kinds, done, factor):
        more = OVER if done[found.at] else 1.0
        if lengths[found.at] <= more * least:
            continue
        others = done & (kinds == kinds[found.at])
        others[found.at] = False
        if not _comes_back(others, who, who[found.at], own=by is None):
            continue
        if by is None:  # a place: some characters are at home in theirs
            found = Outlier(found.at, max(found.limit, usual(lengths[others & (who == who[found.at])])))
        if lengths[found.at] > more * factor * found.limit:
            yield found


def _alone(evidence: Evidence, stays: pd.DataFrame, at: int) -> bool:
    """Return whether others went on during this stay, and the character itself ever did anything else."""
    stay = stays.iloc[at]
    only = int((stays["character_id"].to_numpy(object) == stay["character_id"]).sum()) == 1
    if only and stay["start"] <= evidence.moments[0] + 1 and int(stay["since"]) >= int(evidence.times[0]):
        return False  # such as an agent that never gets any input; a character of a snapshot may have changed before
    return not stay["open"] or evidence.goes_on_without(
        str(stay["character_id"]), float(stay["start"]) + float(stay["length"]) / 2
    )


def _comes_back(others: Mask, who: npt.NDArray[np.object_], mine: str, *, own: bool) -> bool:
    """Return whether characters leave this state and come back; states such as "dead" are never left."""
    if own and int((others & (who == mine)).sum()) < 3:
        return False
    return int(others.sum()) >= 1.5 * len(set(who[others]))


def _told(evidence: Evidence, stays: pd.DataFrame, at: int, column: str, limit: float) -> LongStay:
    stay = stays.iloc[at]
    who, word = stay["character_id"], str(stay[column])
    until = None if stay["open"] else int(stay["ended"])
    rows = evidence.rows_of(who, int(stay["since"]), until)
    call = _waits(evidence, stays, at) if column == "state" else None
    what = f"in state {word}" if column == "state" else f"in {word}"
    if call is not None:
        text = f"{who} waits for the model, {what} for {evidence.span(stay['length'])}: {call}"
    else:
        usually = f"a long stay there lasts {evidence.span(limit)}"
        text = f"{who} is {what} for {evidence.span(stay['length'])}; {usually}"
    if until is not None:
        text = text.replace(f"{who} is ", f"{who} was ", 1).replace(f"{who} waits ", f"{who} waited ", 1)
    kind, severity = (WAITING, "info") if call is not None else (KIND, "error" if until is None else "warning")
    finding = evidence.found(
        kind,
        severity,  # type: ignore[arg-type]  # one of the words of Severity
        text,
        rows[:1] if len(rows) else [],
        since=int(stay["since"]),
        until=until,
        character_id=who,
    )
    return LongStay(finding, call is not None)


USUAL_CALL: Final = 0.8
"""The share of the stays in a state that must have a call, so that a stay without one counts as waiting for it."""


def _waits(evidence: Evidence, stays: pd.DataFrame, at: int) -> str | None:
    """Return why this stay counts as waiting for a model; None if it does not."""
    calls = evidence.calls
    if not len(calls):
        return None
    stay = stays.iloc[at]
    times = nanoseconds(calls["time"])
    owner = calls["character_id"].to_numpy(object)
    newest = int(evidence.times[-1])
    inside = (owner == stay["character_id"]) & (times >= stay["since"])
    inside &= times <= (newest if stay["open"] else stay["ended"])
    if inside.any():
        return _slow_calls(evidence, stay, inside)
    same = stays[(stays["state"] == stay["state"]) & ~stays["open"]].head(SAMPLE)
    answered = sum(
        bool(((owner == who) & (times >= since) & (times <= ended)).any())
        for who, since, ended in zip(same["character_id"], same["since"], same["ended"], strict=True)
    )
    if len(same) >= 3 and answered >= USUAL_CALL * len(same):
        return f"{answered} of {len(same)} other stays in this state had a call, and this one has none"
    return None


def _slow_calls(evidence: Evidence, stay: pd.Series, inside: Mask) -> str | None:
    """Return a text if the calls of a stay took most of it, or far longer than usual."""
    latency = evidence.calls["latency_s"].to_numpy(float, na_value=np.nan)
    longest = float(np.nanmax(latency[inside], initial=0.0))
    took = float(np.nansum(latency[inside]))
    end = int(stay["ended"]) if not stay["open"] else int(evidence.times[-1])
    seconds = (end - int(stay["since"])) / SECOND
    if seconds / 2 < took < 2 * seconds:  # a simulated latency has nothing to do with the wall clock
        return f"its calls took {took:,.3g} s of {seconds:,.3g} s"
    usually = float(np.nanmedian(latency)) if took > 0 else 0.0
    if longest > SLOW * usually > 0:
        return f"a call took {longest:,.3g} s; usually one takes {usually:,.3g} s"
    return None


SLOW: Final = 4.0
"""The multiple of the median latency of all calls from which on a call is slow."""
SAMPLE: Final = 200
"""The least number of other stays that decide whether a state usually has calls."""
