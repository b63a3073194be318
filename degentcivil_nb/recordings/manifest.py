"""The manifest of a recording: what was recorded, and what each segment contains, with a checksum."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.compute as pc  # type: ignore[import-untyped]
from msgspec import Meta, Raw, Struct, field

from ..protocol.control_payloads import Gap
from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..protocol.messages import MessageTypes
from ..store.schema import NEAR_S
from .arrow_messages import event_times, sent_times

FORMAT: Final = 2
FORMATS: Final = (1, FORMAT)
"""Formats that can be read; a recording of format 1 is continued in format 1 until it is migrated."""
MANIFEST: Final = "manifest.json"
UNFINISHED: Final = f"{MANIFEST}.tmp"
LOCK: Final = "recording.lock"
SEALED_NAME: Final = re.compile(r"segment-(\d{6,9})-([0-9a-f]{32})\.parquet")
OPEN_NAME: Final = re.compile(r"segment-(\d{6,9})\.open")
STATS_KEY: Final = b"degentcivil_nb.segment"
MAX_MANIFEST_BYTES: Final = 64 << 20  # some 200,000 segments
MAX_WORDS: Final = 1_000
"""The most types or epochs that a segment lists; with more, questions cannot skip the segment by them."""

Count = Annotated[int, Meta(ge=0)]


class SegmentStats(Struct, omit_defaults=True):
    """What a segment contains, so that questions can skip it; times in seconds since 1970."""

    number: Count
    ordinal: Count
    """The index of its first message in the recording."""
    row: Count
    """The index of its first event in the recording."""
    messages: Count = 0
    rows: Count = 0
    data_bytes: Count = 0
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None = None
    time: tuple[float, float] | None = None
    """First and last time of events: when they were sent, or received if the sender gives no time."""
    sent: tuple[float, float] | None = None
    """First and last time of events that the sender gave a time."""
    tick: tuple[int, int] | None = None
    seq: dict[str, tuple[int, int]] = field(default_factory=dict)
    """First and last seq by epoch."""
    types: dict[str, int] | None = field(default_factory=dict)
    """Messages by type, `None` if there are too many types."""
    position: tuple[str, Count] | None = None
    """The last position accounted for at its end."""

    @property
    def name(self) -> str:
        """Return the name of its sealed file, which contains the file's checksum."""
        return f"segment-{self.number:06d}-{self.digest}.parquet"

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the contents of a batch."""
        size = batch.num_rows
        self.messages += size
        rows = size - batch.column("row").null_count
        self.rows += rows
        self.data_bytes += batch.column("data").nbytes
        clocks = batch.select(["timestamp", "received"])
        if rows < size:  # the times are those of events, not of control messages
            clocks = clocks.filter(batch.column("row").is_valid())
        self.time = wider(self.time, event_times(clocks))
        self.sent = wider(self.sent, sent_times(clocks))
        ticks = pc.min_max(batch.column("tick")).as_py()
        if ticks["min"] is not None:
            low, high = ticks["min"], ticks["max"]
            self.tick = (low, high) if self.tick is None else (min(low, self.tick[0]), max(high, self.tick[1]))
        self._count_types(batch)
        self._note_positions(batch)

    def _count_types(self, batch: pa.RecordBatch) -> None:
        if self.types is None:
            return
        for found in pc.value_counts(batch.column("type")).to_pylist():
            self.types[found["values"]] = self.types.get(found["values"], 0) + found["counts"]
        if len(self.types) > MAX_WORDS:
            self.types = None

    def _note_positions(self, batch: pa.RecordBatch) -> None:
        epochs = batch.column("epoch")
        ends: dict[str, int] = {}
        for epoch in epochs.dictionary.to_pylist():
            if len(self.seq) >= MAX_WORDS and epoch not in self.seq:
                continue
            seqs = batch.column("seq")
            if len(epochs.dictionary) > 1 or epochs.null_count:
                seqs = seqs.filter(pc.equal(epochs.cast(pa.string()), epoch))
            found = pc.min_max(seqs).as_py()
            if found["min"] is not None:
                low, high = self.seq.get(epoch, (found["min"], found["max"]))
                self.seq[epoch] = (min(low, found["min"]), max(high, found["max"]))
                ends[epoch] = found["max"]
        if self.types is None or MessageTypes.GAP in self.types:
            gaps = batch.filter(pc.equal(batch.column("type").cast(pa.string()), MessageTypes.GAP))
            for data in gaps.column("data").to_pylist():
                end = _end_of_gap(data)
                if end is not None:
                    ends[end[0]] = max(end[1], ends.get(end[0], 0))
        now = epochs[-1].as_py() if batch.num_rows else None
        if now in ends:
            before = self.position[1] if self.position is not None and self.position[0] == now else 0
            self.position = (now, max(before, ends[now]))


def wider(span: tuple[float, float] | None, times: Any) -> tuple[float, float] | None:
    """Return the range of times widened by more times, of which those that are not finite are left out."""
    known = times[np.isfinite(times)]
    if not len(known):
        return span
    low, high = float(known.min()), float(known.max())
    return (low, high) if span is None else (min(low, span[0]), max(high, span[1]))


def span_of(segments: Iterable[SegmentStats]) -> tuple[float, float] | None:
    """Return the first and last time of a recording, in seconds since 1970, by the clock of its stream.

    If the stream has a clock of its own (a simulated January, recorded in November), times of receipt are ignored.
    """
    time = sent = None
    for stats in segments:
        time = wider(time, np.array(stats.time or ()))
        sent = wider(sent, np.array(stats.sent or ()))
    if time is None or sent is None:
        return time
    return sent if sent[0] - time[0] > NEAR_S or time[1] - sent[1] > NEAR_S else time


def _end_of_gap(data: bytes) -> tuple[str, int] | None:
    try:
        gap = decode(Gap, data)
    except WebSocketError:
        return None
    return None if gap.epoch is None or gap.end is None else (gap.epoch, gap.end)


class Manifest(Struct, omit_defaults=True):
    """The origin of a recording, whether it was finished, and what its sealed segments contain."""

    format: int = FORMATS[0]  # which named none
    run_id: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    url: str | None = None
    started: float | None = None
    package: str | None = None
    closed: bool = False
    segments: list[SegmentStats] = field(default_factory=list)


class _Sealed(Struct):
    sha256: str
    recording: Raw


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest to disk and put it in place in one step."""
    body = encode(manifest)
    write_whole(folder / MANIFEST, _whole(body))


def _whole(body: bytes) -> bytes:
    return b'{"sha256":"%b","recording":%b}\n' % (sha256(body).hexdigest().encode(), body)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest; `ValueError` if it is invalid, `FileNotFoundError` if there is none."""
    path = folder / MANIFEST
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ValueError("it is too large for a manifest")
    return parse_manifest(path.read_bytes())


def parse_manifest(text: bytes) -> Manifest:
    """Parse the content of a manifest file; `ValueError` if it is invalid."""
    try:
        sealed = decode(_Sealed, text)
        if _whole(bytes(sealed.recording)) != text:
            raise ValueError("its checksum does not match")
        manifest = decode(Manifest, sealed.recording)
    except WebSocketError as error:
        raise ValueError(error.message) from error
    if manifest.format not in FORMATS:
        raise ValueError(f"its format is {manifest.format}, and this version reads up to {FORMAT}")
    return manifest


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that after any crash either all of it or the previous version exists."""
    beside = path.with_name(path.name + ".tmp")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Write a folder's entries to disk, if the system supports it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest_of(data: Any) -> str:
    """Return the checksum as used in the name of a sealed segment."""
    return sha256(data).hexdigest()[:32]
