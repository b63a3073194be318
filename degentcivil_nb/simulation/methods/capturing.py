"""Capturing what the simulation's own code does: the acting character, model calls, failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from ...core.arguments import function as function_of
from ..acting import acting, carry
from ..guarding import EventLogHandler, guarded, tell_loop_exceptions
from ..llm_capture import LlmCapture, capture_function
from .calls import CallMethods
from .characters import CharacterMethods
from .events import EventMethods

_F = TypeVar("_F", bound=Callable[..., Any])


class CapturingMethods(CharacterMethods, EventMethods, CallMethods):
    """The methods of a probe that publish what a simulation's own code does, without changes to it."""

    def acting(self, character_id: Any) -> AbstractContextManager[None]:
        """Set who acts in a `with` block: what is published inside without a character belongs to this one.

        The setting holds across `await` and in tasks started inside; `carry` takes it into threads and executors.

        Parameters
        ----------
        character_id : any
            Who acts.

        Returns
        -------
        context manager
            For a `with` statement.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     with town.acting("emma"):
        ...         _ = town.event("woke up")
        ...     with dc.connect(town) as session:
        ...         session.events()["character_id"].to_list()
        ['emma']
        """
        return acting(character_id)

    def carry(self, function: _F) -> _F:
        """Return a function that runs with the character who acts now, wherever it is called.

        Parameters
        ----------
        function : callable
            Sync or async.

        Returns
        -------
        callable
            The function to hand to a thread or an executor: ``pool.submit(probe.carry(plan))``.

        Examples
        --------
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with probe.acting("emma"), ThreadPoolExecutor() as pool:
        ...     pool.submit(probe.carry(lambda: probe.event("woke up", id="dawn"))).result()
        'dawn'
        """
        return carry(function_of("function", function))

    def llm(self, character_id: Any = None, **details: Any) -> LlmCapture:
        """Measure a call of a model in a `with` block, and publish it at the end, also if it fails.

        Parameters
        ----------
        character_id : any, optional
            Whose call it is; left out, that of the acting character (`acting`), or of none.
        **details
            `prompt_type`, `prompt`, `model`, `cause` and whatever else `llm_call` takes.

        Returns
        -------
        LlmCapture
            Set `response` on it; `prompt_tokens`, `completion_tokens` and `model` are read from a provider's answer
            where they are not set. `latency_s` is the time in the block, and `id` is there afterwards.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     with town.llm("emma", prompt_type="PLAN", prompt="What now?", model="m") as call:
        ...         call.response = "sleep"
        ...     with dc.connect(town) as session:
        ...         session.llm_calls()[["prompt", "response", "model"]].to_numpy().tolist()
        [['What now?', 'sleep', 'm']]
        """
        return LlmCapture(self, character_id, **details)

    def llm_function(self, function: _F, character_id: Any = None, **details: Any) -> _F:
        """Return a function that does what `function` does, and publishes each call as a model call.

        Of a request only the prompt without images, the model and parameters such as `temperature` are recorded: no
        keys and no headers.

        Parameters
        ----------
        function : callable
            Sync, async or streaming; the call then ends with its stream.
        character_id : any, optional
            Whose calls they are; left out, those of the character who acts where it is called.
        **details
            `prompt_type`, `model`, `cause` and whatever else `llm_call` takes.

        Returns
        -------
        callable
            It takes and gives what `function` does.

        Examples
        --------
        >>> ask = probe.llm_function(lambda prompt: "sleep", prompt_type="PLAN")
        >>> ask("What now?")
        'sleep'
        """
        return capture_function(self, function_of("function", function), character_id, **details)

    def guard(self, function: _F, character_id: Any = None) -> _F:
        """Return a function whose exceptions are published as `error` events, and raised as before.

        Parameters
        ----------
        function : callable
            Sync or async.
        character_id : any, optional
            Whose errors they are; left out, those of the character who acts where it is called, or of none.

        Returns
        -------
        callable
            It takes, gives and raises what `function` does.

        Examples
        --------
        >>> halve = probe.guard(lambda money: money // 2)
        >>> halve(12)
        6
        """
        return guarded(self, function_of("function", function), character_id)

    def log_handler(self, level: int = logging.WARNING) -> logging.Handler:
        """Return a handler for `logging` that publishes records as `error` events, except records of this package.

        Parameters
        ----------
        level : int
            The least level that is published; `logging.WARNING` if left out.

        Returns
        -------
        logging.Handler
            For ``logger.addHandler``.

        Examples
        --------
        >>> import logging
        >>> logger = logging.getLogger("my_town")
        >>> with dc.SimulationProbe(port=0) as town:
        ...     handler = town.log_handler()
        ...     logger.addHandler(handler)
        ...     logger.warning("the bakery is out of bread")
        ...     logger.removeHandler(handler)
        ...     with dc.connect(town) as session:
        ...         session.errors()["message"].to_list()
        ['the bakery is out of bread']
        """
        return EventLogHandler(self, level)

    def loop_exceptions(self, loop: asyncio.AbstractEventLoop) -> None:
        """Publish the exceptions that no code caught in an event loop, such as of a task that died, as `error` events.

        The loop's own handler goes on as before.

        Parameters
        ----------
        loop : asyncio.AbstractEventLoop
            The loop that the simulation runs on.

        Examples
        --------
        >>> import asyncio
        >>> with dc.SimulationProbe(port=0) as town, asyncio.Runner() as runner:
        ...     loop = runner.get_loop()
        ...     loop.set_exception_handler(lambda loop, context: None)  # say nothing on the terminal
        ...     town.loop_exceptions(loop)
        ...     loop.call_exception_handler({"message": "a task died"})
        ...     with dc.connect(town) as session:
        ...         session.errors()["message"].to_list()
        ['a task died']
        """
        if not isinstance(loop, asyncio.AbstractEventLoop):
            raise TypeError(f"loop must be an event loop, not {type(loop).__name__}")
        tell_loop_exceptions(self, loop)
