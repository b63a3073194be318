"""A chain of causes or effects: as a table, a figure and a text."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pandas as pd

from ..core.escaping import visible

if TYPE_CHECKING:
    import plotly.graph_objects as go  # type: ignore[import-untyped]  # ships no types

    from ..figures.parts import Still

ONLY_AN_EXPERIMENT: Final = (
    "A declared link is what the simulation said; a derived one is influence at most: having been in a prompt, or just "
    "before. Only an experiment tests a cause."
)
SHOWN: Final = 40
"""The most lines of a chain's text; the table has all."""


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One event of a chain, and how it is linked to the event one step nearer to where the chain begins."""

    depth: int
    row: int | None
    """`None` if only the event's id or its command is known."""
    parent: int | None
    """The index in the chain of the neighbour that is one step nearer to the first event."""
    event_id: str | None
    type: str | None
    character_id: str | None
    tick: int | None
    time: pd.Timestamp | None
    grade: str
    text: str


@dataclass(slots=True)
class Chain:
    """The causes or the effects of an event. Made by `why` and `effects`."""

    direction: str
    links: list[ChainLink]
    notes: list[str] = field(default_factory=list)
    """Sentences on what is unknown or left out."""
    still: Still | None = field(default=None, repr=False, compare=False)
    """The function that draws the figure for who shows no plotly."""

    def table(self) -> pd.DataFrame:
        """Return the chain as a frame, in the order in which it was followed.

        Returns
        -------
        pandas.DataFrame
            `depth` (int64, 0 is the event itself), `row`, `tick` (Int64), `event_id`, `type`, `character_id`, `grade`,
            `text` (str) and `time` (datetime64[ns, UTC]). `grade` is ``"declared"`` (an id says so), ``"derived"``
            (same character, call before state; or the text is in a prompt) or ``"unknown"`` (an id that no event
            has). It is missing for the event itself.

        Examples
        --------
        >>> chain = session.why(session.events("state_change").index[-1])
        >>> chain.table()["depth"].iloc[0].item()
        0
        """
        links = self.links
        frame = pd.DataFrame({"depth": pd.Series([link.depth for link in links], dtype="int64")})
        frame["row"] = pd.array([link.row for link in links], dtype="Int64")
        for name in ("event_id", "type", "character_id"):
            frame[name] = pd.Series([getattr(link, name) for link in links], dtype="str")
        frame["tick"] = pd.array([link.tick for link in links], dtype="Int64")
        frame["time"] = pd.Series([link.time for link in links], dtype="datetime64[ns, UTC]")
        frame["grade"] = pd.Series([link.grade or None for link in links], dtype="str")
        frame["text"] = pd.Series([link.text for link in links], dtype="str")
        return frame

    def figure(self) -> go.Figure:
        """Draw the chain: a point for each event, time to the right, a line for each character, links by their grade.

        Returns
        -------
        plotly.graph_objects.Figure
            Solid links are declared, dotted ones derived.

        Examples
        --------
        >>> chain = session.why(session.events("state_change").index[-1])
        >>> type(chain.figure()).__name__
        'Figure'
        """
        from ..figures.chains import chain
        from ..figures.shown import shown  # plotly is imported when first used

        return shown(chain(self.table(), [link.parent for link in self.links], self.direction), self.still)

    def in_tree_order(self) -> list[int]:
        """Return the order in which the links form a tree: each below the one it is linked to.

        Returns
        -------
        list of int
            Indices of `links`, and rows of `table()`.

        Examples
        --------
        >>> chain = session.why(session.events("state_change").index[-1])
        >>> chain.in_tree_order()[0]
        0
        """
        below: dict[int | None, list[int]] = {}
        for place, link in enumerate(self.links):
            below.setdefault(link.parent, []).append(place)
        order: list[int] = []
        waiting = below.get(None, [])[::-1]
        while waiting:
            place = waiting.pop()
            order.append(place)
            waiting += below.get(place, [])[::-1]
        return order

    def __len__(self) -> int:
        return len(self.links)

    @property
    def _shown(self) -> list[ChainLink]:
        return [self.links[place] for place in self.in_tree_order() if place < SHOWN]  # the nearest ones

    @property
    def _heading(self) -> str:
        return "What led to it" if self.direction == "causes" else "What it led to"

    def __repr__(self) -> str:
        lines = [_line(link) for link in self._shown]
        if len(self.links) > SHOWN:
            lines.append(f"… and {len(self.links) - SHOWN:,} more: .table() has all")
        if len(self.links) == 1:
            lines.append("  nothing is known")
        return "\n".join(
            [f"{self._heading}:", *lines, *(f"! {visible(note)}" for note in self.notes), ONLY_AN_EXPERIMENT]
        )

    def _repr_html_(self) -> str:
        items = "".join(
            f'<div style="margin-left:{1.5 * min(link.depth, 20)}em">{html.escape(_line(link).strip())}</div>'
            for link in self._shown
        )
        more = f"<div>… and {len(self.links) - SHOWN:,} more</div>" if len(self.links) > SHOWN else ""
        notes = "".join(f"<div>! {html.escape(visible(note))}</div>" for note in self.notes)
        more += "<div>nothing is known</div>" if len(self.links) == 1 else ""
        return f"<div><b>{self._heading}</b>{items}{more}{notes}<small>{ONLY_AN_EXPERIMENT}</small></div>"


def _line(link: ChainLink) -> str:
    at = "" if link.tick is None else f" (tick {link.tick})"
    row = "" if link.row is None else f"row {link.row}{at}: "
    grade = f"[{link.grade}] " if link.grade else ""
    return visible(f"{'  ' * link.depth}{grade}{row}{link.text}")
