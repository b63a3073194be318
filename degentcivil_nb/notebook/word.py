"""A word of `%dc`: the function behind it, and how its arguments are read from a line."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ..expressions.command_line import parse_line, read_value
from ..session.session import Session

CONDITIONS: Final = frozenset({"condition", "expression"})
"""The name of an argument that is a condition; options may follow it."""


@dataclass(frozen=True)
class Word:
    """A word of `%dc`.

    `does` is the name of a method of `Session`, or a function that takes the desk; the other parameters are the word's
    arguments. `rest` names the argument that takes the rest of the line unchanged.
    """

    name: str
    does: str | Callable[..., Any]
    rest: str | None = None

    @property
    def function(self) -> Callable[..., Any] | None:
        """Return the function behind the word; `None` if sessions do not have it."""
        return getattr(Session, self.does, None) if isinstance(self.does, str) else self.does

    @property
    def arguments(self) -> dict[str, bool]:
        """Return the names of the arguments, in order, and whether each is required."""
        if self.function is None:
            return {}
        held = list(inspect.signature(self.function).parameters.values())[1:]
        return {each.name: each.default is each.empty for each in held if each.name != "timeout"}

    @property
    def options(self) -> list[str]:
        """Return the names of the arguments that may be left out."""
        return [name for name, needed in self.arguments.items() if not needed]

    @property
    def usage(self) -> str:
        """Return the usage of the word."""
        shown = [
            (f"{name} …" if name == self.rest else name) if needed else f"[{name}=…]"
            for name, needed in self.arguments.items()
        ]
        return " ".join([self.name, *shown])

    @property
    def doc(self) -> str:
        """Return a description of the word in one line."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def read(self, text: str) -> dict[str, Any]:
        """Read the arguments; `ValueError` says what is wrong and what would be right."""
        given = self._read(text.strip())
        if missing := [name for name, needed in self.arguments.items() if needed and given.get(name, "") == ""]:
            raise ValueError(f"{self.name} needs {' and '.join(missing)}, as in: %dc {self.usage}")
        return given

    def _read(self, text: str) -> dict[str, Any]:
        if self.rest is None:
            return self._named(text, list(self.arguments))
        given: dict[str, Any] = {}
        for name in self.arguments:
            if name == self.rest:
                break
            given[name], text = read_value(text.lstrip())
        if self.rest not in CONDITIONS:
            return given | {self.rest: _unquoted(text.strip())}
        keyed = re.finditer(rf"\s(?:{'|'.join(self.options)})=(?!=)", text) if self.options else ()
        begins = next((place.start() for place in keyed if _stands_outside(text, place.start())), len(text))
        return given | self._named(text[begins:], self.options) | {self.rest: text[:begins].strip()}

    def _named(self, text: str, names: list[str]) -> dict[str, Any]:
        given = parse_line(f"{self.name} {text}", {self.name: {"properties": dict.fromkeys(names)}})[1]
        if unknown := given.keys() - self.arguments.keys():
            raise ValueError(f"{self.name} has no argument {min(unknown)!r}: %dc {self.usage}")
        return given


def _stands_outside(text: str, place: int) -> bool:
    """Return whether a position in a condition is outside of its texts and brackets."""
    before = text[:place]
    return not (before.count("'") % 2 or before.count('"') % 2 or before.count("(") > before.count(")"))


def _unquoted(text: str) -> str:
    """Return a text without the double quotes around it, if there are any."""
    try:
        value = json.loads(text) if text[:1] == '"' else text
    except ValueError:
        return text
    return value if isinstance(value, str) else text
