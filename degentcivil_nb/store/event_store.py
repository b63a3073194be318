"""The store of a session: one thread appends messages, any thread reads."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ..protocol.breakpoints import BreakpointRow
from ..protocol.control_payloads import RunState
from ..protocol.debugging import ControlWord, WatchRow
from .characters import AttributeNames
from .columns import Dictionary
from .parts import StoreParts
from .pieces import PIECE_ROWS, KeptExtracts, Pieces, pieces_of
from .questions import Questions
from .rows import RowQuestions
from .status import StoreStatus
from .timeline import Extra
from .writer import StoreWriter

T = TypeVar("T")


class EventStore:
    """Events in columns, with the present, the counters and the gaps kept up to date.

    Only one thread may `append`. Any thread may ask questions at any time; the results belong to the caller. Retention
    by rows, bytes (columns and payloads) and age (seconds since receipt) drops the oldest events.
    """

    def __init__(
        self,
        *,
        max_rows: int = 1_000_000,
        max_bytes: int | None = None,
        max_age_s: float | None = None,
        clock: Callable[[], float] = time.time,
        keep_all: bool = False,
    ) -> None:
        if max_rows < 1:
            raise ValueError(f"max_rows must be at least 1, not {max_rows}")
        self.parts = parts = StoreParts(max_rows, keep_all=keep_all)
        self._extracts = KeptExtracts()
        self.writer = writer = StoreWriter(parts, max_bytes=max_bytes, max_age_s=max_age_s, clock=clock)
        self.append, self.take, self.forget = writer.append, writer.take, writer.forget

        status = StoreStatus(parts)
        self.wait, self.wait_version = status.wait, status.wait_version
        self.stats, self.attribute, self.present_columns = status.stats, status.attribute, status.present_columns
        self.has_accounted, self.row_of = status.has_accounted, status.row_of
        self.run_state_in, self.run_state_confirmed = status.run_state_in, status.run_state_confirmed

        ask = self.questions = Questions(parts)
        self.view, self.take_payloads = ask.view, ask.take_payloads
        self.events, self.rows_since, self.event_dicts = ask.events, ask.rows_since, ask.event_dicts
        self.payload, self.payload_keys = ask.payload, ask.payload_keys
        self.links, self.rows_named, self.rows_caused = ask.links, ask.rows_named, ask.rows_caused
        self.characters, self.timeline, self.transitions = ask.characters, ask.timeline, ask.transitions
        self.row_at, self.moment_of = ask.row_at, ask.moment_of
        self.rates, self.errors, self.places, self.gaps = ask.rates, ask.errors, ask.places, ask.gaps
        rows = RowQuestions(ask, parts.names)
        self.rows_of, self.rows_where, self.frame_of = rows.rows_of, rows.rows_where, rows.frame_of
        self.calls_of, self.past_columns = rows.calls_of, rows.past_columns
        self.llm_calls, self.llm_totals, self.control_rows = ask.llm_calls, ask.llm_totals, ask.control_rows

    def __len__(self) -> int:
        """Count the events held."""
        return len(self.parts.table)

    def by_pieces(self, ask: Callable[[Pieces], T]) -> T:
        """Answer a question that looks at all events, a piece at a time."""
        return ask(self.pieces())

    def pieces(self, size: int = PIECE_ROWS) -> Pieces:
        """Return the events held in pieces of a size."""
        with self.parts.changed:  # held for all three, so that they are of one moment
            view = self.view()
            extra = Extra.of(self.parts.derived.transitions, self.parts.snapshot_states, view.next_row)
            gap_rows = self.parts.controls.gap_rows()
        kept = self._extracts if size == PIECE_ROWS else None
        return pieces_of(view, self.take_payloads, extra, gap_rows, size, kept)

    @property
    def version(self) -> int:
        """The number of changes so far."""
        return self.parts.version

    @property
    def first_row(self) -> int:
        """The row number of the oldest event held."""
        return self.parts.table.first_row

    @property
    def next_row(self) -> int:
        """The row number that the next event will have."""
        return self.parts.table.next_row

    @property
    def run_state(self) -> str | None:
        """The state of the run as of the last `run_state` message; `None` before any."""
        state = self.parts.controls.run_state
        return None if state is None else state.state

    @property
    def run_word(self) -> tuple[RunState | None, str | None]:
        """The last `run_state` message, and the epoch in which it came."""
        with self.parts.changed:
            return self.parts.controls.run_state, self.parts.controls.run_state_epoch

    @property
    def breakpoints(self) -> list[BreakpointRow]:
        """The breakpoints of all clients, as the simulation last sent them."""
        return self.parts.controls.breakpoints

    def control_in(self, epoch: str | None) -> ControlWord:
        """Return which client may change the run of an epoch, as the simulation last sent it."""
        word, said_in = self.parts.controls.control
        return word if said_in == epoch else ControlWord(None)

    def on_control(self, function: Callable[[ControlWord], None]) -> None:
        """Call a function on the writer's thread with each message on which client may change the run."""
        self.parts.controls.on_control = function

    @property
    def watches(self) -> list[WatchRow]:
        """The watches of all clients, as the simulation last sent them."""
        return self.parts.controls.watches

    @property
    def tick(self) -> int | None:
        """The last tick that a message named."""
        return self.parts.tick

    @property
    def names(self) -> AttributeNames:
        """The names of all attributes that ever occurred."""
        return self.parts.names

    @property
    def words(self) -> dict[str, Dictionary]:
        """The words of each column, in the order of their first appearance."""
        return self.parts.table.dictionaries
