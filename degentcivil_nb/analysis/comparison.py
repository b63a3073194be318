"""The result of `compare`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from ..core.counting import counted
from ..core.escaping import visible
from .differences import Divergence

if TYPE_CHECKING:
    import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types

    from ..figures.parts import Still

SHOWN: Final = 120
NAMED: Final = 3
"""How many interventions, and how many sizes of differences, the summary lists."""


@dataclass(frozen=True)
class Comparison:
    """The differences between two runs, `a` and `b`. Made by `compare`.

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
        dicts (`None` where a run has no such event), and `differs` (a list of the fields that differ). `None` if all
        events that both hold are the same.
    interventions : pandas.DataFrame
        One row for each event that a command made: `run` (``"a"`` or ``"b"``), `row`, `tick`, `type`, `character_id`,
        `client` and `text`.
    consequence : Divergence or None
        The first difference after the first intervention that is not itself an intervention.
    compared : int
        How many pairs were compared, including the first that differs.
    only_a, only_b : int
        How many events have no counterpart in the other run: before it begins, after it ends, in a tick of a gap, or
        because the run behaved differently.
    aligned_by : {"tick", "seq", "order"}
        How the events were paired.
    attributes : pandas.DataFrame
        One row for each attribute that differs: `character_id`, `attribute`, `a`, `b`.
    gaps : tuple of int
        How many gaps each run has; missing events were not compared.
    per_tick : pandas.DataFrame
        Indexed by `tick`: events of `a` and of `b`, and `differing`, how many differ (int64).
    """

    a: str
    b: str
    counts: pd.DataFrame
    """A row for each type: `a`, `b`, `difference` (b − a)."""
    rates: pd.DataFrame
    """A row for each type: events per second over each run's own span, and `ratio` (b / a)."""
    divergence: Divergence | None
    """The first event that differs, apart from wall clock times; `None` if all common events are equal."""
    interventions: pd.DataFrame
    """Events that commands made: `run`, `row`, `tick`, `type`, `character_id`, `client`, `text`."""
    consequence: Divergence | None
    """The first difference after the first intervention; `None` without one."""
    compared: int
    """How many events of both runs were compared: the equal ones, and the first that differs."""
    only_a: int
    only_b: int
    """How many events have no counterpart in the other run."""
    aligned_by: str
    """`tick`, `seq`, or `order`."""
    attributes: pd.DataFrame
    """A row for each attribute that differs: `character_id`, `attribute`, `a`, `b`."""
    gaps: tuple[int, int]
    per_tick: pd.DataFrame
    """Events of each tick: `a`, `b`, `differing`."""
    left_out: bool = field(repr=False)
    _characters: pd.DataFrame = field(repr=False)
    _sizes: pd.DataFrame = field(repr=False)
    _differing: pd.DataFrame = field(repr=False)
    _still: Still | None = field(default=None, repr=False)

    @property
    def same(self) -> bool:
        """Return whether the two runs hold the same events, apart from those that commands made.

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

    def table(self) -> pd.DataFrame:
        """Return counts and rates of each type of event side by side.

        Returns
        -------
        pandas.DataFrame
            Indexed by `type`: `a`, `b`, `difference` (int64), `rate_a`, `rate_b` (events per second) and `ratio`
            (float64).

        Examples
        --------
        >>> dc.compare(recording, recording).table()["difference"].abs().sum().item()
        0
        """
        return self.counts.join(self.rates.rename(columns={"a": "rate_a", "b": "rate_b"}))

    def characters(self) -> pd.DataFrame:
        """Compare the characters as they are at the end of both runs.

        Returns
        -------
        pandas.DataFrame
            Indexed by `character_id`: `events_a`, `events_b` and `differences` (int64, how many attributes differ),
            `state_a`, `state_b`, `location_a`, `location_b` (object), `differs` (bool) and `first_tick` (Int64, where
            the character's events differ first).

        Examples
        --------
        >>> dc.compare(recording, recording).characters()["differs"].any().item()
        False
        """
        return self._characters.copy()

    def sizes(self) -> pd.DataFrame:
        """Return the sizes of the differences, beside those between equal runs.

        Returns
        -------
        pandas.DataFrame
            Indexed by `quantity`: ``"share of events that differ"`` (0 to 1), ``"events"``, events of each type, the
            mean of each attribute that is a number, and the last value of each measure: `a`, `b` and `difference`
            (b − a, float64), `equal` (the largest difference between `a` and one of its `repeats`) and `beyond`
            (boolean, whether the difference is larger). The last two are missing without `repeats`.

        Examples
        --------
        >>> found = dc.compare(recording, recording, repeats=recording).sizes()
        >>> found["equal"].max().item(), found["beyond"].any().item()
        (0.0, False)
        """
        return self._sizes.copy()

    def figure(self) -> go.Figure:
        """Draw both runs side by side: events per tick, and below them which characters differ, and since when.

        Returns
        -------
        plotly.graph_objects.Figure
            Interventions are dotted lines, the first difference is a solid one.

        Examples
        --------
        >>> type(dc.compare(recording, recording).figure()).__name__
        'Figure'
        """
        from ..figures.comparisons import comparison
        from ..figures.shown import shown  # plotly is imported when first used

        first = None if self.divergence is None else self.divergence.tick
        changed = self.interventions["tick"].dropna().astype("int64").tolist()
        return shown(comparison(self.per_tick, self._differing, first, changed, (self.a, self.b)), self._still)

    def __repr__(self) -> str:
        lines = [f"<Comparison of a = {visible(self.a)} and b = {visible(self.b)}"]
        lines.append(f"  events: {self.counts['a'].sum():,} and {self.counts['b'].sum():,}")
        lines += self._changes()
        found = self.divergence
        if found is None and not self.compared:
            why = "neither has an event" if self.same else "no event of one has a counterpart in the other"
            lines.append(f"  nothing was compared: {why}")
        elif found is None:
            lines.append(f"  the {self.compared:,} events that both hold are the same (aligned by {self.aligned_by})")
        else:
            lines.append(
                f"  they differ after {found.place:,} events{_at(found)}, in {short(', '.join(found.differs))}:"
            )
            lines += _both(found)
        lines += self._followed()
        if self.only_a or self.only_b:
            lines.append(f"  without a counterpart: {self.only_a:,} of a, {self.only_b:,} of b")
        if any(self.gaps):
            lines.append(f"  gaps: {self.gaps[0]:,} and {self.gaps[1]:,}; missing events were not compared")
        lines += self._how_large()
        changed = int(self._characters["differs"].sum())
        lines.append(f"  characters: {len(self._characters):,}, of which {changed:,} differ>")
        return "\n".join(lines)

    def _changes(self) -> list[str]:
        if not len(self.interventions):
            return []
        counts = self.interventions["run"].value_counts(sort=False).items()
        said = "left out" if self.left_out else "compared as well"
        lines = [
            f"  changed by commands, {said}: "
            + ", ".join(f"{counted(count, 'event')} in {run}" for run, count in counts)
        ]
        for one in self.interventions.head(NAMED).to_dict("records"):
            tick = "" if pd.isna(one["tick"]) else f" at tick {one['tick']:,}"
            who = f" by {visible(one['client'])}" if isinstance(one["client"], str) else ""
            lines.append(f"    in {one['run']}{tick}{who}: {short(one['text'])}")
        return lines

    def _followed(self) -> list[str]:
        if not len(self.interventions):
            return []
        found = self.consequence
        if found is None:
            return ["  no consequence: nothing differs after what commands changed"]
        if self.divergence is None or found.place > self.divergence.place:
            note = " (the runs differed before, so there may be another reason)"
        else:
            note = ""
        if found == self.divergence:
            return [f"  first consequence{_at(found)}: that difference"]
        return [f"  first consequence{_at(found)}, in {short(', '.join(found.differs))}{note}:", *_both(found)]

    def _how_large(self) -> list[str]:
        share = self._sizes.iloc[0]
        if pd.isna(share["difference"]) or (self.same and pd.isna(share["equal"])):
            return []
        text = f"  {share['difference']:.1%} of the events differ by type, character, state or place"
        if pd.isna(share["equal"]):
            return [f"{text}; pass `repeats=` to see how much equal runs differ"]
        beyond = self._sizes.index[self._sizes["beyond"].fillna(False).astype(bool)][1 : NAMED + 1].tolist()
        return [
            f"{text}; between equal runs {share['equal']:.1%}",
            "  larger than between equal runs: " + (", ".join(map(short, beyond)) or "nothing else"),
        ]


def short(text: str) -> str:
    """Return a text of one line."""
    text = visible(text[: SHOWN + 1])
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _at(found: Divergence) -> str:
    return "" if found.tick is None else f", tick {found.tick}"


def _both(found: Divergence) -> list[str]:
    return [f"    {name}: {_event(event)}" for name, event in (("a", found.a), ("b", found.b))]


def _event(event: dict[str, Any] | None) -> str:
    if event is None:
        return "no such event at that moment"
    return f"{short(str(event['type']))} {short(str(event['payload']))}"
