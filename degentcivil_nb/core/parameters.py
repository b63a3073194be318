"""The parameters that a run was started with, as plain data of a bounded size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .escaping import visible
from .plain import key_text, plain
from .shortening import shortened

MOST: Final = 64_000
"""Bytes of all parameters; long values are shortened."""
SHOWN: Final = 4
"""How many parameters a short description names."""
LISTED: Final = 50
"""How many parameters a list of lines names."""
_VALUE: Final = 40


def plain_parameters(parameters: Any) -> dict[str, Any]:
    """Return parameters of any type as JSON data; raise `ValueError` if they have no names."""
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping):
        raise ValueError(f"parameters= must be a mapping of names to values, not {type(parameters).__name__}")
    told = {key_text(name): plain(value) for name, value in parameters.items()}
    return dict(shortened(told, MOST))


def known_parameters(told: Any) -> dict[str, Any]:
    """Return the parameters that another program sent; empty if they are not a mapping."""
    return dict(told) if isinstance(told, dict) else {}


def in_short(parameters: Mapping[str, Any]) -> str:
    """Describe the first parameters in a few words; return an empty text if there are none."""
    said = [f"{name}={_short(value)}" for name, value in list(parameters.items())[:SHOWN]]
    return " ".join([*said, *(["…"] if len(parameters) > SHOWN else [])])


def in_lines(parameters: Mapping[str, Any]) -> str:
    """Describe each parameter in a line of its own, and say how many more there are; empty if there are none."""
    said = [visible(f"{name}={_short(value)}") for name, value in list(parameters.items())[:LISTED]]
    more = len(parameters) - len(said)
    return "\n".join([*said, *([f"and {more:,} more"] if more else [])])


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
