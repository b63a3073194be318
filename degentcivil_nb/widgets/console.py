"""The console: a line for any command that the server offers, and the results as text."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from ..core.names import did_you_mean
from ..expressions.command_line import ALIASES, parse_line, usage
from .command_log import CommandLog
from .interfaces import PanelCommands
from .panel import Panel, Update
from .refresh import Refresher

MAX_LINE: Final = 10_000


class ConsolePanel(Panel):
    """A console that takes commands as lines of text and shows their results."""

    title: ClassVar[str] = "console"
    script: ClassVar[str] = "console"
    follows_cursor: ClassVar[bool] = False

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
        """Run a line that the user typed."""
        line = content.get("line") if isinstance(content, dict) else None
        if not isinstance(line, str):
            return
        line, id = line[:MAX_LINE].strip(), str(content.get("id", ""))
        word, _, topic = line.replace("?", "help ", 1).partition(" ") if line[:1] == "?" else line.partition(" ")
        if word == "help":
            self._say_help(id, line, topic.strip())
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
        return [
            {
                "name": n, "usage": usage(n, list(a.get("properties", {}))), "doc": d,
                "arguments": [_argument(name, schema, a) for name, schema in a.get("properties", {}).items()],
            }
            for n, a, d in rows
        ]  # fmt: skip

    def _say_help(self, id: str, line: str, topic: str) -> None:
        offered = {each["name"]: each for each in self._offer()}
        if topic.startswith("command "):
            topic = topic.removeprefix("command ").strip()
        name = topic if topic in offered else ALIASES.get(topic, topic)
        if not offered:
            self._jobs.say(id, line, "This server takes no commands.")
        elif not topic:
            self._jobs.say(id, line, "\n".join(_describe(each) for each in offered.values()))
        elif name in offered:
            self._jobs.say(id, line, _describe(offered[name]))
        else:
            hint = did_you_mean(topic, [*offered, *ALIASES])
            text = f"There is no command {topic[:80]!r} here{hint or '; `help` lists them.'}"
            self._jobs.say(id, line, text, failed=True)


def _argument(name: str, schema: Any, whole: dict[str, Any]) -> list[Any]:
    """Return an argument for a form: its name, its type in words, and whether it is required."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    return [name, kind if isinstance(kind, str) else "", name in whole.get("required", ())]


def _describe(offer: dict[str, Any]) -> str:
    """Return a command's usage, its short name, and the first line of its documentation."""
    short = next((f" (or {alias})" for alias, name in ALIASES.items() if name == offer["name"]), "")
    doc = str(offer["doc"]).strip().split("\n", 1)[0]
    return f"{offer['usage']}{short}" + (f"\n    {doc}" if doc else "")
