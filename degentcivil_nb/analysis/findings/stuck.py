"""Characters that stay in one state or place far longer than is usual there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from .clock import SECOND
from .columns import Array, Columns, below, rows_at, size_of
from .evidence import Evidence
from .finding import Finding, told_once
from .spans import LengthCounts, LongSpans, long_spans, merged
from .statistics import OVER, Outlier

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
        over, `least` and `factor` count twice. For a stay in a state that goes on, and is 2.5 times as long as the
        longest other one, `factor` counts 0.7 times; 0.4 times if it is twice as long and lacks the call of a model
        that the others have.
    """
    found = [stay.finding for stay in long_stays(evidence, least, factor) if not stay.waiting]
    yield from told_once(found, evidence.characters, "stay far longer than is usual where they are")


def waiting_for_model(evidence: Evidence, *, least: float = 20, factor: float = 5.0) -> Iterator[Finding]:
    """Find stays as `stuck` does in which the character waits for an answer of the model.

    For a stay that is over, the latency of a call shows that; it must be four times as long as `least`, since a call
    that took its time now and then is no fault. For a stay that goes on, it is derived: nearly all other stays in that
    state contain a call of their character, and this one has none yet.
    """
    waits = [stay for stay in long_stays(evidence, least, factor) if stay.waiting]
    found = [stay.finding for stay in waits if stay.finding.until is None or stay.length > PASSED * least]
    yield from told_once(found, evidence.characters, "wait for the model")


PASSED: Final = 4.0
"""How many times `least` a wait for the model that is over must have lasted."""


class LongStay:
    """A stay that is far too long, and whether it waits for a model."""

    def __init__(self, finding: Finding, waiting: bool, length: float) -> None:
        self.finding = finding
        self.waiting = waiting
        self.length = length


def long_stays(evidence: Evidence, least: float, factor: float) -> list[LongStay]:
    """List the stays in a state that are far too long, and of characters without one, those in a place."""
    key = ("long_stays", least, factor)  # two rules look at them
    if key not in evidence.judged:
        evidence.judged[key] = _long_stays(evidence, least, factor)
    found: list[LongStay] = evidence.judged[key]
    return found


def _long_stays(evidence: Evidence, least: float, factor: float) -> list[LongStay]:
    found: list[LongStay] = []
    in_states = _Stays.of(evidence, "state", least, factor)
    if in_states is not None:
        found = [in_states.told(at, limit) for at, limit in in_states.too_long(least, factor) if in_states.alone(at)]
    varied = np.zeros(0, np.int64) if in_states is None else in_states.varied
    in_places = _Stays.of(evidence, "location", least, factor, without=varied)
    if in_places is None:
        return found
    places = [one for one in in_places.too_long(least, factor) if in_places.alone(one.at)]
    owners = [in_places.owner(at) for at, _ in places]
    if len(set(owners)) > max(1.0, CROWD * in_places.characters):
        return found
    return found + [in_places.told(at, limit) for at, limit in places]


CROWD: Final = 0.3
"""The share of characters up to which staying in a place is reported; if more stay, that is normal in this town."""


