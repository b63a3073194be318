"""The parts of a recording that panels use beside its events: its present store, its status, and refused commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import pandas as pd

from ..protocol.errors import CommandError
from ..protocol.messages import MessageTypes
from ..store.interfaces import RunStore
from ..widgets.interfaces import Standing


class CurrentStore:
    """The present store of a recording, for panels: a recording that grew and is read again has a new one.

    `version` keeps growing across stores.
    """

    def __init__(self, store: Callable[[], RunStore]) -> None:
        self._store = store
        self._known: RunStore = store()
        self._before = 0

    @property
    def now(self) -> RunStore:
        """Return the store."""
        store = self._store()
        if store is not self._known:
            self._before += self._known.version + 1
            self._known = store
        return store

    @property
    def version(self) -> int:
        """See `RunStore`."""
        return self.now.version + self._before

    def __len__(self) -> int:
        return len(self.now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.now, name)


class RecordingStatus:
    """The status of a finished run, for the panels."""

    def __init__(self, info: Callable[[], pd.Series], problems: Callable[[], list[str]], store: CurrentStore) -> None:
        self._info = info
        self._problems = problems
        self._store = store
        self._told: tuple[Any, pd.Series, dict[str, Any]] | None = None

    def metrics(self) -> pd.Series:
        """Return the numbers that a recording has."""
        return self._facts()[0]

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that the run was started with; empty if there are none."""
        return self._facts()[1]

    def _facts(self) -> tuple[pd.Series, dict[str, Any]]:
        store = self._store.now
        if self._told is None or self._told[0] != (store, store.version):
            info = self._info()
            self._told = ((store, store.version), self._figures(store, info), info["parameters"])
        return self._told[1:]

    def _figures(self, store: RunStore, info: pd.Series) -> pd.Series:
        figures = {
            "connection": "recording",
            "run_state": info["state"],
            "tick": info["last_tick"],
            "gaps": info["gaps"],
            "errors": len(store.rows_of((MessageTypes.ERROR,))),
        }
        return pd.Series(figures, dtype=object, name=info.name)

    def health(self) -> list[str]:
        """Return the problems of the recording."""
        return self._problems()

    def standing(self) -> Standing | None:
        """Return `None`: a recording is always current."""
        return None

    def journal(self) -> list[tuple[float, str]]:
        """Return an empty list: there is no connection."""
        return []

    def journal_lines(self) -> int:
        """Return 0: there is no connection."""
        return 0

    def reconnect(self) -> None:
        """Refuse to reconnect."""
        raise CommandError(CommandError.WRONG_RUN_STATE, "this is a recording; dc.connect(url) follows a run")


class NoCommands:
    """Commands of a recording, all of which are refused."""

    def submit(self, name: str, arguments: Mapping[str, Any]) -> Future[Any]:
        """Return a future that has failed."""
        future: Future[Any] = Future()
        future.set_exception(CommandError(CommandError.WRONG_RUN_STATE, f"a recording cannot {name}: the run is over"))
        return future

    def table(self) -> pd.DataFrame:
        """Return an empty table."""
        return pd.DataFrame(
            {name: [] for name in ("name", "role", "arguments", "signature", "anytime", "doc")}, dtype="object"
        )
