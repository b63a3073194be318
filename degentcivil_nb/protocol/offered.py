"""Whether a function can be what a simulation offers: checked where it is offered, and not when it is first needed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..core.arguments import function as function_of
from ..core.text_of import text_of

_F = TypeVar("_F", bound=Callable[..., Any])


def callable_by_name(name: str, function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function that is offered as a command; `TypeError` if it cannot be one."""
    _must_run(f"command {name!r:.80}", function)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise TypeError(f"command {name!r:.80} has no signature that can be read: use a function of your own") from None
    for place, parameter in enumerate(signature.parameters.values()):
        if place == 0 and parameter.name in ("self", "cls") and parameter.annotation is parameter.empty:
            raise TypeError(
                f"command {name!r:.80} takes {parameter.name}, which a notebook cannot pass: use the method of an "
                f"object, as in probe.command(town.{name})"
            )
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(
                f"command {name!r:.80} takes {parameter!s:.80}: arguments are passed by name, so declare each of them"
                " (or one dict for arbitrary ones)"
            )
    return signature


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function that is offered; `ValueError` for one that has none, such as a lambda."""
    name = str(getattr(function, "__name__", ""))
    if name in ("", "<lambda>"):
        raise ValueError(f"{text_of(function):.80} has no name that a notebook could type: give it one with name=…")
    return name


def taking(what: str, function: _F, *arguments: str) -> _F:
    """Return a function that can be called with these arguments; `TypeError` if it cannot be."""
    _must_run(what, function_of("function", function))
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C; it is found out when it is called
        return function
    try:
        signature.bind(*arguments)
    except TypeError:
        needs = f"{', '.join(arguments[:-1])} and {arguments[-1]}" if len(arguments) > 1 else arguments[0]
        raise TypeError(f"{what} is called with {needs}, but this one takes {signature!s:.80}") from None
    return function


def _must_run(what: str, function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{what} cannot be a generator function, whose body would never run: return a list instead")
