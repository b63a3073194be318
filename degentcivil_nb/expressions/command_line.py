"""Parsing of a console line into a command and its arguments, without evaluating anything."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from ..core.names import did_you_mean

JSON_DECODER: Final = json.JSONDecoder()
ALIASES: Final = {"inject": "inject_event", "speed": "set_speed", "set": "set_attribute", "continue": "resume"}
_KEY: Final = re.compile(r"([A-Za-z_]\w*)=")
_WORD: Final = re.compile(r"\S+")


def parse_line(line: str, schemas: Mapping[str, Mapping[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Parse `step 10`, `inject trade {"price": 3}` or `command name key=value` into a command and its arguments.

    Values are JSON if possible, else text; values without a key become the arguments in the order of the command's JSON
    Schema in `schemas`. Raises `ValueError` with what is wrong and what would be right.
    """
    words = _WORD.match(line.strip())
    if words is None:
        raise ValueError("Type a command; `help` lists them.")
    name, rest = words.group(), line.strip()[words.end() :]
    if name == "command":
        words = _WORD.match(rest.strip())
        if words is None:
            raise ValueError("`command` takes the name of a command: command give_money character_id=emma amount=3")
        name, rest = words.group(), rest.strip()[words.end() :]
    name = name if name in schemas else ALIASES.get(name, name)
    if name not in schemas:
        hint = did_you_mean(name, [*schemas, *ALIASES])
        raise ValueError(f"There is no command {name!r:.80} here{hint or '; `help` lists them.'}")
    return name, _arguments(name, rest, list(schemas[name].get("properties", {})))


def _arguments(name: str, rest: str, order: list[str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    rest = rest.strip()
    while rest:
        keyed = _KEY.match(rest)
        if keyed:
            key, rest = keyed.group(1), rest[keyed.end() :]
        else:
            free = [argument for argument in order if argument not in arguments]
            if not free:
                raise ValueError(f"{name!r:.80} takes {usage(name, order)}; {rest[:40]!r} is too much.")
            key = free[0]
        if key in arguments:
            raise ValueError(f"{key!r:.80} is given twice.")
        arguments[key], rest = read_value(rest)
        rest = rest.lstrip()
    return arguments


def read_value(text: str) -> tuple[Any, str]:
    """Parse the first value of a text, JSON or a word; return it and what follows."""
    try:
        value, end = JSON_DECODER.raw_decode(text)
        if end == len(text) or text[end].isspace():
            return value, text[end:]
    except (ValueError, RecursionError):
        if text[:1] in ("{", "[", '"'):  # meant as JSON: do not split it at spaces
            raise ValueError(f"This is not JSON: {text[:60]}") from None
    word = _WORD.match(text)
    return (word.group(), text[word.end() :]) if word else ("", text)


def usage(name: str, order: list[str]) -> str:
    """Return the usage of a command."""
    return " ".join([name, *(f"{argument}=…" for argument in order)]) if order else f"{name} (no arguments)"