@dataclass(frozen=True)
class _Stays:
    """The stays in a state or a place that may be too long, and how long all stays are."""

    evidence: Evidence
    column: str
    spans: LongSpans
    earliest: Mapping[int, pd.DataFrame]
    """Of each kind the first stays that are over."""

    @classmethod
    def of(
        cls, evidence: Evidence, column: str, least: float, factor: float, without: Array | None = None
    ) -> _Stays | None:
        """Read the stays, without those of some characters; places are judged together, since each has few stays."""
        first = _Earliest()

        def spans() -> Iterator[Columns]:
            for table in merged(evidence.stays(), column):
                table["kind"] = table[column] if column == "state" else np.zeros_like(table["who"])
                table["length"] = table["end"] - table["start"]
                table = rows_at(table, ~np.isin(table["who"], without)) if without is not None else table
                first.add(table)
                yield table

        found = long_spans(spans, least, EARLY * factor, UNANSWERED * factor)
        return None if found is None else cls(evidence, column, found, first.tables())

    @property
    def characters(self) -> int:
        """How many characters have a stay."""
        return len({*self.spans.lengths.who.tolist(), *self.spans.kept["who"].tolist()})

    @property
    def varied(self) -> Array:
        """The characters that were in several states, by code: the state says why they stay in a place."""
        who = np.concatenate([self.spans.lengths.who, self.spans.kept["who"].to_numpy(np.int64)])
        kinds = np.concatenate([self.spans.lengths.kinds, self.spans.kept["kind"].to_numpy(np.int64)])
        found: Array = np.flatnonzero(np.bincount(np.unique(np.stack([who, kinds]), axis=1)[0]) > 1)
        return found

    def owner(self, at: int) -> Any:
        """Return whose stay it is."""
        return self.evidence.names("character_id")[int(self.spans.kept["who"].iloc[at])]

    def too_long(self, least: float, factor: float) -> Iterator[Outlier]:
        """Give the stays that are too long in their state, or in a place."""
        kept, counts = self.spans.kept, self.spans.lengths
        for at, limit in self.spans.outliers():
            stay = kept.iloc[at]
            who, length = int(stay["who"]), float(stay["length"])
            more = 1.0 if stay["open"] else OVER
            if length <= more * least:
                continue
            others = counts.of_kind(int(stay["kind"]))
            early = bool(stay["open"]) and self.column == "state"
            longest = float(others.lengths[-1])
            if early and length > max(LONG * least, FAR * longest):
                more = EARLY
            elif early and length > TWICE * max(least, longest) and self._lacks_call(stay):
                more = UNANSWERED
            mine = others.of(who)
            own = len(mine) - (not stay["open"])
            if not _comes_back(others, mine, own, alone_counts=self.column == "location"):
                continue
            if self.column == "location":  # some characters are at home in theirs
                limit = max(limit, (mine if stay["open"] else mine.without(length)).usual)
            if length > more * factor * limit:
                yield Outlier(at, limit)

    def _lacks_call(self, stay: pd.Series) -> bool:
        """Whether a stay that goes on has no call, and nearly all others in that state have one."""
        who, calls = self.evidence.names("character_id")[int(stay["who"])], self.evidence.calls_by_character
        inside = calls.between(who, int(stay["since"]), self.evidence.clock.last_time)
        return not len(inside) and _answered(self.evidence, stay, self.earliest) is not None

    def alone(self, at: int) -> bool:
        """Whether others went on while this stay lasted, and the character itself ever did anything else."""
        stay, clock = self.spans.kept.iloc[at], self.evidence.clock
        own = len(self.spans.lengths.of(int(stay["who"])))
        only = own + int((self.spans.kept["open"] & (self.spans.kept["who"] == stay["who"])).sum()) == 1
        if only and stay["start"] <= clock.start + 1 and int(stay["since"]) >= clock.first_time:
            return False  # such as an agent that nothing ever reaches; one of a snapshot may have been there for long
        middle = float(stay["start"]) + float(stay["length"]) / 2
        return not stay["open"] or self.evidence.goes_on_without(str(self.owner(at)), middle)

    def told(self, at: int, limit: float) -> LongStay:
        """Make the finding about a stay."""
        evidence, stay, who = self.evidence, self.spans.kept.iloc[at], self.owner(at)
        word = str(evidence.names(self.column)[int(stay[self.column])])
        until = None if stay["open"] else int(stay["ended"])
        rows = evidence.rows_of(who, int(stay["since"]), until)
        call = _waits(evidence, stay, who, self.earliest) if self.column == "state" else None
        what = f"in state {word}" if self.column == "state" else f"in {word}"
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
        return LongStay(finding, call is not None, float(stay["length"]))


FAR: Final = 2.5
"""How many times as long as the longest other stay in that state a stay must be, to be reported early."""
LONG: Final = 3.0
"""How many times `least` it must be as well."""
EARLY: Final = 0.7
"""The share of `factor` that is enough then: there are few stays that go on, so few can be long by chance."""
TWICE: Final = 2.0
"""How many times as long as the longest other stay, and `least`, a stay must be that waits for an answer."""
UNANSWERED: Final = 0.4
"""The share of `factor` that is enough then: that no answer came says already that something is wrong."""


