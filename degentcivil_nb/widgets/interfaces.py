"""What the views know of the rest of the house: three protocols and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd


class CharactersNow(Protocol):
    """Be the present of some characters as columns, a row each; times in nanoseconds since 1970, NaT where unknown."""

    @property
    def version(self) -> int:
        """Ask again with it for what changed since."""

    @property
    def replaced(self) -> bool:
        """Be true where these are all the characters, and what was told before no longer counts."""

    character_id: list[str]
    state: list[str | None]
    location: list[str | None]
    since: npt.NDArray[np.int64]
    last_seen: npt.NDArray[np.int64]
    attributes: list[dict[str, Any]]


class PanelReader(Protocol):
    """Answer questions about a run; every frame given is the caller's own. Called from the refresher's thread."""

    @property
    def version(self) -> int:
        """Grow with every change, so that a view can tell cheaply that there is nothing new."""

    def __len__(self) -> int: ...

    def events(self, type: Any = None, *, last: int | None = None) -> pd.DataFrame: ...

    def rows_since(self, row: int, limit: int) -> pd.DataFrame:
        """Give what was stored from `row` on, at most the newest `limit` rows, gaps among them, indexed by row."""

    def payload(self, row: int) -> Any: ...

    def characters(self) -> pd.DataFrame: ...

    def present_columns(self, since_version: int = 0) -> CharactersNow:
        """Give the present of all characters, or of those that changed after a version of it."""

    def timeline(self, character_id: Any = None) -> pd.DataFrame: ...

    def transitions(self) -> pd.DataFrame: ...

    def rates(self, every: str = "1s", by: str = "type", window: str | None = None) -> pd.DataFrame: ...

    def errors(self) -> pd.DataFrame: ...

    def llm_calls(self, *, last: int | None = None) -> pd.DataFrame: ...

    def gaps(self) -> pd.DataFrame: ...


class Standing(NamedTuple):
    """Why what is shown is no longer so, in the panel's own words."""

    what: str
    """What happened, without a full stop at its end."""
    todo: str
    """What goes on by itself, and what one can do: whole sentences."""
    since: float | None
    """As of when the shown is, wall clock in seconds; `None` where it is as good as ever."""
    over: bool = False
    """Nothing will come any more, and no command can be given."""


class PanelStatus(Protocol):
    """Say how the connection and the run are. Called from the refresher's thread; answers at once."""

    def metrics(self) -> pd.Series:
        """Give the figures of `session.metrics()`."""

    def health(self) -> Sequence[str]:
        """Give the reasons why all is not well, in sentences; none when it is."""

    def standing(self) -> Standing | None:
        """Say why what is shown is no longer so; `None` while it is."""

    def journal(self) -> Sequence[tuple[float, str]]:
        """List what happened to the connection, oldest first: wall clock in seconds, and one line of text."""

    def reconnect(self) -> None:
        """Try to connect now and close the circuit by hand. May block: views call it from a thread of its own."""


class Counted(Protocol):
    """Say how many frames were recorded so far."""

    @property
    def recorded(self) -> int: ...


class PanelTraffic(Protocol):
    """Be a record of frames. Called from the refresher's thread."""

    enabled: bool

    def frames(self, *, last: int | None = None) -> pd.DataFrame:
        """Give what is held: `time`, `direction`, `peer`, `type`, `bytes`, `text`, indexed by the frame's number."""

    def statistics(self) -> Counted: ...


class PanelCommands(Protocol):
    """Have the simulation do something, without waiting for it."""

    def submit(self, name: str, arguments: Mapping[str, Any]) -> Future[Any]:
        """Send a command and give a future of its result, at once."""

    def table(self) -> pd.DataFrame:
        """List what the server offers: `name`, `role`, `arguments` (JSON Schema), `doc`."""
