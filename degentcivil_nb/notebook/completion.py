"""The completions that Tab offers after `%dc`: words, commands, characters, states, columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from ..core.escaping import visible
from ..core.event_columns import EVENT_COLUMNS, NOUNS
from ..expressions.command_line import read_value
from ..expressions.nodes import DETECTORS, TOTALS
from ..expressions.values import FUNCTIONS
from ..figures.colours import STATE_COLOURS
from ..session.session import Session
from .desk import Desk
from .word import CONDITIONS

MOST: Final = 1_000
"""How many candidates are offered at most."""
_LINE: Final = re.compile(r"^\s*(?:[\w, ]+=\s*)?%dc\s(?P<line>.*)$")
_PIECE: Final = re.compile(r"\S*$")
_NAME: Final = re.compile(r"[\w.-]*$")
_MEMORY: Final = ("became", "changed", "entered", "left")


class Candidates(NamedTuple):
    """The possible replacements of the last piece of a line."""

    piece: str
    texts: list[str]


def candidates(desk: Desk, text: str) -> Candidates | None:
    """List the possible ends of a `%dc` line up to the cursor; the simulation is not asked. `None` for other lines."""
    found = _LINE.search(text)
    if found is None:
        return None
    name, space, rest = found["line"].lstrip().partition(" ")
    word = desk.words.get(name)
    in_condition = word is not None and word.rest in CONDITIONS
    begun = _last_piece(rest if space else name, _NAME if in_condition else _PIECE)
    offered = _behind(desk, name, rest[: len(rest) - len(begun)]) if space else [*desk.words, *desk.offered()]
    if begun.startswith('"'):
        offered = [_quoted(text) for text in offered]
    fitting = [text for text in dict.fromkeys(offered) if text.casefold().startswith(begun.casefold())]
    return Candidates(begun, fitting[:MOST])


def _last_piece(text: str, pattern: re.Pattern[str]) -> str:
    """Return what is being typed: a word, or, in a line's argument, a text whose quotes are still open."""
    if pattern is _PIECE and text.count('"') % 2:
        return text[text.rindex('"') :]
    found = pattern.search(text)
    return "" if found is None else found.group()


def _behind(desk: Desk, name: str, rest: str) -> Iterable[str]:
    word = desk.words.get(name)
    arguments = list(word.arguments if word is not None else desk.offered().get(name, {}).get("properties", {}))
    if name == "help":
        return [*desk.words, *desk.offered()]
    if name == "use":
        return [session.name for session in desk.sessions()]
    if name == "connect":
        return [key for key, value in desk.variables.items() if not key.startswith("_") and hasattr(value, "url")]
    if name == "clear":
        return desk.session._breakpoints.names() if desk.sessions() else []
    if not desk.sessions():
        return []
    session = desk.session
    if word is not None and word.rest in CONDITIONS:
        return _in_condition(session, rest, word.options)
    place = _values_in(rest)
    return _values(session, arguments[place]) if place < len(arguments) else []


def _values_in(text: str) -> int:
    """Count the values that a line holds already."""
    count = 0
    while text := text.strip():
        try:
            _, text = read_value(text)
        except ValueError:
            break
        count += 1
    return count


def _values(session: Session, argument: str) -> list[str]:
    """List the possible values of an argument of that name."""
    if argument == "character_id":
        return [_word(each) for each in session.characters().index]
    if argument == "name":
        return [_word(each) for each in session.characters().columns if each not in ("since", "last_seen")]
    if argument in ("event_type", "type"):
        return [_word(each) for each in _words(session, argument)]
    if argument in ("new_state", "state", "location"):
        return [_word(each) for each in _words(session, "state" if argument == "new_state" else argument)]
    return []


def _in_condition(session: Session, rest: str, options: list[str]) -> list[str]:
    """List names and functions, or, inside of quotes, the words that occur in the run."""
    for quote in ("'", '"'):
        if rest.count(quote) % 2:
            held = [*_words(session, "state"), *STATE_COLOURS, *session.characters().index]
            held += [word for column in NOUNS if column != "character_id" for word in _words(session, column)]
            return [text for each in held if quote not in (text := str(each)) and visible(text) == text]
    attributes = [str(each) for each in session.characters().columns if str(each).isidentifier()]
    functions = [f"{each}(" for each in (*FUNCTIONS, *_MEMORY, *DETECTORS)]
    named = ["new_state", "previous_state", "data", "payload", *EVENT_COLUMNS, *attributes, *sorted(TOTALS)]
    return [*named, *functions, *(f"{each}=" for each in options), "and", "or", "not", "in"]


def _words(session: Session, column: str) -> list[str]:
    held = session._store.words.get(column)
    return [] if held is None else list(held.words)


def _word(value: Any) -> str:
    """Write a value as a line needs it: in quotes if it has spaces or looks like something else."""
    text = str(value)
    plain = re.fullmatch(r"[^\s\"'{\[]+", text) is not None and visible(text) == text
    return text if plain else _quoted(text)


def _quoted(text: str) -> str:
    return text if text.startswith('"') else json.dumps(text, ensure_ascii=visible(text) != text)
