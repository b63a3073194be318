"""The lease of the run in a session: taking control, asking for it, answering, and giving it back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from msgspec import convert

from ..core.escaping import visible
from ..protocol.control_payloads import ClientInfo
from ..protocol.debugging import ControlWord
from ..protocol.errors import CommandError
from .breakpoints import TOLD_S
from .stop import EVERYBODY

if TYPE_CHECKING:
    from ..store.event_store import EventStore
    from .commands import SessionCommands

TAKE: Final = "take_control"
RELEASE: Final = "release_control"
SHORT_S: Final = 30.0
"""How long to wait for an answer: these commands need no checkpoint."""

logger = logging.getLogger("degentcivil_nb.session")


@dataclass(frozen=True)
class ControlState:
    """Who may change the run: `holder` is a notebook's name, `None` if everybody may; `asker` asks for control.

    `mine` says whether this session has control.
    """

    holder: str | None
    asker: str | None
    mine: bool

    def __str__(self) -> str:
        asked = "" if self.asker is None else f"; {visible(self.asker)} asks for it"
        if self.holder is None:
            return "everybody may change the run"
        return f"{'you have' if self.mine else f'{visible(self.holder)} has'} control{asked}"

    def __repr__(self) -> str:
        return f"<Control: {self}>"


class SessionLease:
    """The part of one session in the control of the run: taking it, giving it back, and requests of others."""

    def __init__(
        self,
        commands: SessionCommands,
        store: EventStore,
        me: ClientInfo,
        epoch: Callable[[], str | None],
        note: Callable[[str], None],
    ) -> None:
        self._commands = commands
        self._store = store
        self._me = me
        self._epoch = epoch
        self._note = note
        self._told: ClientInfo | None = None  # the client that asked at the last message on control
        self._held = False
        store.on_control(self._hear)

    @property
    def _word(self) -> ControlWord:
        return self._store.control_in(self._epoch())

    @property
    def state(self) -> ControlState:
        """Return the present state, as the simulation last sent it."""
        return self._state(self._word)

    @property
    def may_change(self) -> str:
        """Return who may change the run, by name."""
        holder = self._word.holder
        return EVERYBODY if holder is None else _name(holder)

    def _state(self, word: ControlWord) -> ControlState:
        holder, asker = word.holder, word.asker
        return ControlState(
            None if holder is None else _name(holder), None if asker is None else _name(asker), self._mine(word)
        )

    def _mine(self, word: ControlWord) -> bool:
        return word.holder is not None and word.holder.id == self._me.id

    def _asking(self, word: ControlWord) -> bool:
        return word.asker is not None and word.asker.id == self._me.id

    def take(self, timeout: float | None) -> ControlState:
        """Ask for control, and wait until it is given, passes by itself, or is refused."""
        word = convert(self._commands.call(TAKE, {}, timeout=SHORT_S), ControlWord)
        if self._mine(word):
            return self._state(word)
        holder = self._state(word).holder
        try:
            # the answer may overtake the message to all clients
            self._store.wait(lambda: self._asking(self._word) or self._mine(self._word), TOLD_S)
            self._store.wait(lambda: not self._asking(self._word), timeout)
        except KeyboardInterrupt:
            self._commands.submit(RELEASE, {})
            raise
        state = self.state
        if not state.mine and not self._asking(self._word):
            raise CommandError(CommandError.NOT_IN_CONTROL, f"{holder!r:.80} keeps control of the run")
        return state

    def release(self) -> ControlState:
        """Give control to the client that asks for it, or end it."""
        return self._state(convert(self._commands.call(RELEASE, {}, timeout=SHORT_S), ControlWord))

    def leave(self) -> Future[Any] | None:
        """Give control back without waiting, if this session has it, since the session is about to end."""
        if self._mine(self._word) or self._asking(self._word):
            return self._commands.submit(RELEASE, {})
        return None

    def _hear(self, word: ControlWord) -> None:
        """Warn when another client asks for control that is held here, and when it is lost; on the client's thread."""
        mine, asker = self._mine(word), word.asker
        if mine and asker is not None and asker != self._told:
            self._say(
                f"{visible(_name(asker))} asks for control of the run: session.release_control() gives it, "
                f"session.take_control() keeps it; without an answer it passes in {word.answer_within_s or 0:g} s"
            )
        if self._held and not mine:
            now = "nobody has it" if word.holder is None else f"{visible(_name(word.holder))} has it"
            self._note(f"this session no longer has control of the run: {now}")
        self._told, self._held = asker if mine else None, mine

    def _say(self, text: str) -> None:
        self._note(text)
        logger.warning("%s", text)


def _name(client: ClientInfo) -> str:
    return client.name or client.id
