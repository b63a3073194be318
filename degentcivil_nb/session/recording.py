"""A recording: the questions of a session, answered from disk."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from ..analysis.reader import Reader
from ..core.arguments import path as checked_path
from ..core.arguments import whole_number
from ..core.cards import card
from ..core.counting import counted
from ..core.escaping import visible
from ..core.parameters import in_short
from ..core.progress import Progress, following
from ..protocol.errors import RecordingWarning
from ..protocol.messages import RawMessage
from ..recordings.arrow_messages import RecordedMessage
from ..recordings.column_state import NotInColumns
from ..recordings.column_store import ColumnStore
from ..recordings.extract_files import is_derived
from ..recordings.long_store import LongStore
from ..recordings.manifest import FORMAT, span_of
from ..recordings.run_files import is_readable_name
from ..recordings.sealed_columns import DamagedSegment
from ..recordings.segment_reader import SegmentFolder
from ..store.event_store import EventStore
from ..store.interfaces import RunStore
from ..store.schema import to_ns
from ..widgets.cursor import Cursor
from ..widgets.interfaces import Standing
from .methods.case import CaseMethods
from .methods.seeing import SeeingMethods
from .methods.traces import TraceMethods
from .recording_status import CurrentStore, NoCommands, RecordingStatus

if TYPE_CHECKING:
    from ..widgets.panels import Panels
    from ..widgets.refresh import Refresher

logger = logging.getLogger("degentcivil_nb.session")

MEMORY_ROWS: Final = 2_000_000
MEMORY_BYTES: Final = 1 << 30
CLOSED: Final = Standing("This recording is closed", "The panels show everything that was read from it.", None, True)
EVERYTHING: Final = 1 << 40
SHOWN: Final = 5
MIGRATE: Final = "`degentcivil-nb migrate PATH` rewrites it once, and then its columns answer"


def open_recording(
    path: str | os.PathLike[str], *, memory_rows: int = MEMORY_ROWS, progress: Progress | None = None
) -> Recording:
    """Open a recording, also one that is being written, and read what was committed.

    A sound recording of format 2 is read from disk as questions need it, whatever its length. One of format 1, or with
    damage, is read whole at its first opening; what later openings need is kept beside it if it is long.

    Parameters
    ----------
    path : str or path-like
        The folder of the recording.
    memory_rows : int
        The most events that are held in memory of a recording of format 1, or with damage.
    progress : callable, optional
        Called with how many messages are read and how many there are. Left out, a bar is shown after a second.

    Returns
    -------
    Recording
        It answers the questions of a session.

    Raises
    ------
    FileNotFoundError
        If there is no recording.

    Warns
    -----
    RecordingWarning
        If it is damaged or was not finished: how much is missing, and where. `gaps()` has it too.

    Examples
    --------
    >>> with dc.open_recording(folder / "saved") as one:
    ...     one.characters(tick=0).loc["emma", ["state", "location"]].to_list()
    ['IDLE', 'Home 1']
    """
    return Recording(path, memory_rows=memory_rows, progress=progress)


class Recording(SeeingMethods, CaseMethods, TraceMethods, Reader):
    """A run that was recorded: it answers the questions of a session from disk. Made by `open_recording`.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    in_memory : bool
        Whether the whole recording was read into memory.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        memory_rows: int = MEMORY_ROWS,
        progress: Progress | None = None,
    ) -> None:
        self.path = Path(checked_path("path", path))
        self._folder = SegmentFolder(self.path)
        self._read = 0
        self._closed = False
        self._progress = progress
        self._memory_rows = whole_number("memory_rows", memory_rows, 0)
        self.in_memory = False
        """Whether the whole recording was read into memory."""
        self._load()
        if self.problems:
            warnings.warn(self._complaint(), RecordingWarning, stacklevel=3)

    def _load(self) -> None:
        folder = self._folder
        if folder.manifest is not None and folder.manifest.format == FORMAT:
            try:
                with self._following() as progress:
                    self._store = ColumnStore(folder, self._read_messages, progress)
                self._read = folder.messages
                return
            except (NotInColumns, DamagedSegment) as error:
                logger.info("%s is read message by message: %s", visible(str(self.path)), error)
        self._store = self._read_messages()

    def _read_messages(self) -> RunStore:
        """Read the messages themselves, for a recording of format 1 or a damaged one."""
        size = sum(segment.stats.data_bytes for segment in self._folder.segments)
        self.in_memory = self._folder.rows <= self._memory_rows and size <= MEMORY_BYTES
        store: EventStore | LongStore
        if self.in_memory:
            self._read = 0
            store = EventStore(max_rows=EVERYTHING)
            self._fill(store)
            return store
        if not self._folder.problems and not self._folder.live:
            name = visible(str(self.path))
            logger.warning("%s was written by an earlier version, so each question reads all of it. %s", name, MIGRATE)
        with self._following() as progress:
            store = LongStore(self._folder, progress)
        self._read = self._folder.messages
        return store

    def _following(self) -> AbstractContextManager[Progress]:
        return following(f"reading {visible(str(self.path))}", self._progress)

    def _fill(self, store: EventStore) -> None:
        total = self._folder.messages
        with self._following() as progress:
            for entry in self._folder.entries(start=self._read):
                store.append(list(entry.messages), entry.received, entry.epoch)
                self._read += len(entry.messages)
                progress(min(self._read, total), total)
        self._read = total  # lost messages are counted too, the gaps that declare them are not

    def refresh(self) -> int:
        """Read the messages that were committed since, of a recording that is being written.

        Returns
        -------
        int
            How many events were added.

        Examples
        --------
        >>> recording.refresh()
        0
        """
        before = len(self._store)
        self._folder = SegmentFolder(self.path)
        if isinstance(self._store, EventStore):
            self._fill(self._store)
        elif self._folder.messages > self._read:
            self._load()
        if "_refresher" in self.__dict__:
            self._refresher.redraw()
        return len(self._store) - before

    @property
    def problems(self) -> list[str]:
        """List what is wrong with the recording.

        Returns
        -------
        list of str
            In sentences; empty if it is whole.

        Examples
        --------
        >>> recording.problems
        []
        """
        return [str(problem) for problem in self._folder.problems]

    def _complaint(self) -> str:
        problems = self.problems
        more = f"\n… and {len(problems) - SHOWN:,} more" if len(problems) > SHOWN else ""
        return f"{visible(str(self.path))} is damaged or incomplete:\n" + "\n".join(problems[:SHOWN]) + more

    def messages(self, start: int = 0) -> Iterator[tuple[RawMessage, float, str | None]]:
        """Yield every message in order, straight from disk.

        Parameters
        ----------
        start : int
            The number of the first message wanted, counted from 0.

        Yields
        ------
        tuple of (RawMessage, float, str or None)
            The message (`.type`, `.seq`, `.payload()`), when it was received in seconds since 1970, and its epoch.

        Examples
        --------
        >>> message, received, epoch = next(recording.messages(start=3))
        >>> message.seq, message.tick
        (2, 0)
        """
        entries = self.entries(start)
        return ((message, entry.received, entry.epoch) for entry in entries for message in entry.messages)

    def entries(self, start: int = 0) -> Iterator[RecordedMessage]:
        """Yield every message in order, straight from disk, in the lists in which they were received.

        Parameters
        ----------
        start : int
            The number of the first message wanted, counted from 0.

        Yields
        ------
        RecordedMessage
            With `messages`, `received` (seconds since 1970) and `epoch`.

        Examples
        --------
        >>> entry = next(recording.entries())
        >>> len(entry.messages) > 0
        True
        """
        return self._folder.entries(start=whole_number("start", start, 0))

    def info(self) -> pd.Series:
        """Return the facts about the recording: its run, its first and last message, its size and its problems.

        Returns
        -------
        pandas.Series
            `path`, `run_id`, `parameters` (dict), `url`, `state` (``"recording"``, ``"finished"`` or
            ``"unfinished"``), `messages`, `events`, `first` and `last` (times of the first and last message, UTC),
            `first_tick`, `last_tick`, `epochs`, `gaps`, `segments`, `bytes`, `problems` (how many) and `package` (the
            version that wrote it). Unknown values are missing.

        Examples
        --------
        >>> recording.info()[["state", "last_tick", "gaps"]].to_list()
        ['finished', 60, 0]
        """
        folder = self._folder
        manifest = folder.manifest
        stats = [segment.stats for segment in folder.segments]
        span = span_of(stats)
        ticks = [item.tick for item in stats if item.tick is not None]
        return pd.Series(
            {
                "path": str(self.path) if is_readable_name(str(self.path)) else visible(self.path),
                "run_id": None if manifest is None else manifest.run_id,
                "parameters": {} if manifest is None else manifest.parameters,
                "url": None if manifest is None else manifest.url,
                "state": "recording" if folder.live else "finished" if folder.finished else "unfinished",
                "messages": folder.messages,
                "events": folder.rows,
                "first": pd.NaT if span is None else _moment(span[0]),
                "last": pd.NaT if span is None else _moment(span[1]),
                "first_tick": min((low for low, _ in ticks), default=pd.NA),
                "last_tick": max((high for _, high in ticks), default=pd.NA),
                "epochs": len({epoch for item in stats for epoch in item.seq}),
                "gaps": len(self.gaps()),
                "segments": len(stats),
                "bytes": sum(
                    one.stat().st_size for one in self.path.iterdir() if one.is_file() and not is_derived(one)
                ),
                "problems": len(folder.problems),
                "package": None if manifest is None else manifest.package,
            },
            dtype=object,
            name=visible(self.path.name),
        )

    @cached_property
    def _refresher(self) -> Refresher:
        from ..widgets.refresh import Refresher  # ipywidgets is imported when first used

        about = f"recording {visible(self.path.resolve().name)}"
        return Refresher(standing=lambda: CLOSED if self._closed else None, about=about)

    def _case_facts(self) -> tuple[str, dict[str, object]]:
        info = self.info()
        wanted = (
            "state",
            "run_id",
            "first",
            "last",
            "first_tick",
            "last_tick",
            "events",
            "gaps",
            "problems",
            "package",
        )
        facts = {name.replace("_", " "): info[name] for name in wanted if not pd.isna(info[name])}
        facts["recorded with"] = facts.pop("package", None)
        name = visible(self.path.resolve().name)
        return f"Recording {name}", {"recording": name, "parameters": in_short(info["parameters"]), **facts}

    def _panels(self) -> Panels:
        from ..widgets.panels import Panels

        status = RecordingStatus(self.info, lambda: self.problems, self._current)
        return Panels(self._current, status, NoCommands(), self._refresher, self._cursor, self)

    @cached_property
    def _current(self) -> Any:
        return CurrentStore(lambda: self._store)

    @cached_property
    def _cursor(self) -> Cursor:
        return Cursor(self._current)

    def close(self) -> None:
        """Close the panels. Questions still work on everything that was read. A second call does nothing.

        Examples
        --------
        >>> one = dc.open_recording(folder / "saved")
        >>> one.close()
        >>> len(one.errors())
        4
        """
        self._closed = True
        if "_refresher" in self.__dict__:
            self._refresher.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        info = self.info()
        held = f"{counted(len(self), 'event')}, {counted(info['gaps'], 'gap')}"
        told = visible(in_short(info["parameters"]))
        return f"<Recording {visible(str(self.path))}: {info['state']}, {held}{', ' if told else ''}{told}>"

    def _repr_html_(self) -> str:
        info = self.info()
        wanted = ("state", "run_id", "first", "last", "first_tick", "last_tick", "events", "gaps", "problems")
        facts = {name.replace("_", " "): info[name] for name in wanted if not pd.isna(info[name])}
        if info["parameters"]:
            facts["parameters"] = in_short(info["parameters"])
        return card("Recording", self.path, facts, "good" if info["state"] == "finished" else "waiting")


def _moment(seconds: float) -> pd.Timestamp:
    return pd.Timestamp(to_ns(seconds), unit="ns", tz="UTC")
