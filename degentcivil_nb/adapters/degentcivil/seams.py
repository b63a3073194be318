"""The seams of DegentCivil: functions and methods that the adapter wraps by name, in whichever module they are."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any, Final, NamedTuple

from ...core.text_of import text_of

log = logging.getLogger("degentcivil_nb.adapters")

Function = Callable[..., Any]
Wrap = Callable[[Function], Function]
_MARK: Final = "__degentcivil_nb__"
_ABSENT: Final = object()


class Seam(NamedTuple):
    """A method or a function that is wrapped once it is imported."""

    owner: str
    """The class; empty for a function of any module."""
    name: str
    wrap: Wrap
    shows: str
    """What cannot be shown without it."""
    overrides: bool = False
    """Whether the overriding methods of subclasses are wrapped too."""
    optional: bool = False
    """Whether it may be missing without a warning."""

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}" if self.owner else self.name


class Seams:
    """All seams, and which of them were found."""

    def __init__(self, seams: Iterable[Seam]) -> None:
        self._seams = list(seams)
        self.found: dict[str, list[str]] = {}
        """For each seam the modules that it was found in."""
        self.refused: dict[str, str] = {}
        """Seams that exist but cannot be wrapped, each with the reason."""
        self._replaced: dict[int, tuple[Function, Function]] = {}
        self._originals: dict[int, Function] = {}
        self._undo: list[Callable[[], None]] = []

    def bind(self, module: ModuleType) -> None:
        """Wrap the functions that a module defines, and those that it has imported by name."""
        for name, value in list(vars(module).items()):
            if inspect.isclass(value) and value.__module__ == module.__name__:
                for seam in self._seams:
                    if seam.owner:
                        self._bind_class(seam, value)
            elif id(value) in self._replaced:
                self.put(module, name, self._replaced[id(value)][1])
            elif id(value) in self._originals:  # imported by name when it was wrapped already
                self._undo.append(functools.partial(_put_back, module, name, value, self._originals[id(value)]))
            elif inspect.isfunction(value):
                for seam in self._seams:
                    if not seam.owner and seam.name == name:
                        self.put(module, name, self.replace(value, seam.wrap))
                        self._note(seam, module.__name__)

    def replace(self, original: Function, wrap: Wrap) -> Function:
        """Wrap a function, and replace it in every module that imports it."""
        if hasattr(original, _MARK):
            return original
        if id(original) not in self._replaced:
            wrapped = _marked(wrap(original))
            self._replaced[id(original)] = (original, wrapped)
            self._originals[id(wrapped)] = original
        return self._replaced[id(original)][1]

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of a module, a class or an object, until `release`."""
        own = vars(owner).get(name, _ABSENT)
        if own is not value:
            setattr(owner, name, value)
            self._undo.append(functools.partial(_put_back, owner, name, value, own))

    def release(self) -> None:
        """Restore everything, in reverse order."""
        while self._undo:
            quietly(self._undo.pop())
        self._replaced.clear()
        self._originals.clear()
        self.found.clear()

    def missing(self) -> dict[str, str]:
        """Return the seams that were not found so far, each with what it would show."""
        absent = {str(seam): seam.shows for seam in self._seams if not seam.optional and str(seam) not in self.found}
        return {name: f"{shows}{self.refused.get(name, '')}" for name, shows in absent.items()}

    def _bind_class(self, seam: Seam, kind: type) -> None:
        own = vars(kind).get(seam.name)
        if kind.__name__ == seam.owner:
            own = inspect.getattr_static(kind, seam.name, None) if own is None else own
        elif not (seam.overrides and any(base.__name__ == seam.owner for base in kind.__mro__)):
            return
        if not inspect.isfunction(own):
            if own is not None:
                self.refused[str(seam)] = f" (it is a {type(own).__name__} there, not a method)"
            return
        if not hasattr(own, _MARK):
            try:
                self.put(kind, seam.name, _marked(seam.wrap(own)))
            except Exception as error:  # noqa: BLE001 — a metaclass may refuse it with anything
                self.refused[str(seam)] = f" (it cannot be replaced: {text_of(error)})"
                return
        self._note(seam, kind.__module__)

    def _note(self, seam: Seam, module: str) -> None:
        modules = self.found.setdefault(str(seam), [])
        if module not in modules:
            modules.append(module)


def _put_back(owner: Any, name: str, ours: Any, own: Any) -> None:
    """Restore an attribute, unless other code has replaced ours since."""
    if vars(owner).get(name) is not ours:
        return
    if own is _ABSENT:
        delattr(owner, name)
    else:
        setattr(owner, name, own)


def _marked(function: Function) -> Function:
    setattr(function, _MARK, True)
    return function


def quietly(tell: Function, *arguments: Any, **more: Any) -> None:
    """Call a function of ours from foreign code: its failures are logged, and never raised into that code."""
    try:
        tell(*arguments, **more)
    except Exception:  # the last boundary to the simulation
        log.exception("an event of DegentCivil could not be published; the town goes on")


def before(tell: Function) -> Wrap:
    """Call `tell` with the arguments, before the function."""

    def wrap(original: Function) -> Function:
        @functools.wraps(original)
        def told(*arguments: Any, **more: Any) -> Any:
            quietly(tell, *arguments, **more)
            return original(*arguments, **more)

        return told

    return wrap


def after(tell: Function) -> Wrap:
    """Call `tell` with the result and the arguments, after the function, which may be sync or async."""

    def wrap(original: Function) -> Function:
        @functools.wraps(original)
        def told(*arguments: Any, **more: Any) -> Any:
            return ending(original(*arguments, **more), lambda result: quietly(tell, result, *arguments, **more))

        return told

    return wrap


def ending(result: Any, tell: Callable[[Any], None]) -> Any:
    """Call `tell` with a result: at once, or if it is a coroutine, when that has ended."""
    if not inspect.iscoroutine(result):
        tell(result)
        return result

    async def awaited() -> Any:
        outcome = await result
        tell(outcome)
        return outcome

    return awaited()


def inside(enter: Callable[..., AbstractContextManager[Any]]) -> Wrap:
    """Run a function, sync or async, inside the context that `enter` makes of its arguments."""

    def wrap(original: Function) -> Function:
        if inspect.iscoroutinefunction(original):

            @functools.wraps(original)
            async def run_async(*arguments: Any, **more: Any) -> Any:
                with _guarded(enter, arguments, more):
                    return await original(*arguments, **more)

            return run_async

        @functools.wraps(original)
        def run(*arguments: Any, **more: Any) -> Any:
            with _guarded(enter, arguments, more):
                result = original(*arguments, **more)
            if not inspect.iscoroutine(result):
                return result

            async def awaited() -> Any:  # a decorator has hidden that it is a coroutine function
                with _guarded(enter, arguments, more):
                    return await result

            return awaited()

        return run

    return wrap


@contextmanager
def _guarded(
    enter: Callable[..., AbstractContextManager[Any]], arguments: tuple[Any, ...], more: dict[str, Any]
) -> Iterator[None]:
    """Enter a context of ours, or go on without it if that fails: foreign code must run in any case."""
    try:
        context = enter(*arguments, **more)
        context.__enter__()
    except Exception:  # the last boundary to the simulation
        log.exception("something in DegentCivil could not be published; the town goes on")
        yield
        return
    try:
        yield
    finally:
        quietly(context.__exit__, None, None, None)
