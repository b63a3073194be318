"""What a recording says of itself: who was recorded, and what each segment holds, under a checksum of its own."""

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

from ..protocol.errors import WebSocketError
from ..protocol.json_text import decode, encode
from ..protocol.messages import Gap, MessageTypes
from ..store.schema import NEAR_S
from .arrow_messages import event_times, sent_times

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
UNFINISHED: Final = f"{MANIFEST}.tmp"
LOCK: Final = "recording.lock"
SEALED_NAME: Final = re.compile(r"segment-(\d{6,9})-([0-9a-f]{32})\.parquet")
OPEN_NAME: Final = re.compile(r"segment-(\d{6,9})\.open")
STATS_KEY: Final = b"degentcivil_nb.segment"
MAX_MANIFEST_BYTES: Final = 64 << 20
MAX_WORDS: Final = 1_000
"""A segment with more types, or epochs, than that does not list them, and cannot be skipped by them."""

Count = Annotated[int, Meta(ge=0)]


class SegmentStats(Struct, omit_defaults=True):
    """Say what a segment holds, so that a question can pass it by; times in seconds since 1970."""

    number: Count
    ordinal: Count
    """The place of its first message in the recording."""
    row: Count
    """The place of its first event in the recording."""
    messages: Count = 0
    rows: Count = 0
    data_bytes: Count = 0
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None = None
    time: tuple[float, float] | None = None
    """Of events: when they were sent, or received where no sender says."""
    sent: tuple[float, float] | None = None
    """Of events whose senders say when."""
    tick: tuple[int, int] | None = None
    seq: dict[str, tuple[int, int]] = field(default_factory=dict)
    """First and last position by epoch."""
    types: dict[str, int] | None = field(default_factory=dict)
    """Messages by type, `None` where there are too many types."""
    position: tuple[str, Count] | None = None
    """The last position accounted for by its end."""

    @property
    def name(self) -> str:
        """Give the name of its sealed file, which has the file's checksum in it."""
        return f"segment-{self.number:06d}-{self.digest}.parquet"

    def add(self, batch: pa.RecordBatch) -> None:
        """Take up what a further batch holds."""
        size = batch.num_rows
        self.messages += size
        rows = size - batch.column("row").null_count
        self.rows += rows
        self.data_bytes += batch.column("data").nbytes
        clocks = batch.select(["timestamp", "received"])
        if rows < size:  # a control message has no time of its own, but that of what it stands between
            clocks = clocks.filter(batch.column("row").is_valid())
        self.time = _wider(self.time, event_times(clocks))
        self.sent = _wider(self.sent, sent_times(clocks))
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


def _wider(span: tuple[float, float] | None, times: Any) -> tuple[float, float] | None:
    known = times[np.isfinite(times)]
    if not len(known):
        return span
    low, high = float(known.min()), float(known.max())
    return (low, high) if span is None else (min(low, span[0]), max(high, span[1]))


def span_of(segments: Iterable[SegmentStats]) -> tuple[float, float] | None:
    """Say from when to when a recording is, in seconds since 1970, by the clock of its stream.

    Where that is a clock of its own (a simulated January, recorded in November), when messages without a time were
    received says nothing.
    """
    time = sent = None
    for stats in segments:
        time = _wider(time, np.array(stats.time or ()))
        sent = _wider(sent, np.array(stats.sent or ()))
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
    """Say whose recording it is, whether it was finished, and what its sealed segments hold."""

    format: int = FORMAT
    run_id: str | None = None
    url: str | None = None
    started: float | None = None
    package: str | None = None
    closed: bool = False
    segments: list[SegmentStats] = field(default_factory=list)


class _Sealed(Struct):
    sha256: str
    recording: Raw


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it beside, bring it to the disk, and put it in place in one step."""
    body = encode(manifest)
    write_whole(folder / MANIFEST, _whole(body))


def _whole(body: bytes) -> bytes:
    return b'{"sha256":"%b","recording":%b}\n' % (sha256(body).hexdigest().encode(), body)


def read_manifest(folder: Path) -> Manifest:
    """Read it; `ValueError` says why it cannot be believed, `FileNotFoundError` that there is none."""
    path = folder / MANIFEST
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ValueError("it is too large to be one")
    return parse_manifest(path.read_bytes())


def parse_manifest(text: bytes) -> Manifest:
    """Read what a manifest's file holds; `ValueError` says why it cannot be believed."""
    try:
        sealed = decode(_Sealed, text)
        if _whole(bytes(sealed.recording)) != text:
            raise ValueError("its checksum is another")
        manifest = decode(Manifest, sealed.recording)
    except WebSocketError as error:
        raise ValueError(error.message) from error
    if manifest.format != FORMAT:
        raise ValueError(f"its format is {manifest.format}, and this version reads {FORMAT}")
    return manifest


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that after any crash there is either all of it or what was there before."""
    beside = path.with_name(path.name + ".tmp")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest_of(data: Any) -> str:
    """Give the checksum that a sealed segment's name carries."""
    return sha256(data).hexdigest()[:32]
