"""One update of the town is one tick; between two updates the town can be paused, and model answers are then held."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any, Final

from ...simulation.probe import SimulationProbe
from .facts import read, tick_of
from .seams import Function, Seam, Seams, ending, quietly

_STANDING: Final = 5
"""The number of calls of `update_state` in a row that do nothing, after which that is reported."""


class Updates:
    """The checkpoint, in the town's sleep between two updates: its own coroutine has no other place for one."""

    def __init__(
        self,
        probe: SimulationProbe,
        look: Callable[[Any], None],
        answered: Callable[[Any, Any], None],
    ) -> None:
        self.probe = probe
        self._look = look
        self._answered = answered
        self._due: weakref.WeakKeyDictionary[asyncio.Task[Any], int] = weakref.WeakKeyDictionary()
        self._held: list[tuple[contextvars.Context, Callable[[], Any]]] = []
        self._standing = 0
        self._count = 0
        self._warned = False

    def seams(self) -> list[Seam]:
        """List the functions to wrap."""
        return [
            Seam("Simulation", "update_state", self._updating, "ticks, attributes and pauses"),
            Seam("BaseState", "execute_post_llm_chain", self._answering, "answers held in a pause", overrides=True),
        ]

    def bind_sleep(self, seams: Seams) -> None:
        """Run the checkpoint in the first sleep of a task after an update, before it sleeps."""
        sleep = seams.replace(asyncio.sleep, self._sleeping)
        seams.put(asyncio, "sleep", sleep)
        seams.put(asyncio.tasks, "sleep", sleep)

    def detach(self) -> None:
        """Release held answers."""
        self._release()
        self._due.clear()

    def _updating(self, original: Function) -> Function:
        @functools.wraps(original)
        def update_state(simulation: Any, *arguments: Any, **more: Any) -> Any:
            before = tick_of(simulation)
            try:
                result = original(simulation, *arguments, **more)
            except BaseException:
                quietly(self._updated, simulation, before)
                raise
            return ending(result, lambda _: quietly(self._updated, simulation, before))

        return update_state

    def _updated(self, simulation: Any, before: Any) -> None:
        counted = tick_of(simulation)
        self._count += 1
        tick = self._count if counted is None else counted
        quietly(self._look, simulation)
        if read(simulation, "started", True):
            self._tell_standing(simulation, counted is None or counted != before)
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no loop runs here
            task = None
        if task is None:
            self.probe.checkpoint(tick)
            self._release()
            return
        if task in self._due and not self._warned:
            self._warned = True
            self.probe.error(
                "NO_CHECKPOINT",
                "the town does not await asyncio.sleep between two updates, so that it cannot be paused there",
            )
        self._due[task] = tick

    def _tell_standing(self, simulation: Any, went_on: bool) -> None:
        self._standing = 0 if went_on else self._standing + 1
        if self._standing == _STANDING:
            days = read(simulation, "newday_countdown")
            self.probe.error(
                "TOWN_STANDS",
                f"update_state is called and does nothing (newday_countdown is {days}): the town waits for the game's "
                "message 2002, a new day",
            )

    def _sleeping(self, original: Function) -> Function:
        @functools.wraps(original)
        async def sleep(*arguments: Any, **more: Any) -> Any:
            if self._due:
                task = asyncio.current_task()
                if task is not None and task in self._due:
                    await self.probe.acheckpoint(self._due.pop(task))
                    self._release()
            return await original(*arguments, **more)

        return sleep

    # --- answers that come during a pause ------------------------------------------------------------------------

    def _answering(self, original: Function) -> Function:
        if inspect.iscoroutinefunction(original):
            return self._answering_async(original)

        @functools.wraps(original)
        def execute_post_llm_chain(state: Any, result: Any = None, *arguments: Any, **more: Any) -> Any:
            if self.probe.run_state != "paused":
                quietly(self._answered, state, result)
                return original(state, result, *arguments, **more)

            def later() -> Any:
                quietly(self._answered, state, result)
                return original(state, result, *arguments, **more)

            self._held.append((contextvars.copy_context(), later))
            return None

        return execute_post_llm_chain

    def _answering_async(self, original: Function) -> Function:
        @functools.wraps(original)
        async def execute_post_llm_chain(state: Any, result: Any = None, *arguments: Any, **more: Any) -> Any:
            if self.probe.run_state == "paused":
                go_on = asyncio.get_running_loop().create_future()
                self._held.append((contextvars.copy_context(), functools.partial(_end, go_on)))
                await go_on
            quietly(self._answered, state, result)
            return await original(state, result, *arguments, **more)

        return execute_post_llm_chain

    def _release(self) -> None:
        """Release held answers in the order of their arrival, each in a turn of the loop of its own."""
        held, self._held = self._held, []
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            for context, later in held:
                context.run(later)
            return
        for context, later in held:
            loop.call_soon(later, context=context)


def _end(wait: asyncio.Future[None]) -> None:
    if not wait.done():  # it was cancelled
        wait.set_result(None)
