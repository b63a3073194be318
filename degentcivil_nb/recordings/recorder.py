"""Recording while it comes: a bounded queue, and a thread that writes and never holds up whoever fills it."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ..core import lifetime
from ..core.redaction import redacted
from ..core.version import __version__
from ..protocol.messages import Gap, RawMessage
from ..protocol.receiver import gap_message
from ..store.schema import BLOCK_ROWS
from .arrow_messages import Packed, RecordedMessage, pack
from .segment_writer import SegmentWriter

if TYPE_CHECKING:
    from ..monitoring.interfaces import Monitor
    from ..store.ingest import Ingested

logger = logging.getLogger("degentcivil_nb.recordings")

RECORDER: Final = "recorder"
"""The reason of a gap that only the recording has: its disk could not keep up."""
MAX_PENDING: Final = 262_144
MAX_PENDING_BYTES: Final = 256 << 20
INTERVAL_S: Final = 0.25
COMMIT_S: Final = 0.5
SAMPLE: Final = 32
PACKED: Final = 256
"""A list of so many messages is made columns of at once: then they are at hand, and their frames can go."""


class RecorderStats(NamedTuple):
    """Say how far a recording is."""

    path: str
    messages: int
    """Written, those of earlier recorders into the same folder included."""
    rows: int
    """Events among them."""
    pending: int
    dropped: int
    """Messages that are missing in the recording, each in a declared gap."""
    segments: int
    bytes_written: int
    position: tuple[str, int] | None
    """Epoch and `seq` of the last position accounted for in writing."""
    committed: tuple[str, int] | None
    """The last position that is safe on the disk, whatever happens to the process."""
    unsafe: int
    """Messages that are not safe on the disk yet, those that wait included."""
    lost: int
    """Messages that were written and whose files somebody took away since."""
    error: str | None
    """Why nothing can be written at the moment."""

    @property
    def state(self) -> str:
        """Say how it is: `writing`, or `failing` and why; and what will never be in it."""
        said = [f"failing: {self.error}, {self.unsafe:,} messages wait" if self.error else "writing"]
        if self.dropped:
            said.append(f"{self.dropped:,} messages are missing")
        if self.lost:
            said.append(f"{self.lost:,} messages were deleted")
        return ", ".join(said)


class Recorder:
    """Write what a sink is given into a folder, on a thread of its own; goes on with a recording that is there.

    What was put more than half a second before the process ends, however it ends, can be read afterwards; the first
    messages are written at once. A folder that is deleted meanwhile is made anew, with what is held.
    `put` takes lists of messages in order, from one thread, and returns at once; `snapshot` gives the town as it is,
    as messages, and is asked on that thread when something had to be dropped. Raises `ValueError` for a folder of
    something else, `BlockingIOError` where another recorder is at work, and `OSError` where nothing can be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        run_id: str | None = None,
        url: str | None = None,
        snapshot: Callable[[], list[RawMessage]] | None = None,
        monitor: Monitor | None = None,
        max_pending: int = MAX_PENDING,
        max_pending_bytes: int = MAX_PENDING_BYTES,
        segment_messages: int = BLOCK_ROWS,
        commit_s: float = COMMIT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self._writer = SegmentWriter(
            self.path,
            run_id=run_id,
            url=None if url is None else redacted(url),
            package=__version__,
            segment_messages=segment_messages,
            clock=clock,
        )
        self._commit_s = commit_s
        self._snapshot = snapshot
        self._monitor = monitor
        self._max_pending = max_pending
        self._max_bytes = max_pending_bytes
        self._queue: deque[tuple[RecordedMessage | Packed, int, int]] = deque()
        # each counter has one writer, so that no lock is needed
        self._put_messages = self._put_bytes = 0
        self._taken_messages = self._taken_bytes = 0
        self._lost: list[Gap] = []
        self._lost_now = 0
        self._dropped = 0
        self._unwritten: list[RecordedMessage | Packed] = []
        self._dirty = False
        self._flushed_at = self._safe_at = -math.inf  # so that what comes first is written at once
        self._error: str | None = None
        self._committed = self._writer.position
        self._safe_messages = self._writer.messages
        self._deleted = 0
        self._wake = threading.Event()
        self._closing = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f"degentcivil-recorder-{self.path.name}", daemon=True)
        self._thread.start()
        lifetime.register(self, inherited=type(self)._abandon)

    @property
    def existed(self) -> bool:
        """Say whether the folder held a recording before, which is gone on with."""
        return self._writer.existed

    @property
    def run_id(self) -> str | None:
        """Give whose recording it is; the first that was said stays."""
        return self._writer.manifest.run_id

    @run_id.setter
    def run_id(self, run_id: str | None) -> None:
        if self._writer.manifest.run_id is None:
            self._writer.manifest.run_id = run_id

    @property
    def position(self) -> tuple[str, int] | None:
        """Give epoch and `seq` of the last position that was accounted for in writing."""
        return self._writer.position

    # --- the side that fills ----------------------------------------------------------------------------------------

    def put(
        self,
        messages: list[RawMessage],
        received: float,
        epoch: str | None = None,
        taken: Ingested | None = None,
    ) -> None:
        """Take what a sink is given; never waits and never raises. The list is not to be changed afterwards.

        `taken` is what `EventStore.take` gave for the same list, which spares doing it again.
        """
        if self._stopped or not messages:
            return
        size = _bytes_of(messages)
        pending = self._put_messages - self._taken_messages
        if (
            pending + len(messages) > self._max_pending or self._put_bytes - self._taken_bytes + size > self._max_bytes
        ) and pending:
            self._drop(messages, epoch)
            return
        if self._lost_now:
            messages, taken = [*self._declared(received), *messages], None
        self._add(RecordedMessage(messages, received, epoch), size, taken)
        if pending + len(messages) >= BLOCK_ROWS or self._safe_at == -math.inf:
            self._wake.set()

    def _add(self, entry: RecordedMessage, size: int, taken: Ingested | None = None) -> None:
        part: RecordedMessage | Packed = entry
        count = len(entry.messages)
        if count >= PACKED:
            try:
                part = pack([entry], taken)
            except Exception as error:  # noqa: BLE001 — a boundary: whoever fills it must not hear of a bug of ours
                logger.debug("%d messages are written one by one: %s", count, error)
        self._queue.append((part, count, size))
        self._put_messages += count
        self._put_bytes += size

    def _drop(self, messages: list[RawMessage], epoch: str | None) -> None:
        if not self._lost_now:
            logger.warning("the recording into %s cannot keep up; what it misses is declared in it", self.path)
        self._lost_now += len(messages)
        self._dropped += len(messages)
        if self._monitor is not None:
            self._monitor.update_metrics("recorder_dropped", len(messages))
        seqs = [message.seq for message in messages if message.seq is not None]
        first, last = (min(seqs), max(seqs)) if seqs else (None, None)
        before = self._lost[-1] if self._lost else None
        if before is not None and before.epoch == epoch and (first is None or before.end is not None):
            self._lost[-1] = Gap(epoch, before.start, before.end if last is None else last, RECORDER)
        else:
            self._lost.append(Gap(epoch, first, last, RECORDER))

    def _declared(self, received: float) -> list[RawMessage]:
        declared = [gap_message(gap, received) for gap in self._lost]
        self._lost, self._lost_now = [], 0
        return declared + (self._snapshot() if self._snapshot is not None else [])

    def close(self, timeout: float = 30.0) -> None:
        """Write what is pending, seal the recording and end the thread; idempotent."""
        if self._stopped and not self._thread.is_alive():
            return
        if self._lost_now and not self._closing:
            now = time.time()
            self._add(RecordedMessage(self._declared(now), now, None), 0)
        self._stopped = self._closing = True
        self._wake.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            logger.warning("the recording into %s is still being written", self.path)

    def stats(self) -> RecorderStats:
        """Say how far it is."""
        writer = self._writer
        return RecorderStats(
            str(self.path),
            writer.messages,
            writer.rows,
            self._put_messages - self._taken_messages,
            self._dropped,
            len(writer.manifest.segments),
            writer.bytes_written,
            writer.position,
            self._committed,
            self._put_messages - self._taken_messages + writer.messages - self._safe_messages,
            self._deleted,
            self._error,
        )

    # --- the thread that writes -------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wake.wait(min(INTERVAL_S, self._commit_s))
            self._wake.clear()
            last = self._closing
            try:
                self._turn(last)
            except Exception as error:  # a boundary: a full disk, or a bug of ours, must not end the recording
                if self._error is None:
                    bug = None if isinstance(error, OSError) else error
                    logger.warning("cannot write the recording into %s: %s", self.path, error, exc_info=bug)
                self._error = str(error)
            if last:
                if self._error is not None:
                    logger.error("the recording into %s was left unfinished: %s", self.path, self._error)
                self._writer.abandon()
                return

    def _turn(self, last: bool) -> None:
        """Write what waits; the error stays until the disk has taken everything that was due."""
        self._stay_in_place()
        self._seal_if_full()
        self._drain()
        now = time.monotonic()
        if self._dirty and (self._error is not None or now - self._safe_at >= self._commit_s):
            self._writer.commit()
            self._stay_in_place()
            self._note_safe(now)
        elif now - self._flushed_at >= INTERVAL_S:  # a flood wakes oftener, and fills its segments before
            self._writer.flush()
            self._flushed_at = now
        if last:
            self._writer.close()
            self._note_safe(now)
        self._error = None

    def _stay_in_place(self) -> None:
        """Write anew what is held where the folder or its files are not those that were written into (issue 10)."""
        if self._writer.is_in_place():
            return
        self._committed, self._safe_messages = None, 0
        self._deleted = self._writer.write_anew()
        logger.warning(
            "the files of the recording in %s were taken away; what was held is written anew, %d messages are gone",
            self.path,
            self._deleted,
        )
        self._note_safe(time.monotonic())

    def _drain(self) -> None:
        while self._queue or self._unwritten:
            if not self._unwritten:
                self._unwritten = self._take()
            self._writer.write(self._unwritten)
            self._unwritten = []
            self._dirty = True
            self._seal_if_full()

    def _seal_if_full(self) -> None:
        if self._writer.full:
            self._writer.seal()
            self._note_safe(time.monotonic())

    def _note_safe(self, now: float) -> None:
        self._committed = self._writer.position
        self._safe_messages = self._writer.messages
        self._dirty = False
        self._flushed_at = self._safe_at = now

    def _take(self) -> list[RecordedMessage | Packed]:
        parts, count, total = [], 0, 0
        while self._queue and count < BLOCK_ROWS and total < self._max_bytes // 8:
            part, messages, size = self._queue.popleft()
            parts.append(part)
            count += messages
            total += size
        self._taken_messages += count
        self._taken_bytes += total
        return parts

    def _abandon(self) -> None:
        """Be inert in the child of a fork, where the thread is not."""
        self._stopped = True
        self._queue.clear()
        self._writer.abandon()


def _bytes_of(messages: Sequence[RawMessage]) -> int:
    """Estimate the bytes of payloads from a sample of them."""
    step = max(1, len(messages) // SAMPLE)
    return sum([len(message.data) for message in messages[::step]]) * step
