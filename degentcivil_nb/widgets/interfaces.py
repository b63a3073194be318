"""Protocols of everything that panels use from other packages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..store.controls import ControlRow
from ..store.moments import RowMoment


class CharactersNow(Protocol):
    """The present of some characters as columns, a row each; times in nanoseconds since 1970, NaT where unknown."""

    @property
    def version(self) -> int:
        """Return the version of the present, for a request of later changes."""

    @property
    def replaced(self) -> bool:
        """Return whether these are all characters and replace all earlier ones."""

    character_id: list[str]
    state: list[str | None]
    location: list[str | None]
    since: npt.NDArray[np.int64]
    last_seen: npt.NDArray[np.int64]
    attributes: list[dict[str, Any]]


class PanelReader(Protocol):
    """The questions of panels about a run, called on the refresher's thread; returned frames belong to the caller."""

    @property
    def version(self) -> int:
        """Return a number that grows with every change, a cheap check for changes."""

    @property
    def first_row(self) -> int: ...

    @property
    def next_row(self) -> int: ...

    def __len__(self) -> int: ...

    def events(
        self,
        type: Any = None,
        *,
        character_id: Any = None,
        since: Any = None,
        until: Any = None,
        last: int | None = None,
        payload: bool = False,
    ) -> pd.DataFrame: ...

    def rows_since(self, row: int, limit: int) -> pd.DataFrame: ...

    def rows_of(self, types: Sequence[str] | None, start: int = 0, stop: int | None = None) -> Sequence[int]:
        """Return the ascending numbers of the rows of some types, from `start` to before `stop`."""

    def rows_where(self, where: str, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Return the numbers of the rows that meet a condition, from `start` to before `stop`."""

    def frame_of(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return the events of ascending row numbers, indexed by row."""

    def calls_of(self, rows: Sequence[int]) -> pd.DataFrame:
        """Return the calls of language models of ascending row numbers, indexed by row."""

    def row_at(self, *, tick: int | None = None, at: Any = None) -> int | None: ...

    def moment_of(self, row: int) -> RowMoment: ...

    def payload(self, row: int) -> Any: ...

    def take_payloads(self, rows: Sequence[int]) -> list[bytes]:
        """Return the payloads of ascending rows as JSON, `null` for one that is no longer held."""

    def characters(self, *, row: int | None = None) -> pd.DataFrame: ...

    def present_columns(self, since_version: int = 0) -> CharactersNow:
        """Return the present of all characters, or of those that changed after a version."""

    def past_columns(self, row: int) -> CharactersNow:
        """Return the characters as they were after a row."""

    def control_rows(self, start: int, stop: int) -> list[ControlRow]: ...

    def row_of(self, epoch: str | None, seq: int) -> int | None: ...

    def timeline(self, character_id: Any = None) -> pd.DataFrame: ...

    def places(self) -> pd.DataFrame: ...

    def llm_totals(self) -> pd.DataFrame: ...

    def transitions(self) -> pd.DataFrame: ...

    def rates(
        self, every: str = "1s", by: str = "type", window: str | None = None, *, now: int | None = None
    ) -> pd.DataFrame: ...

    def errors(self) -> pd.DataFrame: ...

    def llm_calls(self, *, last: int | None = None) -> pd.DataFrame: ...

    def gaps(self) -> pd.DataFrame: ...


class PanelNames(PanelReader, Protocol):
    """The questions of panels, and the names that occurred."""

    @property
    def words(self) -> Mapping[str, Collection[Any]]:
        """Return the words of each column of names, in the order of first appearance."""


class Standing(NamedTuple):
    """Why the data shown is no longer current, as sentences for the panel."""

    what: str
    """What happened, without a full stop."""
    todo: str
    """What continues automatically, and what the user can do: whole sentences."""
    since: float | None
    """The time of the data shown, wall clock in seconds; `None` if it is current."""
    over: bool = False
    """Whether no more data can arrive and no command can be sent."""


class PanelStatus(Protocol):
    """The state of the connection and the run, called on the refresher's thread without waiting."""

    def metrics(self) -> pd.Series:
        """Return the numbers of `session.metrics()`."""

    def health(self) -> Sequence[str]:
        """Return the problems, as sentences; none if there are no problems."""

    def standing(self) -> Standing | None:
        """Return why the data shown is no longer current; `None` if it is."""

    def journal(self) -> Sequence[tuple[float, str]]:
        """List the connection's newest history, oldest first: wall clock in seconds, and one line of text."""

    def journal_lines(self) -> int:
        """Return how many lines that history ever had."""

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters that the run was started with; empty if there are none."""

    def reconnect(self) -> None:
        """Reconnect now and close the circuit. May block: panels call it on a thread of their own."""


class Counted(Protocol):
    """The number of frames recorded so far."""

    @property
    def recorded(self) -> int: ...


class PanelTraffic(Protocol):
    """A record of frames, called on the refresher's thread."""

    enabled: bool

    def frames(self, *, last: int | None = None) -> pd.DataFrame:
        """Return the frames: `time`, `direction`, `peer`, `type`, `bytes`, `text`, indexed by the frame's number."""

    def statistics(self) -> Counted: ...


class PanelCommands(Protocol):
    """Commands to the simulation, sent without waiting."""

    def submit(self, name: str, arguments: Mapping[str, Any]) -> Future[Any]:
        """Send a command and return a future of its result, without waiting."""

    def table(self) -> pd.DataFrame:
        """List the server's commands: `name`, `role`, `arguments` (JSON Schema), `doc`."""
