"""Swallowed exceptions and debuggers' traps: each is published, and a trap does not wait at a terminal's prompt."""

from __future__ import annotations

import asyncio
import bdb
import functools
import pdb
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType, MappingProxyType, ModuleType, TracebackType
from typing import Any, Final

from ...core.text_of import class_name, text_of
from ...simulation.acting import who_acts
from ...simulation.probe import SimulationProbe
from .facts import name_of, read
from .seams import Function, Seam, Seams, quietly

_FRAMES: Final = 12
"""How many frames of the stack are published with a trap."""
_owner: ContextVar[str | None] = ContextVar("degentcivil_chain", default=None)
_heard: ContextVar[set[int] | None] = ContextVar("degentcivil_heard", default=None)


class Failures:
    """The publisher of swallowed exceptions, those of tasks and callbacks, and the traps of debuggers."""

    def __init__(self, probe: SimulationProbe, *, debugger: bool = False) -> None:
        self.probe = probe
        self._debugger = debugger
        self._loops: dict[int, Callable[[], None]] = {}
        self._traceback = _Traceback(self._printed)

    def seams(self) -> list[Seam]:
        """List the functions to wrap."""
        return [
            Seam("FunctionChain", "execute", self._chaining, "exceptions that a chain swallows"),
            Seam("", "main", self._guarding, "how the town's own main ends", optional=True),
        ]

    def bind(self, seams: Seams, module: ModuleType) -> None:
        """Watch the tracebacks that a module prints of exceptions that it has caught."""
        for name, value in list(vars(module).items()):
            if value is traceback:
                seams.put(module, name, self._traceback)
            elif value is traceback.print_exc:
                seams.put(module, name, self._traceback.print_exc)

    def bind_traps(self, seams: Seams, module: ModuleType | None = None) -> None:
        """Replace functions that stop at a prompt by ones that publish; those of `ipdb` once it is imported."""
        if module is not None:
            if module.__name__.partition(".")[0] == "ipdb" and hasattr(module, "set_trace"):
                seams.put(module, "set_trace", seams.replace(module.set_trace, self._trapping))
            return
        for debugger in (bdb, pdb):
            seams.put(debugger, "set_trace", seams.replace(debugger.set_trace, self._trapping))
        seams.put(sys, "breakpointhook", seams.replace(sys.breakpointhook, self._trapping))

    def detach(self) -> None:
        """Give the loops back their own handlers."""
        for give_back in self._loops.values():
            quietly(give_back)
        self._loops.clear()

    # --- swallowed -----------------------------------------------------------------------------------------------

    def _chaining(self, original: Function) -> Function:
        @functools.wraps(original)
        def execute(*arguments: Any, **more: Any) -> Any:
            heard: set[int] = set()
            with _set(_owner, _owner_among(arguments, more) or who_acts()), _set(_heard, heard):
                result = original(*arguments, **more)
                if not asyncio.iscoroutine(result):
                    quietly(self._executed, result, heard)
                    return result
            return self._chained(result, arguments, more)

        return execute

    async def _chained(self, chain: Any, arguments: tuple[Any, ...], more: dict[str, Any]) -> Any:
        """Await a chain that is a coroutine, and publish the exceptions that it swallows."""
        heard: set[int] = set()
        with _set(_owner, _owner_among(arguments, more) or who_acts()), _set(_heard, heard):
            result = await chain
            quietly(self._executed, result, heard)
        return result

    def _executed(self, result: Any, heard: set[int]) -> None:
        """Report a chain that failed and printed nothing."""
        if isinstance(result, tuple) and result and result[0] is False and not heard:
            text = text_of(result[1]) if len(result) > 1 else "without a reason"
            self.probe.error("SWALLOWED", f"a chain of functions failed: {text}", character_id=_owner.get())

    def _printed(self) -> None:
        error = sys.exc_info()[1]
        if error is None:
            return
        heard = _heard.get()
        if heard is not None:
            heard.add(id(error))
        self._tell("SWALLOWED", "swallowed, and only printed", error, _owner.get() or who_acts())

    # --- tasks and callbacks -------------------------------------------------------------------------------------

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Publish the exceptions that no code caught in a loop, before the loop's own handler runs."""
        if id(loop) in self._loops:
            return
        its_own = loop.get_exception_handler()

        def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            quietly(self._uncaught, context)
            if its_own is None:
                loop.default_exception_handler(context)
            else:
                its_own(loop, context)

        def give_back() -> None:
            if loop.get_exception_handler() is handle:
                loop.set_exception_handler(its_own)

        self._loops[id(loop)] = give_back
        loop.set_exception_handler(handle)

    def _uncaught(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, asyncio.CancelledError):
            return
        handle = context.get("handle")
        callback = getattr(handle, "_callback", None)
        owner = _owner_in_closure(callback) or _actor_of(handle)
        message = str(context.get("message", "an exception that nobody caught")).split("(<")[0]
        self._tell("UNCAUGHT", message, error, owner)

    def _guarding(self, original: Function) -> Function:
        """Report how a coroutine called `main` ended, since nobody awaits its task."""
        if not asyncio.iscoroutinefunction(original):
            return original

        @functools.wraps(original)
        async def main(*arguments: Any, **more: Any) -> Any:
            quietly(self.watch, asyncio.get_running_loop())
            try:
                return await original(*arguments, **more)
            except Exception as error:
                quietly(self._tell, "UNCAUGHT", f"{original.__module__}.main() ended", error, None)
                raise

        return main

    def _tell(self, code: str, what: str, error: BaseException | None, owner: str | None) -> None:
        text = "" if error is None else f": {class_name(type(error))}: {text_of(error)}"
        self.probe.error(code, what + text, character_id=owner, exception=error)

    # --- traps ---------------------------------------------------------------------------------------------------

    def _trapping(self, original: Function) -> Function:
        @functools.wraps(original)
        def set_trace(*arguments: Any, **more: Any) -> Any:
            quietly(self._trapped, sys._getframe(1))
            return original(*arguments, **more) if self._debugger else None

        return set_trace

    def _trapped(self, frame: FrameType) -> None:
        code = frame.f_code
        what = "stops at its prompt on the terminal" if self._debugger else "was skipped: the town goes on"
        self.probe.error(
            "DEBUGGER_TRAP",
            f"a debugger's trap in {code.co_name} ({code.co_filename}:{frame.f_lineno}) {what}",
            character_id=who_acts(),
            exception=DebuggerTrap(code.co_name).with_traceback(_stack(frame)),
        )


