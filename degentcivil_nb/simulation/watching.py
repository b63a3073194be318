"""The words that watch a simulation's own code: who acts, calls of models, failures, objects that change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from .acting import acting, carry
from .guarding import EventLogHandler, guarded, tell_loop_exceptions
from .llm_capture import LlmCapture, capture_function
from .publishing import Publish, Ticking
from .tracking import Tracker
from .words import Words

_F = TypeVar("_F", bound=Callable[..., Any])


class Watching(Words):
    """Tell of what a simulation's own code does, around it and without a change of it."""

    def __init__(self, publish: Publish, ticking: Ticking, clock: Callable[[], float]) -> None:
        super().__init__(publish, ticking, clock)
        self._tracker = Tracker(self.update)

    def acting(self, character_id: Any) -> AbstractContextManager[None]:
        """Say who acts in a `with` block: what is told inside without a character is theirs.

        It holds along `await` and in tasks started inside; `carry` takes it into threads and executors.

        Examples
        --------
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe, probe.acting("emma"):
        ...     probe.event("woke up")  # Emma's
        """
        return acting(character_id)

    def carry(self, function: _F) -> _F:
        """Give a function that acts as whoever acts now, wherever it is called: `pool.submit(probe.carry(plan))`."""
        return carry(function)

    def llm(self, character_id: Any = None, **details: Any) -> LlmCapture:
        """Measure a call of a model in a `with` block, and tell it at the end, also where it fails.

        Parameters
        ----------
        character_id
            Whose call it is; left out, of whoever acts here (`acting`).
        **details
            `prompt_type`, `prompt`, `model`, `cause` and whatever else `llm_call` takes.

        Returns
        -------
        LlmCapture
            Set `response` on it; `prompt_tokens`, `completion_tokens` and `model` are read from a provider's answer
            where they are not set. `latency_s` is the time in the block.

        Examples
        --------
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe:
        ...     with probe.llm("emma", prompt_type="PLAN", prompt="What now?", model="m") as call:
        ...         call.response = "sleep"
        """
        return LlmCapture(self, character_id, **details)

    def llm_function(self, function: _F, character_id: Any = None, **details: Any) -> _F:
        """Give a function that asks a model as `function` does, and tells each call.

        It may be sync, async or give a stream; the call then ends with its stream. Of a request only the prompt
        without images, the model and parameters such as `temperature` are recorded: no keys and no headers.

        Examples
        --------
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe:
        ...     ask = probe.llm_function(lambda prompt: "sleep", prompt_type="PLAN")
        ...     ask("What now?")
        'sleep'
        """
        return capture_function(self, function, character_id, **details)

    def track(self, character_id: Any, thing: Any, attributes: Iterable[str]) -> None:
        """Look at attributes (or keys) of an object after each checkpoint, and tell those that changed.

        The object is not kept alive for this, where its class allows weak references.
        """
        try:
            self._tracker.track(character_id, thing, attributes)
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind("track", character_id, error)

    def _look(self) -> None:
        try:
            self._tracker.look()
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self._leave_behind("track", None, error)

    def guard(self, function: _F, character_id: Any = None) -> _F:
        """Give a function, sync or async, whose exceptions are told as `error` events, and raised on as before."""
        return guarded(self, function, character_id)

    def log_handler(self, level: int = logging.WARNING) -> logging.Handler:
        """Give a handler for `logging` that tells records from `level` on as `error` events, this package's left out.

        Examples
        --------
        >>> import logging
        >>> from degentcivil_nb.simulation import SimulationProbe
        >>> with SimulationProbe(port=0) as probe:
        ...     logging.getLogger("my_town").addHandler(probe.log_handler())
        """
        return EventLogHandler(self, level)

    def loop_exceptions(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell what an event loop finds that nobody caught, such as a task that died; its own handler goes on."""
        tell_loop_exceptions(self, loop)

    def left(self, character_id: Any) -> None:
        """Tell that a character is gone from the town; the present no longer lists it, and it is no longer tracked."""
        super().left(character_id)
        self._tracker.forget(character_id)
