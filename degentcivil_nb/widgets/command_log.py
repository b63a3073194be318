"""Commands sent from a panel: pending, done or failed, each as one line."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any, Final, Literal

from ..protocol.errors import DegentCivilError, WebSocketError
from .cells import detail_text, shorten
from .interfaces import PanelCommands

RESULT_CAP: Final = 4_000
KEPT: Final = 200
IN_MESSAGE: Final = frozenset({"command", "field"})
"""Details of a failure that its sentence has."""


@dataclass
class CommandEntry:
    """A line of the log: a command and its outcome. `id` is the id that the page gave it, if any."""

    number: int
    id: str
    line: str
    state: Literal["sent", "done", "error"]
    text: str = ""
    changed: int = 0
    at: float | None = None
    """When it ended, wall clock in seconds."""


class CommandLog:
    """A log of sent commands and their outcomes, which arrive on other threads."""

    def __init__(self, commands: PanelCommands, on_change: Callable[[], None]) -> None:
        self._commands = commands
        self._on_change = on_change
        self._lock = Lock()
        self._jobs: list[CommandEntry] = []
        self.version = 0

    def send(self, id: str, line: str, name: str, arguments: Mapping[str, Any]) -> None:
        """Send a command; its outcome is added later."""
        job = self._add(id, line, "sent")
        try:
            future = self._commands.submit(name, arguments)
        except (DegentCivilError, RuntimeError, OSError) as error:  # the session was closed
            self._finish(job, "error", describe_error(error))
            return
        future.add_done_callback(lambda done: self._finish(job, *_outcome(done)))

    def say(self, id: str, line: str, text: str, *, failed: bool = False) -> None:
        """Add a line without a command."""
        self._finish(self._add(id, line, "sent"), "error" if failed else "done", text)

    def since(self, version: int) -> list[dict[str, Any]]:
        """List the lines that changed after a version, oldest first."""
        with self._lock:
            return [asdict(job) for job in self._jobs if job.changed > version]

    def _add(self, id: str, line: str, state: Literal["sent"]) -> CommandEntry:
        with self._lock:
            self.version += 1
            job = CommandEntry(self.version, id, shorten(line, 500), state, changed=self.version)
            self._jobs = [*self._jobs[-KEPT + 1 :], job]
        return job

    def _finish(self, job: CommandEntry, state: Literal["done", "error"], text: str) -> None:
        with self._lock:
            self.version += 1
            job.state, job.text, job.changed = state, shorten(text, RESULT_CAP), self.version
            job.at = time.time()
        self._on_change()


def _outcome(future: Future[Any]) -> tuple[Literal["done", "error"], str]:
    try:
        return "done", describe_result(future.result())
    except CancelledError:
        return "error", "cancelled: the session was closed"
    except Exception as error:  # noqa: BLE001 — any failure is shown
        return "error", describe_error(error)


def describe_result(result: Any) -> str:
    """Return the result of a command as text."""
    if result is None:
        return "done"
    if isinstance(result, Mapping) and isinstance(state := result.get("state"), str):
        tick, speed = result.get("tick"), result.get("speed")
        at = "" if tick is None else f" at tick {tick}"
        return f"{state}{at}" + (f", speed {speed:g}" if isinstance(speed, (int, float)) and speed != 1 else "")
    return detail_text(result)


def describe_error(error: BaseException) -> str:
    """Return the reason of a failure as text."""
    if isinstance(error, WebSocketError):
        rest = {name: held for name, held in (error.details or {}).items() if name not in IN_MESSAGE}
        more = f" {detail_text(rest)}" if rest else ""
        return f"{error.name} ({error.code}): {error.message}{more}"
    return str(error) or type(error).__name__
