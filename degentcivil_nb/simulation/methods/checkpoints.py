"""Coming to a checkpoint, where the run can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from ...core.arguments import function as function_of
from ..barrier import Barrier
from ..continuing import continuing
from ..control import Control
from .characters import CharacterMethods

_Function = TypeVar("_Function", bound=Callable[..., Any])


class CheckpointMethods(CharacterMethods):
    """The methods of a probe where the run can be stopped."""

    control: Control
    _barrier: Barrier | None

    def checkpoint(self, tick: Any = None, *, blocking: bool = False) -> None:
        """Let commands happen here, and stay while the run is paused. Call it once a tick, on the simulation's thread.

        Parameters
        ----------
        tick : int, optional
            The tick that is over; left out, the next number. A number that is no counted tick, such as 0.25, goes on as
            the model's own clock (`sim_time`), and the ticks are counted.
        blocking : bool
            Whether it may block a running event loop, where it otherwise does nothing but warn. In a notebook's cell it
            blocks as anywhere.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     for tick in range(3):
        ...         town.checkpoint(tick)
        ...     town
        <SimulationProbe ws://127.0.0.1:...: running at tick 2>
        """
        self._look()
        try:
            self.control.checkpoint(tick, blocking=blocking)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._fail(error)

    async def acheckpoint(self, tick: Any = None) -> None:
        """Do in a coroutine what `checkpoint` does.

        It never blocks the loop, and handlers may be coroutine functions.

        Parameters
        ----------
        tick : int, optional
            As in `checkpoint`.

        Examples
        --------
        >>> import asyncio
        >>> async def run(town):
        ...     for tick in range(3):
        ...         await town.acheckpoint(tick)
        >>> with dc.SimulationProbe(port=0) as town:
        ...     asyncio.run(run(town))
        ...     town
        <SimulationProbe ws://127.0.0.1:...: running at tick 2>
        """
        self._look()
        try:
            if self._barrier is None:
                await self.control.acheckpoint(tick)
            else:
                await self._barrier.arrive(partial(self.control.acheckpoint, tick))
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._fail(error)

    def barrier(self, n: int) -> Barrier:
        """Let a tick of an asyncio simulation end when `n` coroutines have come to `acheckpoint`.

        So `step(1)` is one tick of all of them.

        Parameters
        ----------
        n : int
            How many coroutines have to come, at least 1.

        Returns
        -------
        Barrier
            A coroutine that ends calls its `leave()`; `join()` adds one.

        Raises
        ------
        ValueError
            For a number that is none.

        Examples
        --------
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe:
        ...     probe.barrier(200).parties
        200
        """
        self._barrier = Barrier(n)
        return self._barrier

    def when_running(self, function: _Function) -> _Function:
        """Give a function, sync or async, that waits while the run is paused: for an answer that arrives meanwhile.

        Parameters
        ----------
        function : callable
            What follows, such as the use of a model's answer.

        Returns
        -------
        callable
            A function with the same arguments.

        Examples
        --------
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe:
        ...     act = probe.when_running(lambda answer: answer.upper())
        ...     act("go")
        'GO'
        """
        return continuing(self.control, function_of("function", function))

    def _fail(self, error: Exception) -> None:
        self.left_behind += 1
        self._complain(error)
