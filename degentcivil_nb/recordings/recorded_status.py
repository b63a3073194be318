"""The state of a recording's store that is known without reading events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from ..protocol.breakpoints import BreakpointRow, BreakpointRows
from ..protocol.json_text import decode
from ..protocol.messages import MessageTypes
from ..store.characters import AttributeNames
from ..store.columns import Dictionary
from ..store.controls import ControlRow


class RunSoFar(Protocol):
    """The facts of a whole run."""

    @property
    def version(self) -> int: ...
    @property
    def next_row(self) -> int: ...
    @property
    def run_state(self) -> str | None: ...
    @property
    def tick(self) -> int | None: ...
    @property
    def names(self) -> AttributeNames: ...
    @property
    def words(self) -> dict[str, Dictionary]: ...


class RecordedStatus(ABC):
    """The facts of a recorded run, under the names of a store; nothing is evicted, so rows begin at 0."""

    @property
    @abstractmethod
    def _now(self) -> RunSoFar:
        """The facts, as of the last refresh."""

    @abstractmethod
    def control_rows(self, start: int, stop: int) -> list[ControlRow]:
        """List the ordered control messages before the events from `start` to before `stop`."""

    def __len__(self) -> int:
        """Return the number of events."""
        return self.next_row

    @property
    def breakpoints(self) -> list[BreakpointRow]:
        """The breakpoints of all clients, as the simulation last sent them."""
        told = [row.data for row in self.control_rows(0, self.next_row + 1) if row.type == MessageTypes.BREAKPOINTS]
        return decode(BreakpointRows, told[-1]).breakpoints if told else []

    @property
    def version(self) -> int:
        """The number of changes so far."""
        return self._now.version

    @property
    def first_row(self) -> int:
        """The row number of the first event."""
        return 0

    @property
    def next_row(self) -> int:
        """The row number that the next event would have."""
        return self._now.next_row

    @property
    def run_state(self) -> str | None:
        """The last state of the run; `None` if none was recorded."""
        return self._now.run_state

    @property
    def tick(self) -> int | None:
        """The last tick that a message named."""
        return self._now.tick

    @property
    def names(self) -> AttributeNames:
        """The names of all attributes that ever occurred."""
        return self._now.names

    @property
    def words(self) -> dict[str, Dictionary]:
        """The words of each column, in the order of their first appearance."""
        return self._now.words
