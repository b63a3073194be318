"""Commands on the server's side: each id is executed once and answered to everyone who sent it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import Raw, structs

from ..monitoring.interfaces import Monitor, NullMonitor
from ..protocol.command_payloads import Command, CommandResult, CommandSpec
from ..protocol.commands import permitted, refusal
from ..protocol.control_payloads import RunState
from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..protocol.messages import MessageTypes, RawMessage, WebSocketMessage
from .interfaces import CommandHandler, Requester
from .peers.closing import message_of
from .stream.receipts import Receipt

log = logging.getLogger("degentcivil_nb.server")

MAX_DEADLINE_S: Final = 3600.0
"""The longest deadline in seconds; a client that wants to wait longer sends none."""
DEADLINE_S: Final = 10.0
"""The deadline in seconds of a command that states none."""
_MARGIN_S: Final = 60.0
"""How long an answer is kept at least after it was sent to a connected client."""
REMEMBERED_S: Final = MAX_DEADLINE_S + _MARGIN_S
"""How long an id is kept after it was answered: no retry can arrive later."""
ABANDONED_S: Final = 60.0
"""How long a command without a deadline waits for its client to reconnect."""
_MAX_ID: Final = 128  # characters; a UUID has 36


class Change(NamedTuple):
    """The result of a command that put an event into the stream: the run's state, and the receipt of that event."""

    state: RunState
    receipt: Receipt


class _Request:
    """The record of one id: who sent it, who waits for its answer, and the answer."""

    __slots__ = (
        "answer",
        "answered",
        "cut",
        "fingerprint",
        "looks",
        "name",
        "patient",
        "requesters",
        "started",
        "waiting",
    )

    def __init__(self, spec: CommandSpec, fingerprint: bytes, now: float, *, patient: bool) -> None:
        self.name = spec.name
        self.looks = spec.role == "viewer"  # and changes nothing
        self.fingerprint = fingerprint
        self.started = now
        self.patient = patient  # without a deadline
        self.requesters: list[Requester] = []
        self.waiting: list[Requester] = []
        self.cut = False  # whether a requester has disconnected, and may ask again
        self.answer: bytes | None = None
        self.answered = 0.0


class DispatchStatistics(NamedTuple):
    """How many commands a dispatcher holds, and how many it has passed on."""

    pending: int
    remembered: int
    answer_bytes: int
    submitted: int
    duplicates: int


