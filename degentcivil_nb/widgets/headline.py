"""The head line: the state of the run and the connection, and the buttons pause, step and resume."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import pandas as pd

from ..analysis.stops import Controlled, why_paused
from ..core.parameters import in_lines, in_short
from ..pages.parts import Section, Table, cell
from .cells import shorten
from .command_log import CommandLog
from .findings_panel import FindingsNow
from .interfaces import PanelCommands, PanelStatus
from .packing import EXACT
from .panel import Panel, Update
from .refresh import Refresher

SHOWN: Final = (
    "connection", "run_state", "tick", "messages_per_s", "lag_s", "gaps", "missing", "errors", "circuit", "dialect",
    "reconnects", "recording", "checkpoint_age_s", "message_age_s",
)  # fmt: skip
AT_ONCE: Final = ("connection", "run_state", "circuit", "recording")
"""What is shown at once when it changes; the rest, which changes with each message, twice a second."""
PERIOD_S: Final = 0.5
BUTTONS: Final = frozenset({"pause", "step", "resume"})


class Headline(Panel):
    """The state of a run in one line, with buttons to pause, step and resume it."""

    title: ClassVar[str] = "head line"
    script: ClassVar[str] = "headline"
    follows_cursor: ClassVar[bool] = False

    def __init__(
        self,
        status: PanelStatus,
        commands: PanelCommands,
        refresher: Refresher,
        *,
        findings: FindingsNow | None = None,
        reader: Controlled | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(refresher, **kwargs)
        self._reader = reader
        self._findings = findings
        self._status = status
        self._jobs = CommandLog(commands, self.refresh_soon)
        self._shown: dict[str, Any] = {}
        self._told = 0
        self._drawn_at = -math.inf
        self._parameters: tuple[Mapping[str, Any], dict[str, str]] = ({}, {"parameters": "", "parameters_all": ""})

    @property
    def run_state(self) -> Any:
        """Return the state of the run that was shown last."""
        return self._shown.get("run_state")

    def refresh(self, now: float) -> int:
        """See `Panel`; numbers that change with each message are drawn twice a second at most."""
        if not self.flow.wants_full and self._told == self._jobs.version and 0 <= now - self._drawn_at < PERIOD_S:
            state = self._state()
            if all(state[name] == self._shown.get(name) for name in AT_ONCE):
                return 0
        self._drawn_at = now
        return super().refresh(now)

    def snapshot(self) -> Update:
        """See `Panel`."""
        self._shown, self._told = self._state(), self._jobs.version
        return Update({**self._shown, "jobs": self._jobs.since(0)[-1:]})

    def changes(self) -> Update | None:
        """See `Panel`."""
        state, told = self._state(), self._told
        if state == self._shown and told == self._jobs.version:
            return None
        self._shown, self._told = state, self._jobs.version
        return Update({**state, "jobs": self._jobs.since(told)})

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        state = self._state()
        facts = [[name, cell(value)] for name, value in state.items() if cell(value) and name != "parameters_all"]
        return [Section(self.title, [Table(("figure", "value"), facts, len(facts), "figure")])]

    def received(self, content: Any) -> None:
        """Send the command of a button."""
        name = content.get("command") if isinstance(content, dict) else None
        if isinstance(name, str) and name in BUTTONS:
            ticks = content.get("ticks")
            many = name == "step" and isinstance(ticks, int) and not isinstance(ticks, bool) and ticks > 0
            arguments = {"ticks": ticks} if many else {}
            self._jobs.send(str(content.get("id", "")), name, name, arguments)

    def _state(self) -> dict[str, Any]:
        metrics = self._status.metrics()
        found = None if self._findings is None else self._findings.table
        told = {"findings": None, "fresh": 0} if found is None else {"findings": len(found), "fresh": self._fresh()}
        shown = {name: plain(metrics.get(name)) for name in SHOWN}
        paused = shown["run_state"] == "paused" and self._reader is not None
        why = shorten(why_paused(self._reader), 300) if paused and self._reader is not None else ""
        return {**shown, "why": why, **told, **self._in_words()}

    def _in_words(self) -> dict[str, str]:
        """Return the run's parameters in short and in full; they are described again only if they changed."""
        known, said = self._parameters
        now = self._status.parameters()
        if now != known:
            said = {"parameters": in_short(now), "parameters_all": in_lines(now)}
            self._parameters = (now, said)
        return said

    def _fresh(self) -> int:
        return 0 if self._findings is None else len(self._findings.unseen())


def plain(value: Any) -> Any:
    """Return a value for JSON; `None` if it is unknown. Numbers are rounded for reading."""
    if value is None or value is pd.NA or value != value:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, int) and abs(value) > EXACT:
        return str(value)  # the page's numbers are floats
    return round(value, 4) if isinstance(value, float) else value
