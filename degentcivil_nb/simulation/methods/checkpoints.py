"""Coming to a checkpoint, where the run can be stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, TypeVar

from ...core.arguments import function as function_of
from ...server.simulation_websocket import SimulationWebSocket
from ..barrier import Barrier
from ..continuing import continuing
from ..control import Control
from .characters import CharacterMethods

_FAR: Final = 5_000
"""How many messages a client must be behind for a checkpoint to wait."""
_NEAR: Final = 1_000
"""How many messages clients may be behind for the checkpoint to continue."""
_LOOK_S: Final = 0.002
_Function = TypeVar("_Function", bound=Callable[..., Any])


class CheckpointMethods(CharacterMethods):
    """The methods of a probe where the run can be stopped."""

    control: Control
    _barrier: Barrier | None
    _keep_up_s: float | None
    _server: SimulationWebSocket

    def checkpoint(self, tick: Any = None, *, blocking: bool = False) -> None:
        """Run waiting commands, and wait while the run is paused. Call this once a tick, on the simulation's thread.

        Parameters
        ----------
        tick : int, optional
            The tick that is over; left out, the next number. A number that is not a whole one, such as 0.25, is taken
            as the model's own clock (`sim_time`), and the ticks are counted.
        blocking : bool
            Whether the call may block a running event loop; otherwise it only logs a warning there. In a notebook's
            cell it always blocks.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     for tick in range(3):
        ...         town.checkpoint(tick)
        ...     town
        <SimulationProbe ws://127.0.0.1:...: running at tick 2>
        """
        try:
            if self._tracker:
                self._look()
            if self._keep_up_s is not None:
                self._let_others_catch_up()
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
        try:
            if self._tracker:
                self._look()
            if self._keep_up_s is not None:
                await self._let_others_catch_up_async()
            if self._barrier is None:
                await self.control.acheckpoint(tick)
            elif self.control.ended:
                self._barrier.give_up()
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
            If `n` is not a whole number of at least 1.

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
        """Return a function, sync or async, that first waits while the run is paused, such as for a model's answer.

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

    # --- waiting for those who are connected ---------------------------------------------------------------------

    def _let_others_catch_up(self) -> None:
        """Wait while a client is far behind, `keep_up_s` at most, and leave the interpreter to the other threads."""
        for _ in self._behind():
            time.sleep(_LOOK_S)

    async def _let_others_catch_up_async(self) -> None:
        for _ in self._behind():
            await asyncio.sleep(_LOOK_S)

    def _behind(self) -> Iterator[None]:
        if self._server.backlog() < _FAR:
            return
        deadline = time.monotonic() + (self._keep_up_s or 0)
        while self._server.backlog() > _NEAR and time.monotonic() < deadline:
            yield
