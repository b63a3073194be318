"""Many runs as one dataset: a table of them, and SQL across them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.dataset as pds  # type: ignore[import-untyped]
import pyarrow.fs as pafs  # type: ignore[import-untyped]

from ..analysis.sql import answer
from ..core.arguments import flag, instance
from ..core.arguments import path as checked_path
from ..core.cards import card
from ..core.counting import counted
from ..core.escaping import visible
from ..core.names import did_you_mean
from ..core.progress import following
from ..protocol.errors import RecordingWarning
from ..recordings.arrow_messages import LINKED_SCHEMA, with_links
from ..recordings.run_files import RunFiles, find_runs, is_readable_name, local, summary, verify
from .recording import Recording, open_recording
from .run_views import VIEWS

_MOST_SHOWN: Final = 20
"""How many runs a notebook shows of a folder."""
_COLUMNS: Final = pa.schema(
    [("run", pa.string())]
    + [(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type) for field in LINKED_SCHEMA]
)


_CHARACTERS: Final = "select run, count(distinct character_id) as n from events group by run"


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
        Where `folder` lies, with credentials and all else that the file system's constructor takes. fsspec's file
        systems fit through ``pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs))``.
    verify : bool
        Compare each segment with its checksum before the first question that reads it, for which it is read whole.
        What is damaged is left out, with a `RecordingWarning`.

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
        self._characters: dict[tuple[Any, ...], int] = {}
        self._runs: dict[str, RunFiles] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look again at the folder: what was recorded meanwhile, and which runs came or went.

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
                    f"the recording {name} is left out: many runs are asked at once only where the names of their "
                    "folders are UTF-8; rename it, or open it by itself with open_recording",
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
            Its name, which is that of its folder.

        Returns
        -------
        Recording
            As from `open_recording`.

        Raises
        ------
        KeyError
            If there is no run of that name.
        ValueError
            If the runs lie in object storage: copy the folder to this machine first.

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
            Count the characters of each run, which reads all its events once and needs DuckDB. With `False` the column
            `characters` is NA.

        Returns
        -------
        pandas.DataFrame
            One row for each run, indexed by `run` (its name). `run_id` is what the simulation calls the run (object);
            `started` (datetime64, UTC) and `duration` (timedelta64) are of its first and last message; `events`,
            `characters`, `errors`, `gaps`, `first_tick`, `last_tick`, `epochs`, `bytes` and `problems` are Int64, NA
            where a recording does not say; `finished` is bool.

        Raises
        ------
        ImportError
            If DuckDB is missing and `characters` is wanted; the message says how to get it.

        Examples
        --------
        >>> runs.table().loc["saved", ["characters", "errors", "last_tick"]].to_list()
        [12, 4, 60]
        """
        counted = self._count_characters() if flag("characters", characters) else {}
        rows = []
        for run in self._runs.values():
            facts = summary(run)
            rows.append(
                {
                    "run": run.name,
                    **{name: facts[name] for name in ("run_id", "started", "duration", "events")},
                    "characters": counted.get(run.key),
                    **{name: facts[name] for name in ("errors", "gaps", "first_tick", "last_tick", "epochs")},
                    **{name: facts[name] for name in ("finished", "bytes")},
                    "problems": len(run.problems),
                }
            )
        frame = pd.DataFrame(rows, columns=_TABLE, dtype="object")
        kinds: dict[str, Any] = dict.fromkeys(_NUMBERS, "Int64") | {"finished": "bool", "run": "str"}
        frame = frame.astype(kinds)
        frame["started"] = pd.to_datetime(frame["started"], utc=True)
        frame["duration"] = pd.to_timedelta(frame["duration"])
        return frame.set_index("run")

    def _count_characters(self) -> dict[tuple[Any, ...], int]:
        new = [run for run in self._runs.values() if run.key not in self._characters]
        if new:
            found = answer(_CHARACTERS, self._tables(new), VIEWS)
            counts = dict(zip(found["run"].tolist(), found["n"].tolist(), strict=True))
            self._characters |= {run.key: counts.get(run.name, 0) for run in new}
        return self._characters

    def sql(self, query: str) -> pd.DataFrame:
        """Answer one SELECT over all runs.

        The tables are `events`, `gaps` and `messages`, each with a column `run`, and `runs`, which is `table()` without
        the characters. `events` has the columns of a recording's `events()` except `time_source`, read from what was
        sent, and two of JSON text: `payload`, all that was sent, and `data`, the inner value of an event notification,
        as in ``json_extract(data, '$.price')``. Times are UTC. A query reaches nothing else: no file, no network, no
        variable.

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
            If the query cannot be answered, with DuckDB's own words and the names of the tables.
        ImportError
            If DuckDB is missing; the message says how to get it.

        Examples
        --------
        >>> runs.sql("select type, count(*) as n from events where run = 'saved' group by type order by n desc limit 2")
                       type    n
        0      state_change  154
        1  character_update  110
        """
        return answer(query, {**self._tables(list(self._runs.values())), "runs": self._plain_table}, VIEWS)

    def _plain_table(self) -> pd.DataFrame:
        return self.table(characters=False).drop(columns="characters").reset_index()

    def _tables(self, runs: list[RunFiles]) -> dict[str, Any]:
        return {"_sealed": partial(self._sealed, runs), "_open": partial(_open, runs)}

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

    def _sealed(self, runs: list[RunFiles]) -> pds.Dataset:
        """Return the sealed segments as one dataset, read as needed."""
        kind = pds.ParquetFileFormat()
        fragments = []
        if self._verify:
            self._verify_all(runs)
        for run in runs:
            for one in run.sealed:
                if self._sound.get(one.path) is None:
                    whose = pds.field("run") == run.name
                    fragments.append(kind.make_fragment(one.path, self._filesystem, partition_expression=whose))
        return pds.FileSystemDataset(fragments, _COLUMNS, kind, self._filesystem)


def _open(runs: list[RunFiles]) -> pa.Table:
    """Return the messages of segments that are not sealed."""
    tables = [_COLUMNS.empty_table()]
    for run in runs:
        for batch in run.tail:
            batch = with_links(batch)
            columns = [batch.column(field.name).cast(field.type) for field in _COLUMNS if field.name != "run"]
            names = pa.repeat(pa.scalar(run.name, pa.string()), batch.num_rows)
            tables.append(pa.table([names, *columns], schema=_COLUMNS))
    return pa.concat_tables(tables)


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