def _comes_back(others: LengthCounts, mine: LengthCounts, own: int, *, alone_counts: bool) -> bool:
    """Whether characters leave this state and come back to it: states such as "dead" and "recovered" are never left.

    `others` are all stays there that are over, `own` counts the character's others.
    """
    if alone_counts and own < 3:
        return False
    characters = len(np.unique(others.who)) - (len(mine) > 0 and own == 0)
    return len(others) - (len(mine) - own) >= 1.5 * characters


class _Earliest:
    """The first stays of each kind that are over, as a sample."""

    def __init__(self) -> None:
        self._kept: dict[int, Columns] = {}

    def add(self, table: Columns) -> None:
        over, kinds = ~table["open"], table["kind"]
        for kind in np.flatnonzero(np.bincount(kinds[over])).tolist():
            places = np.flatnonzero(over & (kinds == kind))
            held = self._kept.get(kind)
            if held is not None and size_of(held) == SAMPLE and table["row"][places].min() > held["row"][-1]:
                continue
            mine = rows_at(table, places)
            mine = mine if held is None else below([held, mine])
            order = np.lexsort((mine["who"], mine["row"]))[:SAMPLE]
            self._kept[kind] = rows_at(mine, order)

    def tables(self) -> dict[int, pd.DataFrame]:
        return {kind: pd.DataFrame(table) for kind, table in self._kept.items()}


USUAL_CALL: Final = 0.8
"""The share of the stays in a state that must have a call, so that a stay without one counts as waiting for it."""


def _waits(evidence: Evidence, stay: pd.Series, who: Any, earliest: Mapping[int, pd.DataFrame]) -> str | None:
    """Return why this stay waits for a model; None if nothing says so."""
    calls = evidence.calls_by_character
    if not len(calls):
        return None
    end = evidence.clock.last_time if stay["open"] else int(stay["ended"])
    inside = calls.between(who, int(stay["since"]), end)
    if len(inside):
        return _slow_calls(inside, (end - int(stay["since"])) / SECOND, calls.usual)
    return _answered(evidence, stay, earliest)


def _answered(evidence: Evidence, stay: pd.Series, earliest: Mapping[int, pd.DataFrame]) -> str | None:
    """Say how many other stays in that state had a call; None if those are not nearly all."""
    key = ("answered", int(stay["kind"]))  # all stays that go on ask this, of few states
    if key not in evidence.judged:
        evidence.judged[key] = _answered_of(evidence, earliest.get(key[1], pd.DataFrame()))
    found: str | None = evidence.judged[key]
    return found


def _answered_of(evidence: Evidence, same: pd.DataFrame) -> str | None:
    calls = evidence.calls_by_character
    if len(same) < 3:
        return None
    owners = evidence.named("character_id", same["who"].to_numpy())
    answered = sum(
        len(calls.between(owner, since, ended)) > 0
        for owner, since, ended in zip(owners, same["since"], same["ended"], strict=True)
    )
    if answered >= USUAL_CALL * len(same):
        return f"{answered} of {len(same)} other stays in this state had a call, and this one has none"
    return None


def _slow_calls(latency: npt.NDArray[np.float64], seconds: float, usual_call: float) -> str | None:
    """Say that the calls of a stay took most of it, or far longer than calls do."""
    longest = float(np.nanmax(latency, initial=0.0))
    took = float(np.nansum(latency))
    if seconds / 2 < took < 2 * seconds:  # a simulated latency has nothing to do with the wall clock
        return f"its calls took {took:,.3g} s of {seconds:,.3g} s"
    usually = usual_call if took > 0 else 0.0
    if longest > SLOW * usually > 0:
        return f"a call took {longest:,.3g} s; usually one takes {usually:,.3g} s"
    return None


SLOW: Final = 4.0
"""The multiple of the median latency of all calls from which on a call is slow."""
SAMPLE: Final = 200
"""The least number of other stays that decide whether a state usually has calls."""
