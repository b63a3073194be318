"""Recording of a live stream: a bounded queue, and a thread that writes and never delays the caller."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..core import lifetime
from ..core.redaction import redacted
from ..core.version import __version__
from ..protocol.control_payloads import Gap
from ..protocol.messages import RawMessage
from ..protocol.receiver import gap_message
from ..store.schema import BLOCK_ROWS
from .arrow_messages import RecordedMessage
from .manifest import write_manifest
from .packed_messages import Packed, pack
from .segment_writer import SegmentWriter

if TYPE_CHECKING:
    from ..monitoring.interfaces import Monitor
    from ..store.ingested import Taken

logger = logging.getLogger("degentcivil_nb.recordings")

RECORDER: Final = "recorder"
"""The reason of a gap that only the recording has, because its disk was too slow."""
MAX_PENDING: Final = 262_144  # messages that wait for the disk; any more are dropped and declared
MAX_PENDING_BYTES: Final = 256 << 20
BEHIND: Final = BLOCK_ROWS // 4
"""While so many messages wait, no extracts are made: a sender at full speed would pay for them at once."""
FLOOD_PER_S: Final = 50_000
"""A segment that filled up at this rate gets no extracts either: they take longer than all else of it."""
INTERVAL_S: Final = 0.25  # between two writes
COMMIT_S: Final = 0.5  # the most that is lost if the machine fails
SAMPLE: Final = 32  # payloads from which the size of a list is estimated
PACKED: Final = 256
"""How many messages a list must have to be converted to columns at once, so that its frames can be freed."""


class RecorderStats(NamedTuple):
    """The progress of a recording."""

    path: str
    messages: int
    """Messages written, including those of earlier recorders into the same folder."""
    rows: int
    """Events among them."""
    pending: int
    dropped: int
    """Messages missing in the recording, all in declared gaps."""
    segments: int
    bytes_written: int
    position: tuple[str, int] | None
    """Epoch and `seq` of the last position accounted for in writing."""
    committed: tuple[str, int] | None
    """The last position that is safe on disk, whatever happens to the process."""
    unsafe: int
    """Messages not safe on disk yet, including waiting ones."""
    lost: int
    """Messages that were written and whose files were deleted since."""
    error: str | None
    """The reason why nothing can be written at the moment, or `None`."""

    @property
    def state(self) -> str:
        """Return `writing`, or `failing` with the reason, and how much will be missing."""
        said = [f"failing: {self.error}, {self.unsafe:,} messages wait" if self.error else "writing"]
        if self.dropped:
            said.append(f"{self.dropped:,} messages are missing")
        if self.lost:
            said.append(f"{self.lost:,} messages were deleted")
        return ", ".join(said)


class Recorder:
    """A writer of what a sink receives into a folder, on a thread of its own; it continues an existing recording.

    What was put more than half a second before the process ends, however it ends, can be read afterwards; the first
    messages are written at once. A folder that is deleted meanwhile is created again, with what is held. `put` takes
    lists of messages in order, from one thread, and returns at once; `snapshot` returns the current characters as
    messages, and is called on that thread when messages had to be dropped. Raises `ValueError` for a folder with other
    files, `BlockingIOError` if another recorder is writing, and `OSError` if nothing can be written.
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
        self._written = self._noted
        self._commit_s = commit_s
        self._snapshot = snapshot
        self._monitor = monitor
        self._max_pending = max_pending
        self._max_bytes = max_pending_bytes
        self._queue: deque[tuple[RecordedMessage | Packed, int, int]] = deque()
        # each counter has one writer, so that no lock is needed
        self._queued_messages = self._queued_bytes = 0
        self._taken_messages = self._taken_bytes = 0
        self._lost: list[Gap] = []
        self._undeclared = 0
        self._dropped = 0
        self._unwritten: list[RecordedMessage | Packed] = []
        self._dirty = False
        self._flushed_at = self._safe_at = -math.inf  # so that the first messages are written at once
        self._error: str | None = None
        self._committed = self._writer.position
        self._safe_messages = self._writer.messages
        self._deleted = 0
        self._sealed = (self._writer.messages, time.monotonic())
        """The messages before the open segment, and since when it has been open; monotonic."""
        self._wake = threading.Event()
        self._closing = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f"degentcivil-recorder-{self.path.name}", daemon=True)
        self._thread.start()
        lifetime.register(self, inherited=type(self)._abandon)

    @property
    def existed(self) -> bool:
        """Return whether the folder contained a recording before, which is continued."""
        return self._writer.existed

    @property
    def run_id(self) -> str | None:
        """Return the id of the recorded run; the first one set stays."""
        return self._writer.manifest.run_id

    @run_id.setter
    def run_id(self, run_id: str | None) -> None:
        if self._writer.manifest.run_id is None:
            self._writer.manifest.run_id = run_id

    def note_run(self, run_id: str | None, parameters: dict[str, Any]) -> None:
        """Note the run's id and parameters; the first ones noted stay."""
        self.run_id = run_id
        if parameters and not self._writer.manifest.parameters:
            self._writer.manifest.parameters = parameters

    @property
    def position(self) -> tuple[str, int] | None:
        """Return epoch and `seq` of the last position accounted for in writing."""
        return self._writer.position

    # --- called by the sink ----------------------------------------------------------------------------------------

    def put(
        self,
        messages: list[RawMessage],
        received: float,
        epoch: str | None = None,
        taken: Taken = (),
    ) -> None:
        """Queue what a sink receives, without waiting or raising. The list must not be changed afterwards.

        `taken` is what `EventStore.take` returned for the same list; its columns are reused.
        """
        if self._stopped or not messages:
            return
        size = _bytes_of(messages)
        pending = self._queued_messages - self._taken_messages
        if (
            pending + len(messages) > self._max_pending
            or self._queued_bytes - self._taken_bytes + size > self._max_bytes
        ) and pending:
            self._drop(messages, epoch)
            return
        if self._undeclared:
            messages, taken = [*self._declared(received), *messages], ()
        self._add(RecordedMessage(messages, received, epoch, taken), size)
        if pending + len(messages) >= BLOCK_ROWS or self._safe_at == -math.inf:
            self._wake.set()

    def _add(self, entry: RecordedMessage, size: int) -> None:
        part: RecordedMessage | Packed = entry
        count = len(entry.messages)
        if count >= PACKED:
            try:
                part = pack([entry])
            except Exception as error:  # noqa: BLE001 — a bug here must not reach the sink
                logger.debug("%d messages are written one by one: %s", count, error)
        else:
            for one in entry.taken:  # the messages have the same payloads, and only they are counted
                one.payloads = b""
        self._queue.append((part, count, size))
        self._queued_messages += count
        self._queued_bytes += size

    def _drop(self, messages: list[RawMessage], epoch: str | None) -> None:
        if not self._undeclared:
            logger.warning("the disk of %s is too slow; messages missing in the recording are declared", self.path)
        self._undeclared += len(messages)
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
        self._lost, self._undeclared = [], 0
        return declared + (self._snapshot() if self._snapshot is not None else [])

    def close(self, timeout: float = 30.0) -> None:
        """Write what is pending, seal the recording and end the thread; idempotent."""
        if self._stopped and not self._thread.is_alive():
            return
        if self._undeclared and not self._closing:
            now = time.time()
            self._add(RecordedMessage(self._declared(now), now, None), 0)
        self._stopped = self._closing = True
        self._wake.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            logger.warning("the recording into %s is still being written", self.path)

    def stats(self) -> RecorderStats:
        """Return the progress."""
        writer = self._writer
        return RecorderStats(
            str(self.path),
            writer.messages,
            writer.rows,
            self._queued_messages - self._taken_messages,
            self._dropped,
            len(writer.manifest.segments),
            writer.bytes_written,
            writer.position,
            self._committed,
            self._queued_messages - self._taken_messages + writer.messages - self._safe_messages,
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
            except Exception as error:  # a full disk, or a bug here, must not end the recording
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
        """Write what is waiting; the error stays until everything due was written."""
        self._restore_files()
        self._write_what_was_noted()
        self._seal_if_full()
        self._drain()
        now = time.monotonic()
        if self._dirty and (self._error is not None or now - self._safe_at >= self._commit_s):
            self._writer.commit()
            self._restore_files()
            self._note_safe(now)
        elif now - self._flushed_at >= INTERVAL_S:  # a flood wakes the thread more often, and fills segments earlier
            self._writer.flush()
            self._flushed_at = now
        if last:
            self._writer.close()
            self._note_safe(now)
        self._error = None

    def _write_what_was_noted(self) -> None:
        """Write the name of the run and its parameters at once: many runs are listed while they are recorded."""
        noted = self._noted
        if noted != self._written:
            write_manifest(self.path, self._writer.manifest)
            self._written = noted

    @property
    def _noted(self) -> tuple[str | None, bool]:
        manifest = self._writer.manifest
        return manifest.run_id, bool(manifest.parameters)

    def _restore_files(self) -> None:
        """Write the held messages again if the folder or its files were replaced or deleted (issue 10)."""
        if self._writer.is_in_place():
            return
        self._committed, self._safe_messages = None, 0
        self._deleted = self._writer.rewrite()
        logger.warning(
            "the files of the recording in %s were deleted; what is held is written again, %d messages are lost",
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
            now = time.monotonic()
            messages, since = self._sealed
            waiting = self._queued_messages - self._taken_messages
            hurried = waiting >= BEHIND or is_flood(self._writer.messages - messages, now - since)
            self._writer.seal(hurried=hurried)
            self._sealed = (self._writer.messages, now)
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
        """Release everything in a forked child, which does not have the thread."""
        self._stopped = True
        self._queue.clear()
        self._writer.abandon()


def is_flood(messages: int, seconds: float) -> bool:
    """Return whether so many messages of a segment in so many seconds leave no time for its extracts."""
    return messages >= BEHIND and messages > FLOOD_PER_S * seconds


def _bytes_of(messages: Sequence[RawMessage]) -> int:
    """Estimate the bytes of payloads from a sample."""
    step = max(1, len(messages) // SAMPLE)
    return sum([len(message.data) for message in messages[::step]]) * step
