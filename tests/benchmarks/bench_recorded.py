"""What was recorded: opened, replayed, exported and compared, beside pandas and plain pyarrow over the same files.

Two recordings of the same run are made first, which differ in nothing but the clock on the wall. What pandas writes is
a frame that it is given ready in memory; ours begins at the recording each time.

    python -m tests.benchmarks.bench_recorded --events 200000
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it has no types
from msgspec import Raw
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedOK

import degentcivil_nb as dc
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.export import export_recording
from degentcivil_nb.recordings.recorder import Recorder
from tests.benchmarks.report import Row, best, finish, parser
from tests.benchmarks.sender import PLACES, STATES

EPOCH = "bench"
FLUSH = 1_400
UNBOUNDED = 1 << 40
PATIENCE_S = 100.0
COLUMNS = ["type", "seq", "tick", "time", "payload"]
"""What a reader of the files needs of state changes (docs/recording_format.md)."""


def message(seq: int, start: float) -> RawMessage:
    now = start + seq / 1_000
    data = {
        "character_id": f"character-{seq * 7_919 % 500:04d}",
        "new_state": STATES[seq % 6],
        "location": PLACES[seq % 4],
        "previous_state": STATES[(seq + 1) % 6],
        "timestamp": now,
    }
    return RawMessage("state_change", Raw(encode(data)), now, seq, seq // 1_000)


def record(folder: Path, events: int, start: float) -> Path:
    recorder = Recorder(folder, max_pending=UNBOUNDED, max_pending_bytes=UNBOUNDED)
    for first in range(1, events + 1, FLUSH):
        last = min(first + FLUSH, events + 1)
        recorder.put([message(seq, start) for seq in range(first, last)], start + last / 1_000, EPOCH)
    recorder.close(timeout=PATIENCE_S)
    if recorder.stats().rows != events:
        raise RuntimeError(f"the recording is not whole: {recorder.stats()}")
    return folder


# --- opening and replaying -----------------------------------------------------------------------------------------


def read_tables(folder: Path) -> pd.DataFrame:
    paths = sorted(folder.glob("*.parquet"))
    frames: list[pd.DataFrame] = [pq.read_table(path, columns=COLUMNS).to_pandas() for path in paths]
    return pd.concat(frames)


def read_and_decode(folder: Path) -> pd.DataFrame:
    frame = read_tables(folder)
    frame["data"] = [json.loads(text) for text in frame.pop("payload")]
    return frame


def opening(folder: Path, events: int, rounds: int) -> Row:
    ours = best(lambda: dc.open_recording(folder), rounds)
    peer = best(lambda: read_and_decode(folder), rounds)
    limit = best(lambda: read_tables(folder), rounds)
    rates = (events / seconds for seconds in (ours, peer, limit))
    own, decoded, read = rates
    return Row("opening a recording", "events/s", own, decoded, "pyarrow and json.loads", read, "pyarrow alone")


def replay_of_ours(folder: Path, events: int) -> float:
    """Replay as fast as it goes into a session; gives the seconds until all was held."""
    with (
        dc.start_replay(folder, speed=1e6, paused=True) as replay,
        dc.connect(replay, history=0, retention=2 * events) as session,
    ):
        start = time.perf_counter()
        session.resume()
        while len(session) < events:
            if time.perf_counter() - start > PATIENCE_S or len(session.gaps()):
                raise RuntimeError(f"of {events:,} events {len(session):,} came; {session!r}")
            time.sleep(0.002)  # finer than what is measured
        return time.perf_counter() - start


async def replay_of_theirs(folder: Path) -> float:
    """Read the files, send a message a frame, and keep what comes as dicts."""
    paths = sorted(folder.glob("*.parquet"))  # noqa: ASYNC240 — nothing else runs on this loop yet

    async def handle(websocket: ServerConnection) -> None:
        for path in paths:
            table = pq.read_table(path, columns=COLUMNS)
            for row in table.to_pylist():
                data, now = json.loads(row.pop("payload")), row.pop("time").timestamp()
                await websocket.send(json.dumps({**row, "timestamp": now, "data": data}))

    kept: list[Any] = []
    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        start = time.perf_counter()
        async with connect(f"ws://127.0.0.1:{port}", compression=None) as websocket:
            try:
                while True:
                    kept.append(json.loads(await websocket.recv()))
            except ConnectionClosedOK:
                return time.perf_counter() - start


def replaying(folder: Path, events: int) -> Row:
    rates = (events / seconds for seconds in (replay_of_ours(folder, events), asyncio.run(replay_of_theirs(folder))))
    ours, theirs = rates
    limit = events / best(lambda: read_and_decode(folder), 1)
    what = "replaying a recording into a session"
    return Row(what, "events/s", ours, theirs, "a loop of send, json.loads", limit, "pyarrow and json.loads, no socket")


# --- exporting and comparing ---------------------------------------------------------------------------------------


def exporting(folder: Path, out: Path, events: int) -> list[Row]:
    frame = dc.open_recording(folder).events(payload=True)
    frame["data"] = [json.dumps(data) for data in frame["data"]]
    peers: dict[str, Callable[[Path], object]] = {
        "parquet": lambda path: frame.to_parquet(path, compression="zstd"),
        "csv": lambda path: frame.to_csv(path),
        "jsonl": lambda path: frame.to_json(path, orient="records", lines=True, date_format="iso"),
    }
    rows: list[Row] = []
    for ending, write in peers.items():
        ours = best(lambda: export_recording(folder, out / f"ours.{ending}"), 1)  # noqa: B023 — called at once
        theirs = best(lambda: write(out / f"theirs.{ending}"), 1)  # noqa: B023
        name = f"DataFrame.to_{ending.rstrip('l')}, from memory"
        rows.append(Row(f"export to {ending}", "events/s", events / ours, events / theirs, name))
    return rows


def merged(a: dc.Recording, b: dc.Recording) -> int:
    """Compare as one would by hand; gives how many values differ."""
    sides = []
    for recording in (a, b):
        frame = recording.events(payload=True)
        payload = pd.json_normalize(frame["payload"].tolist()).drop(columns="timestamp").add_prefix("data.")
        sides.append(frame.reset_index()[["seq", "type", "tick"]].join(payload))
    both = sides[0].merge(sides[1], on="seq", suffixes=("", " of b"))
    names = [name for name in sides[0] if name != "seq"]
    return sum(int((both[name].astype("str") != both[f"{name} of b"].astype("str")).sum()) for name in names)


def comparing(one: Path, other: Path, events: int) -> Row:
    a, b = dc.open_recording(one), dc.open_recording(other)

    def ours() -> None:
        found = dc.compare(a, b)
        if not found.same or found.compared != events:
            raise RuntimeError(f"two recordings of the same run are said to differ: {found!r}")

    def theirs() -> None:
        if merged(a, b):
            raise RuntimeError("the merge says that two recordings of the same run differ")

    return Row(
        "dc.compare of two recordings",
        "events/s",
        events / best(ours, 1),
        events / best(theirs, 1),
        "json_normalize, merge",
    )


def measure(events: int, rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-recorded-") as name:
        folder = Path(name)
        one = record(folder / "one", events, 1_700_000_000.125)
        other = record(folder / "other", events, 1_700_100_000.25)
        return [
            opening(one, events, rounds),
            replaying(one, events),
            *exporting(one, folder, events),
            comparing(one, other, events),
        ]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=3, help="of opening")
    options = arguments.parse_args()
    finish(measure(options.events, options.rounds), options.out)


if __name__ == "__main__":
    main()
