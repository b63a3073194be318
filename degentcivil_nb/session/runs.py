"""Many runs as one dataset: a table of them, and SQL across them."""

from __future__ import annotations

import os
import shutil
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, TypeVar

import pandas as pd
import pyarrow.dataset as pds  # type: ignore[import-untyped]  # it has no types
import pyarrow.fs as pafs  # type: ignore[import-untyped]

from ..analysis.event_source import EventSource, EventView, Kind, events_of, kind_of
from ..analysis.plain_columns import plain
from ..analysis.sql import TABLES, answer, kinds_in_files, names_payload, table_of
from ..core.arguments import flag, instance
from ..core.arguments import path as checked_path
from ..core.cards import card
from ..core.counting import counted
from ..core.escaping import visible
from ..core.names import did_you_mean
from ..core.progress import following
from ..protocol.errors import RecordingWarning
from ..recordings.run_files import RunFiles, copied, find_runs, is_readable_name, local, summary, verify
from ..store.arguments import Names, names_of
from ..store.characters import json_column
from .recording import Recording, open_recording
from .run_dataset import dask_frame, dataset_of

T = TypeVar("T")
_MOST_SHOWN: Final = 20
"""How many runs of a folder a notebook shows."""


def open_runs(
    folder: str | os.PathLike[str], *, filesystem: pafs.FileSystem | None = None, verify: bool = True
) -> Runs:
    """Open a folder of recordings as one dataset.

    A recording that is being written, or was cut short, is read as far as it was committed.

    Parameters
    ----------
    folder : str or path-like
        The folder that holds the recordings' folders: a path, or the URI of object storage such as
        ``"s3://bucket/runs"``.
    filesystem : pyarrow.fs.FileSystem, optional
        The file system of `folder`, with credentials and all other options of its constructor. fsspec's file
        systems fit through ``pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs))``.
    verify : bool
        Compare each segment with its checksum before the first question that reads it; the whole segment is read for
        that. Damaged segments are left out, with a `RecordingWarning`.

    Returns
    -------
    Runs
        The runs, each by the name of its folder.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.

    Examples
    --------
    >>> runs = dc.open_runs(folder)
    >>> sorted(runs)
    ['saved', 'seed-1']
    """
    return Runs(folder, filesystem=filesystem, verify=verify)


