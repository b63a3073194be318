"""The columns of one sealed segment, each read when a question needs it."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from ..core.event_columns import CATEGORIES, NUMBERS, TIMES
from ..protocol.json_text import encode
from ..store.columns import Dictionary, code_dtype
from ..store.links import TextView
from ..store.pieces import Extract, Extracted, Pattern, payloads_with
from ..store.schema import NAT, Codes, Ints, Mask
from ..store.table import Array, LazyColumns, View
from .column_messages import has_all_columns
from .columns import FIRST_MEANING, FORMAT_KEY, FORMAT_VERSION, MEANING_KEY, PAYLOAD, PAYLOAD_BYTES, PAYLOAD_OF
from .extract_files import ExtractFiles
from .index_file import MEANING
from .link_columns import LINK_COLUMNS, LINK_READERS
from .segment_bytes import sound_bytes
from .segment_reader import Segment

CACHED_BYTES: Final = 256 << 20
FEW: Final = 1_024
"""Of so many events the columns are held."""
NO_FRAME: Final = pd.DataFrame()
BROKEN: Final = (OSError, ValueError, pa.ArrowException)


class DamagedSegment(Exception):
    """The signal that a segment is not what its recorder wrote."""


class ColumnCache:
    """Columns that were read, the last ones first, up to a number of bytes."""

    def __init__(self, most: int = CACHED_BYTES) -> None:
        self._most = most
        self._held: OrderedDict[tuple[int, str], Any] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[int, str]) -> Any:
        """Return the array under a key; `None` if there is none."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def put(self, key: tuple[int, str], value: Any) -> None:
        """Hold an array under a key."""
        with self._lock:
            if key in self._held:
                return
            self._held[key] = value
            self._size += int(value.nbytes)
            while self._size > self._most and len(self._held) > 1:
                self._size -= int(self._held.popitem(last=False)[1].nbytes)


class _LazyLinks:
    """A `LinkView` of a segment, each part read when it is first asked for."""

    def __init__(self, part: SealedColumns) -> None:
        self._part = part

    @cached_property
    def _columns(self) -> dict[str, Array]:
        return self._part.links(np.arange(len(self._part)))

    @cached_property
    def ids(self) -> TextView:
        return self._texts("event_id")

    @cached_property
    def causes(self) -> TextView:
        return self._texts("cause")

    @cached_property
    def interventions(self) -> TextView:
        cells = self._part.links(np.arange(len(self._part)), ("intervention",))["intervention"]
        told = np.flatnonzero(pd.notna(cells))
        return self._view(told.tolist(), [encode(cell).decode() for cell in cells[told]], [True] * len(told))

    @cached_property
    def time_rows(self) -> Ints:
        rows: Ints = np.flatnonzero(~self._columns["sim_time missing"]) + self._part.first_row
        return rows

    @cached_property
    def times(self) -> Array:
        times: Array = self._columns["sim_time"][~self._columns["sim_time missing"]]
        return times

    def _texts(self, name: str) -> TextView:
        places: list[int] = []
        texts: list[str] = []
        alone: list[bool] = []
        cells = self._part.links(np.arange(len(self._part)), (name,))[name]
        for place, cell in enumerate(cells.tolist()):
            if cell is not None:
                said = [cell] if isinstance(cell, str) else cell
                places += [place] * len(said)
                texts += said
                alone += [isinstance(cell, str)] * len(said)
        return self._view(places, texts, alone)

    def _view(self, places: list[int], texts: list[str], alone: list[bool]) -> TextView:
        rows = np.array(places, np.int64) + self._part.first_row
        return TextView(rows, np.array([*map(hash, texts)], np.int64), np.array(alone, np.bool_), texts, 0)


