"""Actions for a row of any table: follow its causes or its effects, and stop the run when it happens again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pandas as pd

from ..analysis.answers import JUDGED, usual_kinds, with_malformed
from ..expressions.conditions import compile_condition
from ..protocol.messages import MessageTypes
from ..store.questions import LLM_TYPES
from .cells import cell_text, shorten
from .interfaces import PanelReader

EVIDENCE: Final = 50
"""The most rows of a finding that are listed."""
NO_CAUSE: Final = "A derived link is only a possible influence; only an experiment tests a cause."

Link = list[Any]
"""A line of a chain: depth, row, time, tick, type, character, grade, text."""


class RowActions:
    """The actions for the rows of one run's tables. A recording takes no breakpoints; a store alone has no chains."""

    def __init__(self, run: Any, reader: PanelReader) -> None:
        self._run = run
        self._reader = reader
        self.chains = hasattr(run, "why")
        self.breaks = hasattr(run, "break_when")

    def chain(self, row: int, to: str) -> dict[str, Any]:
        """Return the causes or the effects of a row, in the form of the page."""
        chain = self._run.why(row) if to == "causes" else self._run.effects(row)
        links: list[Link] = [
            [
                link.depth, link.row, None if link.time is None else _time(link.time), link.tick, link.type,
                link.character_id, link.grade, shorten(link.text, 600),
            ]
            for link in (chain.links[place] for place in chain.in_tree_order())
        ]  # fmt: skip
        title = f"What led to row {row:,}" if to == "causes" else f"What row {row:,} led to"
        nothing = ["No cause is known." if to == "causes" else "No effect is known."]
        notes = [*chain.notes, NO_CAUSE] if len(links) > 1 else [*chain.notes, *nothing]
        return {"title": title, "links": links, "notes": notes}

    def evidence(self, title: str, rows: Sequence[int]) -> dict[str, Any]:
        """List rows with their descriptions, in the page's form of a chain."""
        held = [row for row in rows if self._reader.first_row <= row < self._reader.next_row]
        frame = self._reader.frame_of(sorted(held)[:EVIDENCE])
        links: list[Link] = []
        for row, event in zip(frame.index.tolist(), frame.to_dict("records"), strict=True):
            words = [cell_text(event.get(name)) for name in ("state", "location", "event_type", "code", "message")]
            text = " · ".join(word for word in words if word)
            who, tick = cell_text(event.get("character_id")), event.get("tick")
            links.append(
                [0, int(row), _time(event["time"]), None if pd.isna(tick) else int(tick), event["type"], who, "", text]
            )
        left = len(rows) - len(links)
        notes = [f"{left:,} more rows of evidence are not listed, or no longer held."] if left else []
        return {"title": title, "links": links, "notes": notes}

    def offers(self, row: int) -> list[list[str]]:
        """List conditions that this row meets, each with a description, the narrowest first."""
        if not self.breaks:
            return []
        frame = self._reader.frame_of([row])
        if not len(frame):
            return []
        event = {str(name): value for name, value in frame.iloc[0].to_dict().items()}
        who = cell_text(event.get("character_id"))
        held = self._reader.payload(row)
        return _known(_again(event, held if isinstance(held, dict) else {}, self._malformed(event, row)), who)

    def _malformed(self, event: dict[str, Any], row: int) -> bool:
        if event["type"] not in LLM_TYPES:
            return False
        usual = usual_kinds(self._reader.calls_of(self._reader.rows_of(LLM_TYPES)[-JUDGED:]))
        return with_malformed(self._reader.calls_of([row]), usual)["malformed"].tolist() == [True]

    def offers_of(self, character_id: str, state: str | None) -> list[list[str]]:
        """List conditions about a character as it is now."""
        if not self.breaks:
            return []
        mine = f"character_id == {character_id!r}"
        found = [] if state is None else [[f"{character_id} leaves {state}", f"left({state!r}) and {mine}"]]
        found += [[f"the state of {character_id} changes", f"type == 'state_change' and {mine}"]]
        found += [[f"an error of {character_id}", f"type == 'error' and {mine}"]]
        found += [[f"anything happens to {character_id}", mine]]
        return [offer for offer in found if _compiles(offer[1])]

    def break_when(self, condition: str) -> str:
        """Set a breakpoint and return a sentence that confirms it; waits for the simulation's answer."""
        point = self._run.break_when(condition)
        if point.problem:
            return f"breakpoint {point.name}: {point.problem}"
        return f"breakpoint {point.name} is set: {condition}"


def _again(event: dict[str, Any], held: dict[str, Any], malformed: bool) -> Iterator[tuple[str, str]]:
    """Yield descriptions of this event, each with a condition, narrow ones first."""
    kind = str(event["type"])
    state, code, event_type = (cell_text(event.get(name)) for name in ("state", "code", "event_type"))
    if kind == MessageTypes.STATE_CHANGE and state:
        yield f"{state} is entered", f"entered({state!r})"
    if kind == MessageTypes.ERROR and code and code.removesuffix(".0").isdigit():
        number = code.removesuffix(".0")
        yield f"error {number}", f"type == 'error' and code == {number}"
    if kind in LLM_TYPES:
        if malformed:
            yield "a malformed answer", "malformed"
        if isinstance(asked := held.get("prompt_type"), str):
            yield f"a call of kind {asked}", f"type == {kind!r} and prompt_type == {asked!r}"
    if event_type:
        yield event_type, f"type == {kind!r} and event_type == {event_type!r}"
    yield f"any {kind}", f"type == {kind!r}"


def _known(again: Iterator[tuple[str, str]], who: str | None) -> list[list[str]]:
    found: list[list[str]] = []
    mine = f"character_id == {who!r}"
    for words, condition in again:
        if who:
            found.append([f"{words}, by {who}", f"{condition} and {mine}"])
        found.append([f"{words}, by anybody" if who else words, condition])
    if who:
        found.append([f"anything happens to {who}", mine])
    return [[shorten(words, 120), condition] for words, condition in found if _compiles(condition)]


def _compiles(condition: str) -> bool:
    """Return whether a condition is valid: a name from the wire may be too long for one."""
    try:
        compile_condition(condition)
    except ValueError:
        return False
    return True


def _time(value: Any) -> float | None:
    return None if pd.isna(value) else float(value.timestamp())
