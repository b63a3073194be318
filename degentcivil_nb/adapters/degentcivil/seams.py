"""The places where the adapter binds to DegentCivil: classes and functions by their names, wherever they stand."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Final, NamedTuple

log = logging.getLogger("degentcivil_nb.adapters")

Function = Callable[..., Any]
Wrap = Callable[[Function], Function]
_MARK: Final = "__degentcivil_nb__"


class Seam(NamedTuple):
    """A method or a function that is wrapped once it is there."""

    owner: str
    """The class; empty for a function of any module."""
    name: str
    wrap: Wrap
    shows: str
    """What cannot be seen without it."""
    overrides: bool = False
    """Whether what subclasses have in its place is wrapped too."""
    optional: bool = False
    """Whether nothing is amiss where it is not there."""

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}" if self.owner else self.name


class Seams:
    """All places to bind to, and which of them were found."""

    def __init__(self, seams: Iterable[Seam]) -> None:
        self._seams = list(seams)
        self.found: dict[str, list[str]] = {}
        """For each seam the modules that it was found in."""
        self._replaced: dict[int, tuple[Function, Function]] = {}

    def bind(self, module: ModuleType) -> None:
        """Wrap what a module defines, and in it what others defined and it has imported by name."""
        for name, value in list(vars(module).items()):
            if inspect.isclass(value) and value.__module__ == module.__name__:
                for seam in self._seams:
                    if seam.owner:
                        self._bind_class(seam, value)
            elif id(value) in self._replaced:
                setattr(module, name, self._replaced[id(value)][1])
            elif inspect.isfunction(value):
                for seam in self._seams:
                    if not seam.owner and seam.name == name:
                        setattr(module, name, self.replace(value, seam.wrap))
                        self._note(seam, module.__name__)

    def replace(self, original: Function, wrap: Wrap) -> Function:
        """Wrap a function, and have the result take its place in every module that imports it."""
        if hasattr(original, _MARK):
            return original
        if id(original) not in self._replaced:
            self._replaced[id(original)] = (original, _marked(wrap(original)))
        return self._replaced[id(original)][1]

    def missing(self) -> list[Seam]:
        """List what was not found so far."""
        return [seam for seam in self._seams if not seam.optional and str(seam) not in self.found]

    def _bind_class(self, seam: Seam, kind: type) -> None:
        own = vars(kind).get(seam.name)
        if kind.__name__ == seam.owner:
            own = getattr(kind, seam.name, None) if own is None else own
        elif not (seam.overrides and any(base.__name__ == seam.owner for base in kind.__mro__)):
            return
        if not inspect.isfunction(own):
            return
        if not hasattr(own, _MARK):
            setattr(kind, seam.name, _marked(seam.wrap(own)))
        self._note(seam, kind.__module__)

    def _note(self, seam: Seam, module: str) -> None:
        modules = self.found.setdefault(str(seam), [])
        if module not in modules:
            modules.append(module)


def _marked(function: Function) -> Function:
    setattr(function, _MARK, True)
    return function


def quietly(tell: Function, *arguments: Any, **more: Any) -> None:
    """Call something of ours from foreign code: its failures are logged, and never raised into it."""
    try:
        tell(*arguments, **more)
    except Exception:  # the last boundary to the simulation
        log.exception("an event of DegentCivil could not be published; the town goes on")


def before(tell: Function) -> Wrap:
    """Have `tell` called with the arguments, before the function is."""

    def wrap(original: Function) -> Function:
        @functools.wraps(original)
        def told(*arguments: Any, **more: Any) -> Any:
            quietly(tell, *arguments, **more)
            return original(*arguments, **more)

        return told

    return wrap


def after(tell: Function) -> Wrap:
    """Have `tell` called with the result and the arguments, after the function was."""

    def wrap(original: Function) -> Function:
        @functools.wraps(original)
        def told(*arguments: Any, **more: Any) -> Any:
            result = original(*arguments, **more)
            quietly(tell, result, *arguments, **more)
            return result

        return told

    return wrap


def inside(enter: Callable[..., AbstractContextManager[Any]]) -> Wrap:
    """Have a function, sync or async, run inside the context that `enter` makes of its arguments."""

    def wrap(original: Function) -> Function:
        if inspect.iscoroutinefunction(original):

            @functools.wraps(original)
            async def run_async(*arguments: Any, **more: Any) -> Any:
                with enter(*arguments, **more):
                    return await original(*arguments, **more)

            return run_async

        @functools.wraps(original)
        def run(*arguments: Any, **more: Any) -> Any:
            with enter(*arguments, **more):
                return original(*arguments, **more)

        return run

    return wrap
