"""The breakpoints of a replay: judged at each published message, and at the end of each tick."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Raw, to_builtins

from ..expressions.ended_ticks import ticks_ended
from ..protocol.breakpoints import BreakpointHit
from ..protocol.control_payloads import Snapshot, SnapshotCharacter
from ..protocol.json_text import decode
from ..protocol.messages import Links, MessageTypes, WebSocketMessage
from ..server.simulation_websocket import SimulationWebSocket
from ..server.stream.receipts import Receipt
from ..simulation.breakpoints import NOTHING_MET, Breakpoints
from ..simulation.totals import Totals
from .tape import ReplayState

log = logging.getLogger("degentcivil_nb.replay")


class ReplayBreakpoints:
    """The breakpoints of clients, and the hits at which the replay has to stop; for the server's loop only."""

    links: Links | None = None

    def __init__(
        self, server: SimulationWebSocket, state: ReplayState, later: Callable[[float, Callable[[], None]], Any]
    ) -> None:
        self._server = server
        self._replayed = state
        self._totals = Totals()
        self._by_command = False
        self._judged: int | None = None  # the last tick whose end was judged
        self._hits: list[tuple[BreakpointHit, Receipt | None]] = []
        self._held_back: tuple[str | None, Snapshot] | None = None
        self._points = Breakpoints(
            self,
            forward=lambda: server.publish,
            stop=self._hits.append,
            totals=lambda: self._totals.both,
            characters=self._characters,
            present=server.client_ids,
            later=later,
            changed=_nothing,
        )
        self.set_breakpoints = self._points.set_breakpoints

    @property
    def tick(self) -> int:
        """The tick that the replay has reached."""
        return self._replayed.tick or 0

    def handles_command(self) -> bool:
        """Return whether a command caused the message that is being published."""
        return self._by_command

    @property
    def met(self) -> bool:
        """Return whether there is a hit to stop at."""
        return bool(self._hits)

    def take(self) -> list[dict[str, Any]]:
        """Return the hits to stop at, as a `run_state` lists them, and forget them."""
        hits, self._hits[:] = self._hits.copy(), ()
        return [{**to_builtins(hit), "seq": None if receipt is None else receipt.seq} for hit, receipt in hits]

    def tell(self, message: WebSocketMessage) -> None:
        """Publish a message of the tape, and judge it."""
        if message.tick is not None and self._judged is not None and message.tick <= self._judged:
            self._judged = None  # ticks start over, as in another run
        is_call = message.type == MessageTypes.LLM_CALL
        payload = decode(Any, message.data) if isinstance(message.data, Raw) and (is_call or self._points.any) else None
        if is_call:
            self._totals.add_message(message.type, payload)
        seq = self._server.publisher.enter(message)
        if not self._points.any:
            return
        self._by_command = bool(message.intervention)
        try:
            links = Links(message.sim_time, message.event_id, message.cause)
            met = self._points.meet(message.type, payload, message.tick, message.timestamp, links)
        except Exception:  # as in a live run: the replay goes on
            log.exception("breakpoints could not be judged at a message of type %.80r", message.type)
            return
        for line in met.log:
            self._server.publish(MessageTypes.LOG, line, message.tick, message.timestamp)
        if met.hits:
            receipt = Receipt()
            receipt.seq = seq
            self._hits += [(hit, receipt) for hit in met.hits]
        if met.hits or met.log:
            self._points.tell()
            self._server.publisher.drain()
        elif met is not NOTHING_MET:
            self._points.tell_later()

    def met_before(self, tick: int | None) -> bool:
        """Judge the ends of the ticks before `tick`, up to the first that has a hit, at which the replay stops."""
        if not self._points.any:
            return False
        for ended in ticks_ended(self._replayed.tick, tick):
            if self._judged is not None and ended <= self._judged:
                continue
            self._judged = ended
            self._points.checkpoint(ended)
            self._server.publisher.drain()
            if self._hits:
                self._replayed.tick = ended
                return True
        return False

    def met_at_end(self) -> bool:
        """Judge the end of the tape's last tick."""
        return self._replayed.tick is not None and self.met_before(self._replayed.tick + 1)

    def hold_back(self, epoch: str | None, snapshot: Snapshot) -> None:
        """Let no breakpoint know the characters yet, since a snapshot on the tape includes events that follow it."""
        self._held_back = epoch, snapshot

    def seed_before(self, epoch: str | None, seq: int | None) -> None:
        """Set the characters before the first event that the snapshot does not include, as `matches` does."""
        if self._held_back is not None:
            of_epoch, snapshot = self._held_back
            if not snapshot.includes(seq, same_epoch=epoch == of_epoch):
                self._held_back = None
                if self._points.any:
                    self._points.seed()

    def _characters(self) -> Iterable[SnapshotCharacter]:
        return () if self._held_back is not None else self._replayed.present.characters()

    def start_over(self) -> None:
        """Forget what came before: the replay has gone to another moment."""
        self._held_back = None
        self._judged = None
        self._points.start_over()


def _nothing() -> None:
    """Do nothing."""
