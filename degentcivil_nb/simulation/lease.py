"""The lease of a run: the one client that may change the run, the one that asks for control, and their time limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from msgspec import to_builtins

from ..protocol.command_payloads import CommandSpec
from ..protocol.control_payloads import ClientInfo
from ..protocol.debugging import ControlWord
from ..protocol.errors import WebSocketError
from .request import who_asks

ANSWER_S: Final = 10.0
"""How long a request for control may stay unanswered; then the client that asks gets control."""
GONE_S: Final = 10.0
"""How long the client with control may be gone; then control ends."""
LOOK_S: Final = 0.5
"""How often these times are checked."""
FREE: Final = frozenset({"set_breakpoints", "set_watches", "take_control", "release_control"})
"""Commands that every debugger may run: each notebook declares its own breakpoints and watches."""


class ControlLease:
    """The lease of a run: at first no client has it, and every debugger may change the run. `tell` publishes changes.

    `present()` lists the clients that are connected. `later` as for `Control`.
    """

    def __init__(
        self,
        *,
        tell: Callable[[ControlWord], None],
        present: Callable[[], set[str]],
        later: Callable[[float, Callable[[], None]], Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._present = present
        self._later = later
        self._clock = clock
        self._lock = threading.Lock()
        self._word = ControlWord(None)
        self._asked_at = 0.0
        self._gone_at: float | None = None
        self._looking = False

    @property
    def word(self) -> ControlWord:
        """Return the client that has control, and the client that asks for it."""
        return self._word

    def refusal(self, spec: CommandSpec, client: ClientInfo | None) -> WebSocketError | None:
        """Return why a client may not run a command now; `None` if it may."""
        holder = self._word.holder
        if holder is None or spec.role == "viewer" or spec.name in FREE or _same(holder, client):
            return None
        name = holder.name or holder.id
        return WebSocketError(
            WebSocketError.NOT_IN_CONTROL,
            f"{spec.name} was not done: {name!r} has control of the run. session.take_control() asks for it",
            details={"holder": name},
        )

    def tell(self) -> None:
        """Publish the current state, for the clients of a new server."""
        with self._lock:
            if self._word != ControlWord(None):
                self._tell(self._word)

    # --- the commands --------------------------------------------------------------------------------------------

    def take_control(self) -> dict[str, Any]:
        """Ask to be the only client that may change the run; the one that has control keeps it by calling this too."""
        me = who_asks()
        if me is None:
            raise WebSocketError(
                WebSocketError.INVALID_ARGUMENTS,
                "this client sends no id, so it cannot take control; use a newer version of degentcivil-nb there",
            )
        with self._lock:
            holder, asker = self._word.holder, self._word.asker
            if holder is None or _same(holder, me):
                self._gone_at = None
                self._enter(ControlWord(me))
            elif asker is None or _same(asker, me):
                if asker is None:
                    self._asked_at = self._clock()
                self._enter(ControlWord(holder, me, ANSWER_S))
            else:
                raise WebSocketError(
                    WebSocketError.NOT_IN_CONTROL,
                    f"{asker.name or asker.id!r} asks for control already; ask again in a few seconds",
                    retryable=True,
                )
            begin = not self._looking
            self._looking = True
            word = self._word
        if begin:
            self._later(LOOK_S, self._look)
        return _plain(word)

    def release_control(self) -> dict[str, Any]:
        """Give control to the client that asks for it, or end it; a client that is asking withdraws its request."""
        me = who_asks()
        with self._lock:
            if _same(self._word.holder, me):
                self._pass_on()
            elif _same(self._word.asker, me):
                self._enter(ControlWord(self._word.holder))
            return _plain(self._word)

    # --- what happens by itself ----------------------------------------------------------------------------------

    def _look(self) -> None:
        self.look_after(self._present())
        with self._lock:
            again = self._looking = self._word.holder is not None
        if again:
            self._later(LOOK_S, self._look)

    def look_after(self, present: set[str]) -> None:
        """Note which clients are connected: one gone for long loses control, and an old enough request gets it."""
        now = self._clock()
        with self._lock:
            holder, asker = self._word.holder, self._word.asker
            if holder is None:
                return
            if holder.id in present:
                self._gone_at = None
            elif self._gone_at is None:
                self._gone_at = now
            gone = self._gone_at is not None and now - self._gone_at >= GONE_S
            unanswered = asker is not None and now - self._asked_at >= ANSWER_S
            if unanswered and asker is not None and asker.id not in present:
                self._enter(ControlWord(holder))
                unanswered = False
            if gone or unanswered:
                self._pass_on()

    def _pass_on(self) -> None:
        self._gone_at = None
        self._enter(ControlWord(self._word.asker))

    def _enter(self, word: ControlWord) -> None:
        if word != self._word:
            self._word = word
            self._tell(word)


def _same(one: ClientInfo | None, other: ClientInfo | None) -> bool:
    return one is not None and other is not None and one.id == other.id


def _plain(word: ControlWord) -> dict[str, Any]:
    plain: dict[str, Any] = to_builtins(word)
    return plain
