"""Commands in flight: each has one id, is sent again only where that is safe, and has a known or unknown outcome."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from msgspec import Raw

from ..protocol.command_payloads import NO_DEADLINE, WITHDRAW, Command, CommandResult
from ..protocol.errors import CommandError, OutcomeUnknown, WebSocketError
from ..protocol.json_text import decode, encode
from ..protocol.messages import MessageTypes, RawMessage
from ..protocol.stream_payloads import ErrorPayload

MAX_DEADLINE_S: Final = 3600.0
"""The longest deadline in seconds that servers accept; earlier versions accept no command without one."""
Send = Callable[[bytes], Awaitable[None]]
"""A function that sends a frame on the current connection; a frame that is lost is sent again on the next one."""


@dataclass(slots=True)
class _Pending:
    name: str
    arguments: dict[str, Any]
    deadline: float | None
    answer: asyncio.Future[CommandResult]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    sent_in: str | None = None  # the epoch in which it was first sent

    def frame(self, now: float, *, unlimited: bool = True) -> bytes:
        command = Command(self.name, self.arguments, self.sent_in, self._deadline_s(now, unlimited))
        return encode(RawMessage(MessageTypes.COMMAND, Raw(encode(command)), id=self.id))

    def _deadline_s(self, now: float, unlimited: bool) -> float | Literal["none"]:
        left = math.inf if self.deadline is None else self.deadline - now
        if left > MAX_DEADLINE_S:
            return "none" if unlimited else MAX_DEADLINE_S
        # the server's deadline is a little earlier, so that its TIMEOUT arrives before ours
        return max(0.05, left - min(1.0, 0.2 * left))


class Requests:
    """The commands in flight, matched with their answers across connections."""

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._send: Send | None = None
        self._epoch = ""
        self._capabilities: frozenset[str] = frozenset()

    async def request(self, name: str, arguments: dict[str, Any], deadline_s: float | None) -> CommandResult:
        """Send a command, now or once there is a connection, and return its answer; without a deadline, wait as long as
        it takes.

        Raises `CommandError` as the server answers, or with 1104 if it could not be sent in `deadline_s` seconds;
        `OutcomeUnknown` when it was sent and no answer arrived. A cancelled caller withdraws a command that has not
        begun.
        """
        loop = asyncio.get_running_loop()
        deadline = None if deadline_s is None else loop.time() + deadline_s
        pending = _Pending(name, arguments, deadline, loop.create_future())
        try:
            pending.frame(loop.time())
        except WebSocketError as error:
            raise CommandError(CommandError.INVALID_ARGUMENTS, error.message, details=error.details) from error
        self._pending[pending.id] = pending
        try:
            async with asyncio.timeout_at(pending.deadline):
                if self._send is not None:
                    await self._transmit(pending, self._send)
                return await pending.answer
        except TimeoutError:
            if pending.sent_in is None:
                raise CommandError(
                    CommandError.TIMEOUT, f"{name!r:.80} was never sent: there was no connection for {deadline_s:g} s"
                ) from None
            await self._withdraw(pending)
            raise OutcomeUnknown(name, pending.id, f"no answer came within {deadline_s:g} s") from None
        except asyncio.CancelledError:
            await self._withdraw(pending)
            raise
        finally:
            del self._pending[pending.id]
            if pending.answer.done() and not pending.answer.cancelled():
                pending.answer.exception()  # retrieved, even if the deadline passed at the same moment

    async def connected(self, send: Send, epoch: str) -> None:
        """Send the waiting commands, and send again what the same epoch may have missed: it recognises repeated ids."""
        self._send, self._epoch = send, epoch
        for pending in list(self._pending.values()):
            if pending.sent_in not in (None, epoch):
                self._lost(pending, "the server restarted before it answered")
            else:
                await self._transmit(pending, send)

    def set_capabilities(self, capabilities: Iterable[str]) -> None:
        """Set the capabilities of the connected server."""
        self._capabilities = frozenset(capabilities)

    def disconnected(self) -> None:
        """Hold commands back until there is a connection again."""
        self._send = None

    def close(self, reason: str) -> None:
        """End every command in flight."""
        self._send = None
        for pending in self._pending.values():
            if pending.sent_in is not None:
                self._lost(pending, reason)
            elif not pending.answer.done():
                error = CommandError(CommandError.TIMEOUT, f"{pending.name!r} was never sent: {reason}")
                pending.answer.set_exception(error)

    def answered(self, message: RawMessage) -> None:
        """Process a `command_result`, or an `error` with a command's id; `WebSocketError` 1001 if it is neither."""
        pending = self._pending.get(message.id or "")
        if pending is None or pending.answer.done():
            return  # too late, or unknown
        if message.type == MessageTypes.ERROR:
            server_error = decode(ErrorPayload, message.data)
            pending.answer.set_exception(CommandError(server_error.code, server_error.message))
            return
        result = decode(CommandResult, message.data)
        if result.ok:
            pending.answer.set_result(result)
            return
        error = result.error
        pending.answer.set_exception(
            CommandError(error.code, error.message, details=error.details, retryable=error.retryable)
            if error is not None
            else CommandError(CommandError.SERVER_ERROR, "the command failed, and the server gave no reason")
        )

    async def _withdraw(self, pending: _Pending) -> None:
        if pending.sent_in == self._epoch and self._send is not None and WITHDRAW in self._capabilities:
            await self._send(encode(RawMessage(MessageTypes.WITHDRAW, id=pending.id)))

    async def _transmit(self, pending: _Pending, send: Send) -> None:
        if pending.sent_in is None:
            pending.sent_in = self._epoch
        unlimited = NO_DEADLINE in self._capabilities
        await send(pending.frame(asyncio.get_running_loop().time(), unlimited=unlimited))

    @staticmethod
    def _lost(pending: _Pending, reason: str) -> None:
        if not pending.answer.done():
            pending.answer.set_exception(OutcomeUnknown(pending.name, pending.id, reason))
