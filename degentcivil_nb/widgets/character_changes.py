"""Changes that a user makes on a character's page: attributes, events, breakpoints."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from .cells import shorten
from .command_log import CommandLog
from .row_actions import RowActions


class CharacterChanges:
    """The changes requested on a character's page, and the outcome of the last one."""

    def __init__(self, jobs: CommandLog, actions: RowActions | None) -> None:
        self._jobs = jobs
        self._actions = actions
        self._last: dict[str, Any] | None = None  # the outcome of a breakpoint
        self._of: str | None = None

    def breaks(self, who: str, state: str | None) -> list[list[str]]:
        """Return conditions about a character at which the run can stop, each with a description."""
        return [] if self._actions is None else self._actions.offers_of(who, state)

    def said(self, who: str) -> dict[str, Any] | None:
        """Return the outcome of the last change of a character, or `None`."""
        if self._of != who:
            return None
        if self._last is not None:
            return self._last
        job = next(iter(self._jobs.since(0)[-1:]), None)
        if job is None:
            return None
        text = "on its way" if job["state"] == "sent" else job["text"]
        return {"text": f"{job['line']}: {text}", "failed": job["state"] == "error"}

    def received(self, who: str, content: dict[str, Any], done: Callable[[], None]) -> None:
        """Start a change that a page requests: an attribute, an event or a breakpoint. Returns at once."""
        self._of, self._last = who, None
        match content:
            case {"set": [str(name), str(text)]} if name.strip():
                value = value_of(text)
                arguments = {"character_id": who, "name": name.strip(), "value": value}
                self._jobs.send("", f"set {name.strip()} of {who}", "set_attribute", arguments)
            case {"inject": [str(kind), str(text)]} if kind.strip():
                arguments = {"event_type": kind.strip(), "data": value_of(text), "character_id": who}
                self._jobs.send("", f"inject {kind.strip()}", "inject_event", arguments)
            case {"again": str(condition)} if self._actions is not None:
                self._last = {"text": "setting a breakpoint …", "failed": False}
                work = (self._actions, condition[:2_000], done)
                threading.Thread(target=self._break, args=work, name="degentcivil-rows", daemon=True).start()

    def _break(self, actions: RowActions, condition: str, done: Callable[[], None]) -> None:
        try:
            self._last = {"text": actions.break_when(condition), "failed": False}
        except Exception as error:  # noqa: BLE001 — the user pressed a button and sees any failure
            self._last = {"text": shorten(str(error) or type(error).__name__, 1_000), "failed": True}
        done()


def value_of(text: str) -> Any:
    """Return the value of a typed text: JSON, or else the text itself; `None` for an empty text."""
    if not text.strip():
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
