"""The index of a recording of format 2: a summary of each sealed segment, and the town from time to time.

It is written as segments are sealed: one file of records with checksums (`framing.py`), appended only. It contains
nothing that does not follow from the segments, so that it can be made again from them (`rebuild.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..store.counters import merged_counts
from ..store.schema import Ints
from .framing import Record, read_records, write_record
from .index_file import MEANING, WIDTHS, packed, unpacked
from .manifest import Count
from .whole_run import IndexHead, IndexState

SUMMARIES_NAME: Final = "summaries.index"
SUMMARY: Final = 3
TOWN: Final = 4
MAX_BYTES: Final = 1 << 30

Packed = tuple[Literal["i1", "i2", "i4", "i8"], int, bytes]
"""Whole numbers as their differences: the width, how many, and the bytes."""


class Summary(Struct, array_like=True):
    """The state at the end of a segment; words, gaps, controls and counts are those since the segment before."""

    number: Count
    digest: str
    messages: Count
    """The messages of the recording up to its end."""
    first_row: Count
    gaps_from: Count
    """How many of the earlier gaps remain; the others are listed again with better times."""
    controls_from: Count
    state: IndexState
    arrays: dict[str, Packed]
    meaning: int
    """The version of the columns and counts that a store derives from messages."""

    @property
    def next_row(self) -> int:
        """Return the row of the first event behind the segment."""
        return self.state.row


class Town(Struct, array_like=True):
    """The characters before an event, as of the stream."""

    row: Count
    characters: list[IndexHead]


class TownPlace(Struct, array_like=True):
    """The location of a town in the index."""

    row: int
    data: bytes | memoryview
    size: int


def packed_arrays(arrays: Mapping[str, Ints]) -> dict[str, Packed]:
    """Return whole numbers as their differences, in the narrowest type."""
    return {name: _packed(array) for name, array in arrays.items()}


def _packed(array: Ints) -> Packed:
    steps = np.diff(array.astype(np.int64), prepend=np.int64(0))
    low, high = (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)
    width: Any = next(w for w in WIDTHS if np.iinfo(w).min <= low and high <= np.iinfo(w).max)
    return width, len(steps), steps.astype(f"<{width}").tobytes()


def unpacked_array(array: Packed) -> Ints:
    """Return the numbers that `packed_arrays` packed; `ValueError` if some are missing."""
    width, count, data = array
    steps: Ints = np.frombuffer(data, f"<{width}").astype(np.int64)
    if len(steps) != count:
        raise ValueError("numbers are missing")
    return np.cumsum(steps, dtype=np.int64)


def records_of(summary: Summary, towns: Iterable[Town]) -> list[bytes | memoryview]:
    """Return the records of a segment as pieces of bytes."""
    pieces = [piece for town in towns for piece in town_record(summary.number, town)]
    return pieces + _record(SUMMARY, summary.number, summary.next_row, encode(summary))


def town_record(number: int, town: Town) -> list[bytes | memoryview]:
    """Return the record of a town in a segment as pieces of bytes."""
    return _record(TOWN, number, town.row, encode(town))


def _record(kind: int, number: int, row: int, text: bytes) -> list[bytes | memoryview]:
    data, size = packed(text)
    return write_record(Record(kind, number, 0, size, row, 0, data))


def append_records(folder: Path, pieces: Iterable[bytes | memoryview]) -> int:
    """Write records at the end of the index, to disk; return their bytes."""
    data = b"".join(pieces)
    if not data:
        return 0
    with _open(folder, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return len(data)


def _open(folder: Path, flags: int) -> Any:
    path = folder / SUMMARIES_NAME
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise FileExistsError(f"{path.name} is not a file")
    return os.fdopen(os.open(path, flags, 0o644), "ab" if flags & os.O_APPEND else "rb")


class Summaries:
    """The index of a recording: its summaries by the number of their segment, and its towns by their row.

    Raises `FileNotFoundError` if there is none, `ValueError` if it cannot be used. A part that is damaged is left out.
    """

    def __init__(self, data: memoryview) -> None:
        self.by_number: dict[int, Summary] = {}
        self.towns: list[TownPlace] = []
        self.add(data)

    def add(self, data: memoryview) -> None:
        """Add records."""
        for record in read_records(data):
            if not isinstance(record, Record):
                continue
            if record.kind == TOWN:
                self.towns.append(TownPlace(record.row, record.payload, record.ordinal))
            elif record.kind == SUMMARY:
                try:
                    summary = decode(Summary, unpacked(bytes(record.payload), record.ordinal))
                except WebSocketError as error:
                    raise ValueError(error.message) from error
                if summary.meaning == MEANING:
                    self.by_number[summary.number] = summary
        self.towns.sort(key=lambda town: town.row)

    @classmethod
    def read(cls, folder: Path) -> Summaries:
        """Read the index of a folder."""
        try:
            with _open(folder, os.O_RDONLY) as file:
                if os.fstat(file.fileno()).st_size > MAX_BYTES:
                    raise ValueError("it is too large for an index")
                return cls(memoryview(file.read()))
        except FileExistsError as error:
            raise ValueError(str(error)) from error

    def town_row(self, row: int) -> int:
        """Return the row of the last town before an event; 0 if there is none."""
        return max((place.row for place in self.towns if place.row <= row), default=0)

    def town(self, row: int) -> Town | None:
        """Return the last town before an event; `None` if there is none: the town is then empty at the beginning."""
        before = [place for place in self.towns if place.row <= row]
        if not before:
            return None
        try:
            return decode(Town, unpacked(bytes(before[-1].data), before[-1].size))
        except WebSocketError as error:
            raise ValueError(error.message) from error


def combined(summaries: Sequence[Summary]) -> tuple[IndexState, dict[str, Ints]]:
    """Return the state at the end of segments that follow each other, as `WholeRun.restore` takes it."""
    last = summaries[-1].state
    words: dict[str, list[str]] = {}
    codes: list[str] = []
    names: set[str] = set()
    said: set[str] = set()
    gaps: list[Any] = []
    controls: list[Any] = []
    places: list[Any] = []
    arrays: dict[str, list[Ints]] = {}
    for summary in summaries:
        state = summary.state
        for name, new in state.words.items():
            words.setdefault(name, []).extend(new)
        codes += state.codes
        names.update(state.names)
        said.update(state.said)
        gaps[summary.gaps_from :] = state.gaps
        controls[summary.controls_from :] = state.controls
        places = state.places or places
        for name, array in summary.arrays.items():
            arrays.setdefault(name, []).append(unpacked_array(array))
    whole = {name: np.concatenate(pieces) for name, pieces in arrays.items()}
    for name in {name.partition(".")[0] for name in whole if name.endswith(".keys")}:
        keys, counts = whole[f"{name}.keys"], whole[f"{name}.counts"]
        if len(keys) != len(counts):
            raise ValueError("counts are missing")
        if len(keys):
            whole[f"{name}.keys"], whole[f"{name}.counts"] = merged_counts([keys], [counts])
    for name in [name for name in whole if name.startswith(("stays.", "pending."))]:
        del whole[name]
    whole |= {
        name: unpacked_array(array)
        for name, array in summaries[-1].arrays.items()
        if name.startswith(("stays.", "pending."))
    }
    state = IndexState(
        last.row,
        words,
        codes,
        sorted(names),
        sorted(said),
        last.characters,
        last.snapshot,
        last.parts,
        controls,
        gaps,
        last.missing,
        last.run_state,
        last.told,
        last.accounted,
        places,
        last.llm,
        last.errors,
        last.malformed,
        last.tick,
        last.clock,
    )
    return state, whole