class Dispatcher:
    """The dispatcher of commands: it checks them, passes each to the `handler` once, and sends every sender the same
    answer.

    Within its epoch an id is kept until it is answered, and an hour longer. When there are more than `max_remembered`,
    ids whose clients are still connected and got their answer a minute ago are dropped sooner; if there are none, new
    commands are refused (1106) rather than old ids dropped. Answers are kept up to `max_answer_bytes` in all. A command
    that was refused before it reached the handler had no effect and is not kept.

    The handler keeps the deadline: only the checkpoint knows whether a command was claimed before it passed. A command
    without one is withdrawn when its client has been gone for a minute. All methods run on the server's loop; the
    handler may reply from any thread.
    """

    def __init__(
        self,
        handler: CommandHandler | None,
        *,
        epoch: str,
        drain: Callable[[], int] | None = None,
        monitor: Monitor | None = None,
        max_remembered: int = 10_000,
        max_answer_bytes: int = 16 << 20,
        max_message_bytes: int = 1 << 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._handler = handler
        self._epoch = epoch
        self._drain = drain
        self._monitor: Monitor = NullMonitor() if monitor is None else monitor
        self._max_remembered = max_remembered
        self._max_answer_bytes = max_answer_bytes
        self._max_result = max_message_bytes - 1024  # room for the envelope
        self._clock = clock
        self._pending: dict[str, _Request] = {}
        self._done: OrderedDict[str, _Request] = OrderedDict()
        """Answered commands, in the order of their answers."""
        self._answer_bytes = 0
        self._submitted = self._duplicates = 0

    def handle(self, peer: Requester, message: RawMessage) -> None:
        """Process a `command` message of a peer.

        It gets exactly one `command_result`, now or later. `WebSocketError` 1001 if there is no id to answer to.
        """
        id = message.id
        if not id or len(id) > _MAX_ID:
            raise WebSocketError(
                WebSocketError.INVALID_MESSAGE, f"a command has an id of 1 to {_MAX_ID} characters, preferably a UUID"
            )
        try:
            entry = self._take(id, peer, decode(Command, message.data))
        except WebSocketError as error:
            peer.reply(_answer(id, self._encode(id, refusal(error))))
            return
        if peer not in entry.requesters:
            entry.requesters.append(peer)
        if entry.answer is not None:
            peer.reply(_answer(id, entry.answer))
        elif peer not in entry.waiting:
            entry.waiting.append(peer)

    def withdraw(self, peer: Requester, id: str | None) -> None:
        """Withdraw a command that only this peer waits for, if it has not begun; it is answered in any case."""
        entry = self._pending.get(id or "")
        if entry is not None and self._handler is not None and entry.waiting == [peer]:
            self._handler.withdraw(id or "", f"{entry.name} was withdrawn before the simulation came to a checkpoint")

    def remove_peer(self, peer: Requester) -> None:
        """Drop a peer that has disconnected; its commands with a deadline are executed all the same."""
        for id, entry in [*self._pending.items(), *self._done.items()]:
            if peer not in entry.requesters:
                continue
            entry.requesters.remove(peer)
            entry.cut = True
            if peer in entry.waiting:
                entry.waiting.remove(peer)
                if entry.patient and not entry.waiting:
                    asyncio.get_running_loop().call_later(ABANDONED_S, self._abandon, id, entry)

    def _abandon(self, id: str, entry: _Request) -> None:
        if entry.answer is None and not entry.waiting and self._handler is not None:
            self._handler.withdraw(id, f"{entry.name} was not done: its client has been gone for {ABANDONED_S:g} s")

    def statistics(self) -> DispatchStatistics:
        """Return how many commands are held and were passed on."""
        pending, done = len(self._pending), len(self._done)
        return DispatchStatistics(pending, pending + done, self._answer_bytes, self._submitted, self._duplicates)

    # --- commands -------------------------------------------------------------------------------------------------

    def _take(self, id: str, peer: Requester, command: Command) -> _Request:
        """Return the entry of a command: a new one, or the entry of the same command if it was sent before."""
        if command.epoch not in (None, self._epoch):
            raise WebSocketError(
                WebSocketError.WRONG_RUN_STATE,
                "this command was sent to an earlier start of the server and was not executed in this one",
                details={"epoch": self._epoch},
            )
        specs = () if self._handler is None else self._handler.specs()
        spec = permitted(specs, command.name, peer.role)  # before the lookup, which finds other peers' answers too
        fingerprint = hashlib.sha256(encode([command.name, command.arguments])).digest()
        entry = self._pending.get(id) or self._done.get(id)
        if entry is None:
            return self._start(id, peer, command, spec, fingerprint)
        if entry.fingerprint != fingerprint:
            text = f"this id was used before for a different {entry.name}; give each command an id of its own"
            raise WebSocketError(WebSocketError.INVALID_MESSAGE, text)
        self._duplicates += 1
        return entry

    def _start(self, id: str, peer: Requester, command: Command, spec: CommandSpec, fingerprint: bytes) -> _Request:
        now = self._clock()
        self._make_room(now)
        patient = command.deadline_s == "none"
        deadline_s = "none" if patient else min(command.deadline_s or DEADLINE_S, MAX_DEADLINE_S)
        entry = self._pending[id] = _Request(spec, fingerprint, now, patient=patient)
        self._submitted += 1
        loop = asyncio.get_running_loop()

        def reply(result: CommandResult) -> None:
            try:
                loop.call_soon_threadsafe(self._answered, id, entry, result)
            except RuntimeError:  # the loop is closed, and every peer is gone
                log.debug("an answer to %s arrived after the server was closed", command.name)

        assert self._handler is not None
        try:
            self._handler.submit(
                id, structs.replace(command, deadline_s=deadline_s, client=peer.client), peer.role, reply
            )
        except Exception:  # a handler is foreign code: its bug affects this command only
            log.exception("the handler failed to accept %s", command.name)
            told = WebSocketError(
                WebSocketError.SERVER_ERROR, f"the server failed to accept {command.name}; its log has the reason"
            )
            self._answered(id, entry, refusal(told))
        return entry

    def _make_room(self, now: float) -> None:
        done = self._done
        while done and next(iter(done.values())).answered + REMEMBERED_S <= now:
            self._drop(next(iter(done)))
        if len(self._pending) + len(done) < self._max_remembered:
            return
        for id in [id for id, entry in done.items() if not entry.cut and entry.answered + _MARGIN_S <= now]:
            self._drop(id)
        if len(self._pending) + len(done) >= self._max_remembered:
            raise WebSocketError(
                WebSocketError.CAPACITY, "too many commands in a short time; send this one again later"
            )

    def _drop(self, id: str) -> None:
        self._answer_bytes -= len(self._done.pop(id).answer or b"")

    # --- answers --------------------------------------------------------------------------------------------------

    def _answered(self, id: str, entry: _Request, result: CommandResult) -> None:
        if entry.answer is not None:
            log.error("the handler answered %s twice; the second answer is dropped", entry.name)
            return
        entry.answered = self._clock()
        self._monitor.observe("command", entry.answered - entry.started)
        entry.answer = self._encode(entry.name, self._with_head(entry, result))
        for peer in entry.waiting:
            peer.reply(_answer(id, entry.answer))
        entry.waiting.clear()
        if self._pending.get(id) is entry:
            self._done[id] = self._pending.pop(id)
            self._answer_bytes += len(entry.answer)
            self._drop_old_answers()

    def _with_head(self, entry: _Request, result: CommandResult) -> CommandResult:
        """Set the last position at which the effect of the command is seen, if it may have changed something."""
        if self._drain is None or not result.ok or entry.looks:
            return result
        head, value = self._drain(), result.result
        if isinstance(value, Change):
            value = structs.replace(value.state, head=head, seq=value.receipt.seq)
        elif isinstance(value, RunState):
            value = structs.replace(value, head=head)
        return structs.replace(result, result=value, head=head)

    def _encode(self, name: str, result: CommandResult) -> bytes:
        try:
            text = encode(result)
        except WebSocketError as error:
            return encode(refusal(WebSocketError(WebSocketError.SERVER_ERROR, f"{name}: its result {error.message}")))
        if len(text) > self._max_result:
            large = f"{name}: its result has {len(text):,} bytes; at most {self._max_result:,} fit into an answer"
            return encode(refusal(WebSocketError(WebSocketError.SERVER_ERROR, large, retryable=False)))
        return text

    def _drop_old_answers(self) -> None:
        """Drop the text of old answers beyond the limit; what remains records that they were sent."""
        if self._answer_bytes <= self._max_answer_bytes:
            return
        for entry in self._done.values():
            if entry.answer is not None and len(entry.answer) > len(_NOT_HELD):
                self._answer_bytes -= len(entry.answer) - len(_NOT_HELD)
                entry.answer = _NOT_HELD
                if self._answer_bytes <= self._max_answer_bytes:
                    return


def answer_to(message: RawMessage) -> Callable[[WebSocketError], WebSocketMessage]:
    """Return the function that answers an error with this message: a command is answered by its `command_result`."""
    id = message.id
    if message.type != MessageTypes.COMMAND or not id or len(id) > _MAX_ID:
        return message_of
    return lambda error: _answer(id, encode(refusal(error)))


def _answer(id: str, result: bytes) -> WebSocketMessage:
    return WebSocketMessage(MessageTypes.COMMAND_RESULT, Raw(result), id=id)


_NOT_HELD: Final = encode(
    refusal(
        WebSocketError(
            WebSocketError.SERVER_ERROR,
            "this command was answered before, and the answer is no longer kept; it was not executed again",
            retryable=False,
        )
    )
)