class Runs:
    """Many runs as one dataset. Made by `open_runs`.

    `len(runs)` counts them; iterating gives their names, which are those of their folders.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, filesystem: pafs.FileSystem | None = None, verify: bool = True
    ) -> None:
        self._verify = flag("verify", verify)
        filesystem = instance("filesystem", filesystem, pafs.FileSystem, "a pyarrow.fs.FileSystem")
        folder = checked_path("folder", folder) if filesystem is None else os.fspath(folder)
        self._local = filesystem is None and "://" not in folder
        if filesystem is not None:
            self._filesystem, self._folder = filesystem, folder
        elif self._local:
            self._filesystem, self._folder = local(folder)
        else:
            self._filesystem, self._folder = pafs.FileSystem.from_uri(folder)
        self._sound: dict[str, str | None] = {}
        self._facts: dict[tuple[Any, ...], dict[str, int]] = {}
        self._copies: Path | None = None
        self._runs: dict[str, RunFiles] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the folder again: new events, new runs, and deleted ones.

        A `RecordingWarning` names a run that is left out because its folder's name is not UTF-8.

        Examples
        --------
        >>> many = dc.open_runs(folder)
        >>> many.refresh()
        >>> len(many)
        2
        """
        found = find_runs(self._filesystem, self._folder)
        for run in found:
            if not is_readable_name(run.path):
                name = visible(run.name)
                warnings.warn(
                    f"the recording {name} is left out, since its folder's name is not UTF-8; "
                    "rename the folder, or open it alone with open_recording",
                    RecordingWarning,
                    stacklevel=3,
                )
        self._runs = {run.name: run for run in found if is_readable_name(run.path)}

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def __repr__(self) -> str:
        events = sum(stats.rows for run in self._runs.values() for stats in run.stats)
        return f"<Runs {visible(self._folder)}: {counted(len(self), 'run')}, {counted(events, 'event')}>"

    def _repr_html_(self) -> str:
        facts = {
            name: counted(sum(stats.rows for stats in run.stats), "event")
            for name, run in list(self._runs.items())[:_MOST_SHOWN]
        }
        problems = ", ".join(self.problems)
        more = len(self) - len(facts)
        return card(
            "Runs", self._folder, {**facts, "…": f"and {more} more" if more else None, "with problems": problems}
        )

    @property
    def problems(self) -> dict[str, list[str]]:
        """List what is wrong with each run.

        Returns
        -------
        dict of str to list of str
            Sentences by run; a run without problems is not in it.

        Examples
        --------
        >>> "saved" in runs.problems
        False
        """
        return {run.name: list(run.problems) for run in self._runs.values() if run.problems}

    def open(self, run: str) -> Recording:
        """Open one of the runs, with all questions, figures and panels of a recording.

        Parameters
        ----------
        run : str
            The run's name, which is that of its folder.

        Returns
        -------
        Recording
            As from `open_recording`.

        Raises
        ------
        KeyError
            If there is no run of that name.
        ValueError
            If the runs are in object storage: copy the folder to this machine first.

        Examples
        --------
        >>> with runs.open("saved") as one:
        ...     one
        <Recording ...saved: finished, ... events, 0 gaps>
        """
        if not self._local:
            raise ValueError("only recordings on this machine can be opened; copy the folder here first")
        if not isinstance(run, str) or run not in self._runs:
            hint = did_you_mean(run, self._runs) if isinstance(run, str) else ""
            raise KeyError(f"there is no run {run!r:.80}{hint}")
        return open_recording(self._runs[run].path)

    def table(self, *, characters: bool = True) -> pd.DataFrame:
        """List the runs.

        Parameters
        ----------
        characters : bool
            Open each run once, to count its characters, errors and gaps. With `False` these columns are NA.

        Returns
        -------
        pandas.DataFrame
            One row for each run, indexed by `run` (its name). `run_id` is what the simulation calls the run (object);
            `started` (datetime64, UTC) and `duration` (timedelta64) are of its first and last message; `events`,
            `characters`, `errors`, `gaps`, `first_tick`, `last_tick`, `epochs`, `bytes` and `problems` are Int64, NA if
            the recording does not say; `finished` is bool. Then follows a column for each parameter of the runs, of a
            number type if all values are numbers; a parameter with the name of a column above gets the prefix
            `parameters.`.

        Examples
        --------
        >>> runs.table().loc["saved", ["characters", "errors", "last_tick"]].to_list()
        [12, 4, 60]
        """
        if flag("characters", characters):
            self._open_new()
        rows = []
        parameters: list[dict[str, Any]] = []
        for run in self._runs.values():
            facts = {**summary(run), **(self._facts[run.key] if characters else dict.fromkeys(_ASKED))}
            parameters.append(facts["parameters"])
            rows.append(
                {
                    "run": run.name,
                    **{name: facts[name] for name in _TABLE if name not in ("run", "problems")},
                    "problems": len(run.problems),
                }
            )
        frame = pd.DataFrame(rows, columns=_TABLE, dtype="object")
        kinds: dict[str, Any] = dict.fromkeys(_NUMBERS, "Int64") | {"finished": "bool", "run": "str"}
        frame = frame.astype(kinds)
        frame["started"] = pd.to_datetime(frame["started"], utc=True).astype("datetime64[ns, UTC]")
        frame["duration"] = pd.to_timedelta(frame["duration"]).astype("timedelta64[ns]")
        for name in dict.fromkeys(name for told in parameters for name in told):
            column = f"parameters.{name}" if name in _TABLE else name
            frame[column] = json_column([told.get(name) for told in parameters], frame.index)
        return frame.set_index("run")

    def _open_new(self) -> None:
        """Open the runs that were not opened yet, for the table."""
        new = [run for run in self._runs.values() if run.key not in self._facts]
        for run, facts in self._each(_facts_of, new):
            self._facts[run.key] = facts

    def sql(self, query: str) -> pd.DataFrame:
        """Answer one SELECT over all runs.

        The tables are those of a recording, each with a first column `run`, and `runs`, which is `table()`. `events`
        has two more columns for a query that names one of them: `payload`, as it was sent, and `data`, the inner value
        of an event notification as JSON text, as in ``json_extract(data, '$.price')``. Times are UTC. A query can read
        nothing else: no other file, no network, no variable.

        Parameters
        ----------
        query : str
            One SELECT in DuckDB's SQL.

        Returns
        -------
        pandas.DataFrame
            One row for each row of the answer.

        Raises
        ------
        ValueError
            If the query cannot be answered: DuckDB's message, and the names of the tables.
        ImportError
            If DuckDB is missing; the message says how to install it.

        Examples
        --------
        >>> runs.sql("select type, count(*) as n from events where run = 'saved' group by type order by n desc limit 2")
                       type    n
        0      state_change  154
        1  character_update  110
        """
        payload = names_payload(query)
        tables: dict[str, Callable[[], Any]] = {name: partial(self._asked, name) for name in TABLES}
        tables["events"] = lambda: EventView(self._events(payload), payload=payload, runs=True)
        for kind in kinds_in_files(query):
            tables[kind.question] = partial(self._kind, kind)
        return answer(query, {**tables, "runs": lambda: self.table().reset_index()})

    def findings(
        self, kind: Names = None, *, thresholds: Mapping[str, Mapping[str, float]] | None = None
    ) -> pd.DataFrame:
        """List what is wrong in any of the runs.

        Parameters
        ----------
        kind : str or list-like of str, optional
            Only these kinds, as in `Recording.findings`.
        thresholds : mapping of mappings, optional
            For a kind, keywords of its rule.

        Returns
        -------
        pandas.DataFrame
            The rows of `Recording.findings` of each run, after a first column `run` (str), the run's name;
            `severity` is str here.

        Raises
        ------
        ValueError
            For an unknown kind or threshold.

        Examples
        --------
        >>> runs.findings("stuck")["run"].to_list()
        []
        """
        kinds = names_of(kind)
        return self._together(lambda one: one.findings(kinds, thresholds=thresholds), [*self._runs.values()])

    def arrow(self) -> pds.Dataset:
        """Return the events of all runs as a pyarrow dataset, which reads only what a query needs.

        Returns
        -------
        pyarrow.dataset.Dataset
            The columns of `docs/recording_format.md` and `run`, by which it is partitioned. Rows whose `row` is null
            are control messages. Files are not compared with their checksums.

        Warns
        -----
        UserWarning
            If a run is left out because it is of format 1, or in part because it is being recorded.

        Examples
        --------
        >>> import pyarrow.compute as pc
        >>> one = dc.open_runs(folder / "saved").arrow()
        >>> one.count_rows(filter=pc.field("type") == "error")
        4
        """
        return dataset_of(list(self._runs.values()), self._filesystem)

    def dask(self, columns: Sequence[str] | None = None) -> Any:
        """Return the events of all runs as a Dask DataFrame, for a cluster that can read the same files.

        Parameters
        ----------
        columns : list of str, optional
            Only these columns of `docs/recording_format.md`, and `run` if it is named.

        Returns
        -------
        dask.dataframe.DataFrame
            One partition for each segment.

        Raises
        ------
        ImportError
            If Dask is missing; the message says how to install it.

        Examples
        --------
        >>> costs = runs.dask(["run", "prompt_type", "cost_usd"])  # doctest: +SKIP
        >>> costs.groupby("prompt_type").cost_usd.sum().compute()  # doctest: +SKIP
        """
        return dask_frame(self.arrow(), columns)

    def _events(self, payload: bool) -> list[tuple[str | None, EventSource]]:
        """Return the events of each run."""
        asked = self._each(lambda one: events_of(one._store, payload=payload), list(self._runs.values()))
        return [(run.name, source) for run, source in asked]

    def _kind(self, kind: Kind) -> EventView:
        """Return the events of a kind of each run, from files where they have them."""
        asked = self._each(lambda one: kind_of(one._store, kind), list(self._runs.values()))
        return EventView([(run.name, source) for run, source in asked], kind=kind, runs=True)

    def _asked(self, name: str) -> pd.DataFrame:
        """Return the answers of all runs to a question, with their names."""
        return plain(self._together(lambda one: table_of(one, one._store, name), [*self._runs.values()]))

    def _together(self, ask: Callable[[Recording], pd.DataFrame], runs: list[RunFiles]) -> pd.DataFrame:
        """Return the answers of runs below each other, with their names."""
        frames = []
        for run, frame in self._each(ask, runs):
            frame.insert(0, "run", pd.Series(run.name, frame.index, dtype="str"))
            frames.append(frame)
        if not frames:
            return pd.DataFrame({"run": pd.array([], dtype="str")})
        filled = [frame for frame in frames if len(frame)] or frames[:1]
        return pd.concat([_plain_words(frame) for frame in filled], ignore_index=True)

    def _each(self, ask: Callable[[Recording], T], runs: list[RunFiles]) -> Iterator[tuple[RunFiles, T]]:
        """Yield each run and its answer, one after the other."""
        if self._verify:
            self._verify_all(runs)
        with following(f"reading {counted(len(runs), 'run')} of {visible(self._folder)}") as progress:
            for done, run in enumerate(runs, 1):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RecordingWarning)  # damage is listed in `problems`
                    recording = Recording(self._path(run))
                yield run, ask(recording)
                recording.close()
                progress(done, len(runs))

    def _path(self, run: RunFiles) -> str:
        """Return the folder of a run on this machine; a run that is elsewhere is copied first."""
        if self._local:
            return run.path
        if self._copies is None:
            self._copies = Path(mkdtemp(prefix="degentcivil-runs-"))
            weakref.finalize(self, shutil.rmtree, self._copies, ignore_errors=True)
        return copied(self._filesystem, run.path, self._copies / sha256(repr(run.key).encode()).hexdigest())

    def _verify_all(self, runs: list[RunFiles]) -> None:
        """Compare the segments that were not verified yet with their checksums."""
        new = [(run, one) for run in runs for one in run.sealed if one.path not in self._sound]
        with following(f"reading segments of {visible(self._folder)}") as progress:
            for done, (run, one) in enumerate(new, 1):
                wrong = self._sound[one.path] = verify(self._filesystem, one)
                if wrong is not None:
                    said = f"{one.stats.name} is damaged: {wrong}; {one.stats.messages:,} messages are missing"
                    run.problems.append(said)
                    warnings.warn(f"{visible(run.name)}: {said}", RecordingWarning, stacklevel=2)
                progress(done, len(new))


def _facts_of(recording: Recording) -> dict[str, int]:
    stats = recording._store.stats()
    facts = {"characters": stats.characters, "errors": stats.errors, "gaps": stats.gaps}
    return {**facts, "events": len(recording)}


def _plain_words(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with texts for categories, which differ from run to run."""
    return frame.astype(dict.fromkeys(frame.select_dtypes("category").columns, "str"))


_ASKED: Final = ("characters", "errors", "gaps")
_NUMBERS: Final = ("events", "characters", "errors", "gaps", "first_tick", "last_tick", "epochs", "bytes", "problems")
_TABLE: Final = [
    "run",
    "run_id",
    "started",
    "duration",
    "events",
    "characters",
    "errors",
    "gaps",
    "first_tick",
    "last_tick",
    "epochs",
    "finished",
    "bytes",
    "problems",
]
