"""One breakpoint as the simulation keeps it."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from ..expressions.breakable import check_breakable, compile_breakable
from ..expressions.conditions import Condition
from ..expressions.judge import Match
from ..expressions.mistakes import ConditionError
from ..protocol.breakpoints import BreakpointHit, BreakpointRow, BreakpointSpec
from ..protocol.control_payloads import ClientInfo
from .log_text import LogText

NO_NAMES: Final[frozenset[str]] = frozenset()


class Breakpoint:
    """One breakpoint: what was declared, its condition if it can be judged, and how often it matched.

    `taken` is another client's breakpoint of the same name: the name is refused then.
    """

    def __init__(self, spec: BreakpointSpec, owner: ClientInfo, taken: Breakpoint | None = None) -> None:
        self.spec = spec
        self.owner = owner
        self.spent = False
        self.count = 0
        self.last: tuple[int | None, str | None] = (None, None)
        self.problem: str | None = None
        self.at: int | None = None
        self.condition: Condition | None = None
        self.log: LogText | None = None
        self._names = NO_NAMES
        try:
            if taken is not None:
                whose = taken.owner.name or taken.owner.id
                raise ValueError(
                    f"{whose} has a breakpoint {spec.name!r:.80} already: {taken.spec.condition:.200}; "
                    f"give yours another name"
                )
            condition = compile_breakable(spec.condition, at_checkpoint=spec.at_checkpoint)
            self.log = None if spec.log is None else LogText(spec.log)
            for part in () if self.log is None else self.log.expressions:
                check_breakable(part, at_checkpoint=condition.at_checkpoint or spec.at_checkpoint)
            self.condition = condition
            self._names = condition.names if self.log is None else condition.names | self.log.names
        except ValueError as error:
            self.problem = str(error)
            self.at = error.at if isinstance(error, ConditionError) else None

    @property
    def is_on(self) -> bool:
        """Return whether the breakpoint is to be judged."""
        return self.condition is not None and self.spec.enabled and not self.spent

    def is_same_as(self, spec: BreakpointSpec) -> bool:
        """Return whether a declaration means this very breakpoint, so that it keeps its counts."""
        return replace(spec, enabled=True, armed=0) == replace(self.spec, enabled=True, armed=0)

    def row(self, unseen: frozenset[str]) -> BreakpointRow:
        """Return the state of the breakpoint; `unseen` are names of conditions that no message has had."""
        spec, (tick, whose) = self.spec, self.last
        return BreakpointRow(
            spec.name,
            spec.condition,
            self.owner,
            hits=spec.hits,
            once=spec.once,
            log=spec.log,
            enabled=spec.enabled and not self.spent,
            verified=self.condition is not None,
            problem=self.problem,
            at=self.at,
            count=self.count,
            last_tick=tick,
            last_character_id=whose,
            unseen=sorted(unseen & self._names) if unseen and self.is_on else [],
        )

    def take(self, match: Match[Breakpoint], tick: int | None) -> tuple[bool, str | None]:
        """Count a match; return whether it stops the run, and the text of a log point."""
        self.count += 1
        self.last = (tick, match.character_id)
        if self.count < self.spec.hits:
            return False, None
        self.spent = self.spec.once
        if self.log is None:
            return True, None
        return False, self.log.text(match.scope)

    def hit(self, tick: int | None, *, at_checkpoint: bool) -> BreakpointHit:
        """Describe a match."""
        name, condition, whose = self.spec.name, self.spec.condition, self.last[1]
        return BreakpointHit(name, condition, self.owner, tick, None, whose, self.count, at_checkpoint)