class SealedColumns:
    """The events of a sealed segment, with the words of the whole run.

    The file is compared with its checksum before it is read. Raises `DamagedSegment` if it is damaged.
    """

    def __init__(
        self, segment: Segment, words: Mapping[str, Dictionary], cache: ColumnCache, extracts: ExtractFiles
    ) -> None:
        self.stats = segment.stats
        self._extracts = extracts
        self.first_row, self.next_row = segment.stats.row, segment.stats.row + segment.stats.rows
        self.path = segment.path
        self._words = words
        self._cache = cache
        self._sound = False
        self._file_metadata: Any = None

    @property
    def size(self) -> int:
        """Return the size of the file."""
        try:
            return 0 if self.path is None else self.path.stat().st_size
        except OSError as error:
            raise DamagedSegment(f"{self.stats.name}: {error}") from error

    def __len__(self) -> int:
        return self.next_row - self.first_row

    def view(self) -> View:
        """Return the segment as rows of a store."""
        return View(
            self.first_row,
            self.next_row,
            LazyColumns((*CATEGORIES, *NUMBERS, *TIMES), self.column),
            LazyColumns(NUMBERS, self.mask),
            self._words,  # type: ignore[arg-type]  # read only
            NO_FRAME,
            links=_LazyLinks(self),  # type: ignore[arg-type]  # what is read of it, when it is read
        )

    def column(self, name: str) -> Array:
        """Return a column as a store has it: codes of words, whole numbers, or nanoseconds."""
        return self._cached(name, lambda: self._load(name))

    def mask(self, name: str) -> Array:
        """Return a mask of the missing values of a column of numbers."""
        self.column(name)
        return self._cached(f"{name} missing", lambda: self._load(name, mask=True))

    def _cached(self, name: str, load: Callable[[], Array]) -> Array:
        key = (self.stats.number, name)
        found = self._cache.get(key)
        if found is None:
            found = load()
            self._cache.put(key, found)
        return found  # type: ignore[no-any-return]

    def _load(self, name: str, *, mask: bool = False) -> Array:
        values = self.read([name])[name]
        return _missing(values) if mask else self._made(name, values)

    def columns_at(self, names: Sequence[str], places: Array) -> dict[str, Array]:
        """Return columns of some events as `column` has them, and where numbers are missing; they are read at once."""
        at = pa.array(places)
        read = {name: values.take(at) for name, values in self._read_for(places, names).items()}
        found = {name: self._made(name, values) for name, values in read.items()}
        return found | {f"{name} missing": _missing(read[name]) for name in names if name in NUMBERS}

    def _read_for(self, places: Array, names: Iterable[str]) -> dict[str, pa.Array]:
        """Return columns for some events; for a few of them, whose neighbours are asked for soon, they are held."""
        if len(places) > FEW:
            return self.read([*names])
        keys = {name: (self.stats.number, f"{name} as read") for name in names}
        found = {name: self._cache.get(key) for name, key in keys.items()}
        missing = [name for name, values in found.items() if values is None]
        if missing:
            found |= self.read(missing)
            for name in missing:
                self._cache.put(keys[name], found[name])
        return found

    def _made(self, name: str, values: pa.Array) -> Array:
        if name in CATEGORIES:
            return self._codes(name, values)
        missing = _missing(values)
        if name in TIMES:
            nanoseconds: Ints = values.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False) * 1_000
            nanoseconds[missing] = NAT
            return nanoseconds
        numbers: Ints = values.fill_null(0).to_numpy(zero_copy_only=False)
        return numbers

    def _codes(self, name: str, values: pa.DictionaryArray) -> Codes:
        words, known = self._words[name], values.dictionary.to_pylist()
        places = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        mine = np.full(len(known) + 1, -1, np.int32)
        used = np.zeros(len(known) + 1, np.bool_)
        used[places] = True  # words that only control messages have belong to no event
        for place in np.flatnonzero(used[:-1]).tolist():
            mine[place] = words[known[place]]
        codes: Codes = mine[places].astype(code_dtype(len(words.words)), copy=False)
        return codes

    def extracted(self, extract: Extract) -> Extracted:
        """Return an extract of the events, from its file if that has it."""
        return self._extracts.of(extract, self.stats, self, self._words)

    def values_at(self, names: list[str], places: Array) -> dict[str, pa.Array]:
        """Return columns of events as the file has them; the events are given by their indices in the segment."""
        at = pa.array(places)
        return {name: values.take(at) for name, values in self.read(names).items()}

    def links(self, places: Array, names: Sequence[str] = LINK_COLUMNS) -> dict[str, Array]:
        """Return columns of links of events, given by their indices, and a mask of missing `sim_time`s."""
        self.verify()
        told = [name for name in names if not self._is_empty(name)]
        column = self._read_for(places, told) if told else {}
        at = pa.array(places)
        found: dict[str, Array] = {}
        for name, read in LINK_READERS.items():
            if name in names:
                cells = found[name] = np.full(len(places), None, object)
                if name in column:
                    texts = column[name].take(at)
                    known = texts.is_valid().to_numpy(zero_copy_only=False)
                    cells[known] = np.fromiter(map(read, texts.drop_null().to_pylist()), object)
        if "sim_time" in names:
            times = column["sim_time"].take(at) if "sim_time" in column else pa.nulls(len(places), pa.float64())
            found["sim_time missing"] = times.is_null().to_numpy(zero_copy_only=False)
            found["sim_time"] = times.fill_null(0.0).to_numpy(zero_copy_only=False)
        return found

    def _is_empty(self, name: str) -> bool:
        """Return whether a column is known to have no values."""
        place = self._file_metadata.schema.names.index(name)
        statistics = self._file_metadata.row_group(0).column(place).statistics
        return statistics is not None and bool(statistics.null_count == self.stats.messages)

    def rows_with(self, name: str, words: Collection[str]) -> dict[str, list[int]]:
        """Return the rows that have each of some ids as `event_id`, or among those of `cause`."""
        self.verify()
        if self._is_empty(name):
            return {}
        column = self.read([name])[name]
        sought = pc.is_in(column, pa.array(list(words), pa.string()))
        if name == "cause":
            sought = pc.or_(sought, pc.fill_null(pc.starts_with(column, "["), False))
        found: dict[str, list[int]] = {}
        places = np.flatnonzero(sought.to_numpy(zero_copy_only=False))
        for place, text in zip(places.tolist(), column.take(pa.array(places)).to_pylist(), strict=True):
            said = LINK_READERS[name](text)
            for word in dict.fromkeys([said] if isinstance(said, str) else said):
                if word in words:
                    found.setdefault(word, []).append(place + self.first_row)
        return found

    def payloads(self, rows: Array) -> list[bytes]:
        """Return payloads of events, given by their indices in the segment, from the columns that have them."""
        rows = np.asarray(rows, np.int64)
        types = self.column("type")[rows]
        found = np.empty(len(rows), object)
        for name, kinds in PAYLOAD_OF.items():
            codes = [self._words["type"].get(kind, -2) for kind in kinds]
            here = np.isin(types, codes)
            if here.any():
                found[here] = self._bytes(name, rows[here])
        left = np.array([data is None for data in found], np.bool_)  # also of types that had no such column earlier
        if left.any():
            found[left] = self._bytes(PAYLOAD, rows[left])
        if not self._is_empty(PAYLOAD_BYTES):
            exact = self._bytes(PAYLOAD_BYTES, rows)
            known = np.array([data is not None for data in exact], np.bool_)
            found[known] = exact[known]
        if any(data is None for data in found):
            raise DamagedSegment(f"{self.stats.name}: payloads are missing")
        listed: list[bytes] = found.tolist()
        return listed

    def payloads_with(self, type: str, pattern: Pattern) -> tuple[Array, list[bytes]]:
        """Return the places and payloads of the events of a type whose payloads have a pattern."""
        if self.stats.types is not None and type not in self.stats.types:
            return np.zeros(0, np.int64), []
        self.verify()
        name = next((name for name, kinds in PAYLOAD_OF.items() if type in kinds), PAYLOAD)
        places = np.flatnonzero(self.column("type") == self._words["type"].get(type, -2))
        texts = self.read([name])[name].take(pa.array(places))
        if texts.null_count or not self._is_empty(PAYLOAD_BYTES):  # they are in other columns
            return payloads_with(self, type, pattern)
        caseless = bool(pattern.flags & re.IGNORECASE)
        has = pc.match_substring_regex(texts, pattern.pattern.decode(), ignore_case=caseless)
        found: list[bytes] = texts.filter(has).cast(pa.binary()).to_pylist()
        return places[has.to_numpy(zero_copy_only=False)], found

    def payload_array(self, rows: Array) -> pa.Array:
        """Return payloads of events, given by their indices in the segment, as an array of bytes."""
        self.verify()
        at = pa.array(np.asarray(rows, np.int64))
        names = [name for name in (PAYLOAD_BYTES, PAYLOAD, *PAYLOAD_OF) if not self._is_empty(name)]
        read = self.read(names) if names else {}  # and not held: whoever asks for arrays goes through the whole run
        kind = pa.large_binary()
        found = [read[name].take(at).cast(kind) for name in names]
        payloads = pc.coalesce(*found) if found else pa.nulls(len(at), kind)  # each is in one of the columns
        if payloads.null_count:
            raise DamagedSegment(f"{self.stats.name}: payloads are missing")
        return payloads

    def _bytes(self, name: str, rows: Array) -> Any:
        column = self._cached(name, lambda: self.read([name])[name].cast(pa.binary()))
        values: Any = np.empty(len(rows), object)
        values[:] = column.take(pa.array(rows)).to_pylist()
        return values

    # --- the file -----------------------------------------------------------------------------------------------

    def verify(self) -> None:
        """Compare the file with its checksum, once."""
        if self._sound:
            return
        if self.path is None:
            raise DamagedSegment(f"{self.stats.name}: the file is missing")
        try:
            self._file_metadata = pq.read_metadata(pa.BufferReader(sound_bytes(self.path, self.stats.digest or "")))
            schema = self._file_metadata.schema.to_arrow_schema()
            if not _is_of_this_version(self._file_metadata.metadata or {}) or not has_all_columns(schema):
                raise ValueError("its columns are those of another version")
        except BROKEN as error:
            raise DamagedSegment(f"{self.stats.name}: {error}") from error
        self._sound = True

    def read(self, names: list[str]) -> dict[str, pa.Array]:
        """Read columns of the events; those of words are dictionaries."""
        self.verify()
        wanted = names if self.stats.rows == self.stats.messages else ["row", *names]
        try:
            with pa.OSFile(os.fsencode(self.path or "")) as source:
                file = pq.ParquetFile(
                    source,
                    metadata=self._file_metadata,
                    read_dictionary=[name for name in names if name in CATEGORIES],
                    pre_buffer=False,
                )
                table = file.read(columns=wanted, use_threads=False)
            if wanted is not names:
                table = table.filter(table.column("row").is_valid())
            if table.num_rows != len(self):
                raise ValueError("its size does not match its statistics")
            columns = {name: _one(table.column(name)) for name in names}
        except BROKEN as error:
            raise DamagedSegment(f"{self.stats.name}: {error}") from error
        return columns


def _missing(values: pa.Array) -> Mask:
    missing: Mask = values.is_null().to_numpy(zero_copy_only=False)
    return missing


def has_columns(segment: Segment) -> bool:
    """Return whether a sealed segment is of format 2, with every column of this version and what it means by them."""
    with pa.OSFile(os.fsencode(segment.path or "")) as source:
        return are_columns(pq.read_schema(source))


def are_columns(schema: pa.Schema) -> bool:
    """Return whether a file is of format 2, with every column of this version and what it means by them."""
    return _is_of_this_version(schema.metadata or {}) and has_all_columns(schema)


def meaning_of(metadata: Mapping[bytes, bytes]) -> int:
    """Return the version of the rules by which a file's columns were made; −1 if it is no number."""
    text = metadata.get(MEANING_KEY, str(FIRST_MEANING).encode())
    return int(text) if text.isdigit() and len(text) < 10 else -1


def _is_of_this_version(metadata: Mapping[bytes, bytes]) -> bool:
    return metadata.get(FORMAT_KEY) == FORMAT_VERSION and meaning_of(metadata) == MEANING


def _one(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)
