"""The answer of a character to a question, and whether the question changed anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..core.cards import card
from ..core.escaping import visible, visible_lines
from ..store.interfaces import RunStore

RECENT: Final = 1_000
"""How many of the newest events are searched for the interview's event; others may have followed meanwhile."""


@dataclass(frozen=True)
class Interview:
    """A character's answer, as `session.ask` returns it.

    `unchanged` says whether the simulation's inspector returned the same for the character before and after; `None`
    without an inspector, since it is unknown then. `changed` has the differing values by name, before and after. `row`
    is the event that records the interview; `None` if the session does not hold it.
    """

    character_id: str
    question: str
    answer: Any
    unchanged: bool | None = None
    changed: Mapping[str, Any] = field(default_factory=dict)
    row: int | None = None

    @property
    def proof(self) -> str:
        """Return one sentence on whether the character is the same before and after the question."""
        if self.unchanged is None:
            return "unknown whether it changed anything: the simulation has no inspector (@probe.inspector)"
        if self.unchanged:
            return "the same before and after"
        return "; ".join(f"{name} was {before!r} and is {after!r}" for name, (before, after) in self.changed.items())

    def __str__(self) -> str:
        return visible_lines(str(self.answer))

    def __repr__(self) -> str:
        return f"<Interview of {visible(self.character_id)}: {self.answer!r} ({visible(self.proof)})>"

    def _repr_html_(self) -> str:
        facts = {"question": self.question, "answer": self.answer, "state": self.proof, "recorded": self._place()}
        return card("Interview", self.character_id, facts, "good" if self.unchanged else "waiting")

    def _place(self) -> str | None:
        return None if self.row is None else f"row {self.row}"


def interview_row(store: RunStore, character_id: str, question: str) -> int | None:
    """Return the row of the newest event that records an interview; `None` if it is not held."""
    newest = reversed(list(store.event_dicts(max(store.first_row, store.next_row - RECENT), store.next_row)))
    for event in newest:
        data = event["data"] if event["event_type"] == "interview" else None
        if isinstance(data, dict) and event["character_id"] == character_id and data.get("question") == question:
            return int(event["row"])
    return None
