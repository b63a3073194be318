"""The console: a line for any command that the server offers, and what came of it as text."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from ..expressions.command_line import ALIASES, parse_line, usage
from .command_log import CommandLog
from .interfaces import PanelCommands
from .panel import Panel, Update, compose
from .refresh import Refresher

MAX_LINE: Final = 10_000


class ConsolePanel(Panel):
    """Take commands as lines of text and show their results."""

    title: ClassVar[str] = "console"
    _esm = compose("liveness.js", "panel.js", "console.js")
    _css = compose("panel.css", "console.css")

    def __init__(self, commands: PanelCommands, refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self._commands = commands
        self._jobs = CommandLog(commands, self.refresh_soon)
        self._told = 0
        self._offered: list[dict[str, Any]] = []

    def snapshot(self) -> Update:
        """See `Panel`."""
        self._offered, self._told = self._offer(), self._jobs.version
        return Update({"jobs": self._jobs.since(0), "offered": self._offered})

    def changes(self) -> Update | None:
        """See `Panel`."""
        body: dict[str, Any] = {}
        if (offered := self._offer()) != self._offered:
            self._offered = body["offered"] = offered
        if self._told != self._jobs.version:
            told, self._told = self._told, self._jobs.version
            body["jobs"] = self._jobs.since(told)
        return Update(body) if body else None

    def received(self, content: Any) -> None:
        """Run a line that was typed."""
        line = content.get("line") if isinstance(content, dict) else None
        if not isinstance(line, str):
            return
        line, id = line[:MAX_LINE].strip(), str(content.get("id", ""))
        if line in ("help", "?"):
            self._jobs.say(id, line, self._help())
            return
        table = self._commands.table()
        schemas = dict(zip(table["name"], table["arguments"], strict=True))
        try:
            name, arguments = parse_line(line, schemas)
        except ValueError as error:
            self._jobs.say(id, line, str(error), failed=True)
        else:
            self._jobs.send(id, line, name, arguments)

    def _offer(self) -> list[dict[str, Any]]:
        table = self._commands.table()
        rows = zip(table["name"], table["arguments"], table["doc"], strict=True)
        return [{"name": n, "usage": usage(n, list(a.get("properties", {}))), "doc": d} for n, a, d in rows]

    def _help(self) -> str:
        offered = self._offer()
        if not offered:
            return "This server takes no commands."
        short = {name: alias for alias, name in ALIASES.items()}
        lines = []
        for each in offered:
            also = f" (or {short[each['name']]})" if each["name"] in short else ""
            doc = str(each["doc"]).strip().split("\n", 1)[0]
            lines.append(f"{each['usage']}{also}" + (f"\n    {doc}" if doc else ""))
        return "\n".join(lines)
