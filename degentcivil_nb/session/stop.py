"""The reason why a run is stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from ..core.cards import card
from ..core.escaping import visible

EVERYBODY: Final = "everybody"


@dataclass(frozen=True)
class Stop:
    """The reason why a run is stopped, as `session.stopped()` returns it.

    `matched` is the row of the event that met the condition. It is `None` if that was `at_checkpoint`, where no single
    event does, and if the store does not hold the event; `seq` is the event's position in the stream, `None` while the
    server has not given it one. `tick` is where
    the run is stopped. `also` names the other breakpoints that matched. `may_resume` is the name of the notebook that
    has control of the run, or "everybody". `owner` is the name of the notebook that set the breakpoint; `mine` says
    whether that is this one.
    """

    reason: str
    tick: int | None
    breakpoint: str | None = None
    condition: str | None = None
    character_id: str | None = None
    matched: int | None = None
    also: list[dict[str, Any]] = field(default_factory=list)
    may_resume: str = EVERYBODY
    seq: int | None = None
    owner: str | None = None
    mine: bool = True
    at_checkpoint: bool = False

    def __str__(self) -> str:
        at = "" if self.tick is None else f" at tick {self.tick}"
        only = "" if self.may_resume == EVERYBODY else f"; {visible(self.may_resume)} may resume it"
        if self.breakpoint is None:
            return f"stopped{at}: {visible(self.reason)}{only}"
        whose = None if self.character_id is None else visible(self.character_id)
        other = "" if self.mine or self.owner is None else f" of {visible(self.owner)}"
        if self.at_checkpoint:
            met = "at the checkpoint" + ("" if whose is None else f" by {whose}")
        else:
            event, why = self._event
            met = f"by {event}{'' if whose is None else f' of {whose}'}{why}"
        more = f"; {len(self.also):,} more met" if self.also else ""
        return f"stopped{at} by {self.breakpoint!r}{other} ({visible(self.condition)}), met {met}{more}{only}"

    @property
    def _event(self) -> tuple[str, str]:
        """Name the event that met the condition, and say why it has no row: until the server has given it a position,
        nobody can know which one it will be.
        """
        if self.matched is not None:
            return f"row {self.matched}", ""
        return "an event", " whose row is not known yet" if self.seq is None else " that is not held in memory"

    def __repr__(self) -> str:
        return f"<Stop: {self}>"

    def _repr_html_(self) -> str:
        facts = {
            "tick": self.tick,
            "condition": self.condition,
            "set by": None if self.mine else self.owner,
            "character": self.character_id,
            "matched": None if self.matched is None else f"row {self.matched}",
            "also met": ", ".join(str(hit.get("name")) for hit in self.also),
        }
        return card("Stopped", self.breakpoint or self.reason, facts, "waiting")