class DebuggerTrap(Exception):
    """A debugger's trap that was reached; it is never raised, and only holds the location."""


class _Traceback(ModuleType):
    """A stand-in for the module `traceback` in one module, which reports calls of `print_exc`."""

    def __init__(self, heard: Function) -> None:
        super().__init__("traceback", traceback.__doc__)

        @functools.wraps(traceback.print_exc)
        def print_exc(*arguments: Any, **more: Any) -> None:
            quietly(heard)
            traceback.print_exc(*arguments, **more)

        self.print_exc = print_exc

    def __getattr__(self, name: str) -> Any:
        return getattr(traceback, name)


@contextmanager
def _set(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _stack(frame: FrameType | None) -> TracebackType | None:
    """Return the innermost frames of a stack as a traceback."""
    found: TracebackType | None = None
    for _ in range(_FRAMES):
        if frame is None:
            break
        found = TracebackType(found, frame, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return found


def _owner_among(values: Iterable[Any], more: Mapping[str, Any] = MappingProxyType({})) -> str | None:
    """Return the character of the first of these values that has one."""
    return next((name_of(value) for value in (*values, *more.values()) if read(value, "character") is not None), None)


def _owner_in_closure(callback: Any) -> str | None:
    """Find the state or the monologue that made a callback: in its closure, its `partial` or its `self`."""
    for _ in range(5):
        held = [cell.cell_contents for cell in getattr(callback, "__closure__", None) or () if _is_filled(cell)]
        held += [getattr(callback, "__self__", None), *getattr(callback, "args", ())]
        owner = _owner_among(held)
        if owner is not None:
            return owner
        callback = next((value for value in [getattr(callback, "func", None), *held] if callable(value)), None)
        if callback is None:
            return None
    return None


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 — an empty cell raises
    except ValueError:
        return False
    return True


def _actor_of(handle: Any) -> str | None:
    """Return the character that acted when a callback was added."""
    context = getattr(handle, "_context", None)
    actor = None if context is None else context.copy().run(who_acts)
    return actor if isinstance(actor, str) else None
