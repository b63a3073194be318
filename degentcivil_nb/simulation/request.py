"""A command in the simulation: claimed once, run once, answered once."""

from __future__ import annotations

import inspect
import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from msgspec import Raw

from ..core.plain import plain
from ..core.shortening import head_of, shortened, tail_of
from ..core.text_of import text_of
from ..protocol.command_payloads import CommandResult
from ..protocol.commands import DeclaredCommand, refusal
from ..protocol.control_payloads import ClientInfo, RunState
from ..protocol.errors import WebSocketError
from ..protocol.json_text import encode
from ..server.dispatch import Change

log = logging.getLogger("degentcivil_nb.simulation")

Reply = Callable[[CommandResult], None]
MAX_RESULT_BYTES: Final = (1 << 20) - 1024
"""The largest result that fits into one message with its envelope."""
_TEXT: Final = 2_000
_TRACEBACK: Final = 4_000
"""How many characters of an exception's text and traceback are sent."""


DEFERRED: Final = object()
"""The return value of a handler that answers its request later."""

_asking: ContextVar[ClientInfo | None] = ContextVar("degentcivil_asking", default=None)

_command_id: ContextVar[str] = ContextVar("degentcivil_command_id", default="")


def who_asks() -> ClientInfo | None:
    """Return the client whose command is running here; `None` if it sent no identity."""
    return _asking.get()


def intervention() -> dict[str, Any]:
    """Return who changes the run here, and by which command; called inside a command's handler."""
    said, client = {"command_id": _command_id.get()}, _asking.get()
    return said if client is None else {"client": {"id": client.id, "name": client.name}, **said}


def over() -> WebSocketError:
    """Return the error of a command after the end of the run."""
    return WebSocketError(WebSocketError.WRONG_RUN_STATE, "the run is over, and takes no more commands")


class Request:
    """A command until it is answered. At deadline and checkpoint, whichever claims it first decides."""

    def __init__(
        self,
        id: str,
        command: DeclaredCommand,
        arguments: Mapping[str, Any],
        deadline: float,
        reply: Reply,
        client: ClientInfo | None = None,
    ) -> None:
        self.id = id
        self.command = command
        self.deadline = deadline
        self.client = client
        self.cancel_timer: Callable[[], None] | None = None
        self._arguments = dict(arguments)
        self._reply = reply
        self._unclaimed = threading.Lock()  # acquired once and never released: an atomic claim
        self._unanswered = threading.Lock()

    def claim(self) -> bool:
        """Claim the request for good; return `False` if it was claimed before."""
        return self._unclaimed.acquire(blocking=False)

    @property
    def claimed(self) -> bool:
        """Return whether the request was claimed."""
        return self._unclaimed.locked()

    def run(self) -> None:
        """Call the handler and answer with its result or its failure."""
        _asking.set(self.client)
        _command_id.set(self.id)
        try:
            result = self.command.function(**self._arguments)
            if inspect.iscoroutine(result):
                result.close()
                raise WebSocketError(
                    WebSocketError.SERVER_ERROR,
                    f"{self.command.name} is an async handler, and this simulation calls checkpoint(); "
                    "it has to `await probe.acheckpoint(tick)`",
                    retryable=False,
                )
        except BaseException as error:  # noqa: BLE001 — foreign code; its caller is the one to know
            self._blame(error)
        else:
            self.succeed(result)

    async def run_async(self) -> None:
        """Call the handler, which may be a coroutine function, and answer with its result or its failure."""
        _asking.set(self.client)
        _command_id.set(self.id)
        try:
            result = self.command.function(**self._arguments)
            if inspect.isawaitable(result):
                result = await result
        except BaseException as error:  # noqa: BLE001 — foreign code; its caller is the one to know
            self._blame(error)
        else:
            self.succeed(result)

    def succeed(self, result: Any) -> None:
        """Answer with a result, encoded at once, so that it may change afterwards; unless it is `DEFERRED`.

        Any value is converted to plain data, and shortened if it does not fit into an answer.
        """
        if result is DEFERRED:
            return
        if isinstance(result, (RunState, Change)):
            self.answer(CommandResult(True, result))
            return
        text = encode(plain(result))
        if len(text) > MAX_RESULT_BYTES:
            text = encode(shortened(plain(result), MAX_RESULT_BYTES))
        self.answer(CommandResult(True, Raw(text)))

    def fail(self, error: WebSocketError) -> None:
        """Answer with an error."""
        self.answer(refusal(error))

    def answer(self, result: CommandResult) -> None:
        """Send the answer, on the first call only."""
        if not self._unanswered.acquire(blocking=False):
            return
        if self.cancel_timer is not None:
            self.cancel_timer()
        try:
            self._reply(result)
        except Exception:  # a failure of the server, not of the simulation
            log.exception("the answer to %s could not be given", self.command.name)

    def _blame(self, error: BaseException) -> None:
        self.fail(error if isinstance(error, WebSocketError) else _failed(self.command.name, error))
        if not isinstance(error, Exception):
            raise error  # an interrupt belongs to the simulation


def _failed(name: str, error: BaseException) -> WebSocketError:
    text = tail_of("".join(traceback.format_exception(error)), _TRACEBACK)
    return WebSocketError(
        WebSocketError.SERVER_ERROR,
        f"{name} failed: {type(error).__name__}: {head_of(text_of(error), _TEXT)}",
        details={"traceback": text},
        retryable=False,
    )
