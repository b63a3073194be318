"""Where the time of a recorder goes, stage by stage: CPU time of the thread that runs it, an event.

The mixed stream of `made_recording` is received from memory, with the columns that a store makes, and recorded twice:
alone, with nothing else running, and while another thread receives, which competes for the interpreter lock and for
caches. It fits into the recorder's queue; a flood that lasts longer is dropped and declared.

    python -m tests.benchmarks.bench_recorder [--events 240000] [--out FILE]
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from degentcivil_nb.protocol.codec import decode_frames
from degentcivil_nb.recordings import segment_writer
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.packed_messages import pack
from degentcivil_nb.recordings.recorder import Recorder
from degentcivil_nb.recordings.segment_following import SegmentFollowing
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.store.schema import BLOCK_ROWS
from tests.benchmarks.bench_recording import EPOCH, FRAMES_AT_ONCE, frames
from tests.benchmarks.report import Row, finish, parser

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("received: packed for the queue", Recorder, "put"),
    ("written: columns of messages", segment_writer, "to_batch"),
    ("followed: the state of the run", SegmentFollowing, "append"),
    ("to the open segment", SegmentWriter, "flush"),
    ("sealed: columns of events", SegmentFollowing, "columns"),
    ("sealed: Parquet", segment_writer, "columns_file"),
    ("sealed: extracts", SegmentFollowing, "write_extracts"),
    ("sealed: the summary", SegmentFollowing, "write_summary"),
)


@contextmanager
def timed() -> Iterator[Counter[str]]:
    """Count the CPU seconds of each stage; no stage is part of another."""
    spent: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                spent[name] += time.thread_time() - began  # type: ignore[assignment]  # seconds

        return run

    patches = [patch.object(of, name, counted(stage, getattr(of, name))) for stage, of, name in STAGES]
    for one in patches:
        one.start()
    try:
        yield spent
    finally:
        for one in patches:
            one.stop()


def received(stream: list[bytes], events: int) -> Iterator[RecordedMessage]:
    """Receive a stream as a client does, into a store."""
    store = EventStore(max_rows=events + 1)
    for start in range(0, len(stream), FRAMES_AT_ONCE):
        messages = decode_frames(stream[start : start + FRAMES_AT_ONCE])
        now = time.time()
        yield RecordedMessage(messages, now, EPOCH, store.take(messages, now, EPOCH))


def alone(stream: list[bytes], events: int, folder: Path) -> Counter[str]:
    """Pack everything, and write it on this thread."""
    parts = []
    packing = 0.0
    for entry in received(stream, events):
        began = time.thread_time()
        parts.append(pack([entry]))
        packing += time.thread_time() - began
    with timed() as spent:
        writer, waiting, count = SegmentWriter(folder), [], 0
        for part in parts:
            waiting.append(part)
            count += part.size
            if count >= BLOCK_ROWS // 4:
                writer.write(waiting)
                writer.flush()
                waiting, count = [], 0
                if writer.full:
                    writer.seal()
        writer.write(waiting)
        writer.close()
    spent[STAGES[0][0]] = packing  # type: ignore[assignment]  # seconds
    return spent


def beside_receiving(stream: list[bytes], events: int, folder: Path) -> Counter[str]:
    """Record what this thread receives meanwhile."""
    with timed() as spent:
        recorder = Recorder(folder, max_pending=events)
        for messages, moment, epoch, taken in received(stream, events):
            recorder.put(list(messages), moment, epoch, taken)
        recorder.close()
    if recorder.stats().dropped:
        raise RuntimeError(f"the recording is not whole: {recorder.stats()}")
    return spent


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--events", type=int, default=240_000)
    options = arguments.parse_args()
    events: int = options.events
    stream = frames(events, 100, states=False)
    with tempfile.TemporaryDirectory(prefix="bench-recorder-") as name:
        alone(stream, events, Path(name) / "warm")
        first = alone(stream, events, Path(name) / "alone")
        second = beside_receiving(stream, events, Path(name) / "beside")
    rows = [
        Row(stage, "µs", second[stage] / events * 1e6, first[stage] / events * 1e6, "alone") for stage, _, _ in STAGES
    ]
    total, least = (sum(spent.values()) / events * 1e6 for spent in (second, first))
    finish([*rows, Row("all of the recorder", "µs", total, least, "alone")], options.out)


if __name__ == "__main__":
    main()
