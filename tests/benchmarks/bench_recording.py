"""How much of the ingest rate is left while recording, beside the same stream that is not recorded.

    python -m tests.benchmarks.bench_recording [--events 300000] [--rounds 5] [--frame 100] [--states] [--json FILE]

A sender in a process of its own (never the bottleneck: encoded once, sent in frames of `--frame` messages) serves a v1
stream over loopback; a client hands it to the store, and in every other run to a recorder too. Then the same for the
store alone, without a socket, and opening what was written. The ratio is that of two runs one after the other; its
median counts, and its spread is printed. The stream is the mixed one of `made_recording`; with `--states` it has
changes of state only, of 188 bytes. `--frame 1` is a message a frame.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import resource
import shutil
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

from msgspec import Raw
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.core.portal import Portal
from degentcivil_nb.protocol.codec import decode_frames, encode_batch
from degentcivil_nb.protocol.control_payloads import Hello, Resumed, Snapshot
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.protocol.stream_payloads import StateChange
from degentcivil_nb.recordings.recorder import Recorder
from degentcivil_nb.session.recording import open_recording
from degentcivil_nb.store.event_store import EventStore
from tests.benchmarks.made_recording import message as made_message

STATES = ("IDLE", "MOVE", "WORK", "PLAN", "TRADE", "SLEEPING")
Run = tuple[float, float]  # events a second, and CPU seconds
EPOCH = "bench"
TARGET = 0.85
FRAMES_AT_ONCE = 12
"""About what a client finds in its socket at a time."""


def state_change(seq: int) -> bytes:
    """Give a `state_change` of about 188 bytes."""
    data = StateChange(
        f"character-{seq % 500:04d}",
        STATES[seq % 6],
        f"Place {seq % 40:03d} at the river",
        1_700_000_000.125 + seq / 1000,
        STATES[(seq + 1) % 6],
    )
    return encode(RawMessage("state_change", Raw(encode(data)), 1_700_000_000.125 + seq / 1000, seq, seq // 1000))


def frames(events: int, size: int, *, states: bool) -> list[bytes]:
    chance = random.Random(0)
    messages = [
        state_change(seq) if states else encode(made_message(seq, chance, 500, 1_000.0)) for seq in range(1, events + 1)
    ]
    if size == 1:
        return messages
    return [encode_batch(messages[start : start + size]) for start in range(0, events, size)]


def send(port: Any, events: int, size: int, states: bool) -> None:
    """Serve the stream to whoever comes, in a process of its own."""
    stream = frames(events, size, states=states)

    def control(type: str, data: Any) -> bytes:
        return encode(RawMessage(type, Raw(encode(data))))

    async def handle(connection: ServerConnection) -> None:
        await connection.send(control("hello", Hello(EPOCH, heartbeat_s=3600.0)), text=True)
        await connection.recv()
        await connection.send(control("resumed", Resumed(EPOCH, 0, 1)), text=True)
        await connection.send(control("snapshot", Snapshot(0)), text=True)
        for frame in stream:
            await connection.send(frame, text=True)
        await connection.wait_closed()

    async def main() -> None:
        async with serve(
            handle,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol("degentcivil.v1")],
            compression=None,
            ping_interval=None,
        ) as server:
            port.value = next(iter(server.sockets)).getsockname()[1]
            await server.wait_closed()

    asyncio.run(main())


def ingest(port: int, events: int, recorder: Recorder | None) -> tuple[float, float]:
    """Receive the stream into a store; give events a second and the CPU seconds that it took, recording included."""
    store = EventStore(max_rows=events + 1)
    done = threading.Event()

    def sink(messages: list[RawMessage], received: float, epoch: str | None) -> None:
        taken = store.take(messages, received, epoch)
        if recorder is not None:
            recorder.put(messages, received, epoch, taken)
        if store.next_row >= events:
            done.set()

    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    client = SimulationClient(f"ws://127.0.0.1:{port}", sink=sink)
    with Portal("bench") as portal:
        portal.call(client.open, timeout=30)
        if not done.wait(300):
            raise TimeoutError(f"only {store.next_row:,} of {events:,} events came")
        took = time.perf_counter() - start
        portal.call(client.close, timeout=10)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return events / took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def append(stream: list[bytes], events: int, recorder: Recorder | None) -> tuple[float, float]:
    """Append the same messages without a socket; give events a second and the CPU seconds, recording included."""
    store = EventStore(max_rows=events + 1)
    took = cpu = 0.0
    for start in range(0, len(stream), FRAMES_AT_ONCE):
        messages = decode_frames(stream[start : start + FRAMES_AT_ONCE])
        cpu_before, before = time.process_time(), time.perf_counter()
        taken = store.take(messages, time.time(), EPOCH)
        if recorder is not None:
            recorder.put(messages, time.time(), EPOCH, taken)
        took += time.perf_counter() - before
        cpu += time.process_time() - cpu_before
    return events / took, cpu


def row(what: str, runs: list[Run], beside: list[Run], events: int) -> dict[str, Any]:
    """Give the medians of some runs, and of their ratios to the runs beside them."""
    ratios = [rate / limit for (rate, _), (limit, _) in zip(runs, beside, strict=True)]
    rates, cpu = zip(*runs, strict=True)
    return {
        "what": what,
        "per_s": median(rates),
        "ratio": median(ratios),
        "ratios": ratios,
        "cpu_us": median(cpu) / events * 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=5, help="of each kind")
    parser.add_argument("--frame", type=int, default=100, help="messages a frame")
    parser.add_argument("--states", action="store_true", help="changes of state only")
    parser.add_argument("--json", type=Path, help="write the table there too")
    arguments = parser.parse_args()
    events: int = arguments.events
    spawn = multiprocessing.get_context("spawn")
    port = spawn.Value("i", 0)
    sender = spawn.Process(target=send, args=(port, events, arguments.frame, arguments.states), daemon=True)
    sender.start()
    folder = Path(tempfile.mkdtemp(prefix="bench-recording-"))
    try:
        while not port.value:
            time.sleep(0.05)  # the other process imports
        runs: dict[str, list[tuple[float, float]]] = {"without": [], "with": [], "append": [], "append with": []}
        stream = frames(events, 100, states=arguments.states)
        closing = open_s = 0.0
        size = 0
        ingest(port.value, events, None)  # warm
        for number in range(arguments.rounds):
            runs["without"].append(ingest(port.value, events, None))
            recorder = Recorder(folder / str(number))
            runs["with"].append(ingest(port.value, events, recorder))
            start = time.perf_counter()
            recorder.close()
            closing = time.perf_counter() - start
            if recorder.stats().dropped or recorder.stats().rows != events:
                raise RuntimeError(f"the recording is not whole: {recorder.stats()}")
            runs["append"].append(append(stream, events, None))
            bare = Recorder(folder / f"{number}-bare", max_pending=events)
            runs["append with"].append(append(stream, events, bare))
            bare.close()
            if bare.stats().dropped:
                raise RuntimeError(f"the recording is not whole: {bare.stats()}")
            size = sum(path.stat().st_size for path in (folder / str(number)).iterdir())
        start = time.perf_counter()
        if len(open_recording(folder / "0")) != events:
            raise RuntimeError("the recording does not give back what was written")
        open_s = time.perf_counter() - start
    finally:
        sender.terminate()
        shutil.rmtree(folder)
    rows = [
        row("ingest, not recorded", runs["without"], runs["without"], events),
        row("ingest while recording", runs["with"], runs["without"], events),
        row("append only, not recorded", runs["append"], runs["append"], events),
        row("append only while recording", runs["append with"], runs["append"], events),
    ]
    print(f"{'what':<28} {'events/s':>12} {'ratio':>7} {'from to':>13} {'CPU us/event':>13}")
    for one in rows:
        spread = f"{min(one['ratios']):.2f} {max(one['ratios']):.2f}"
        print(f"{one['what']:<28} {one['per_s']:12,.0f} {one['ratio']:7.2f} {spread:>13} {one['cpu_us']:13.2f}")
    print(f"target: at least {TARGET} while recording; {size / events:.1f} bytes an event, {closing:.2f} s to close")
    print(f"opening the recording: {open_s:.3f} s")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"rows": rows, "target": TARGET, "bytes_per_event": size / events}, indent=2)
        )


if __name__ == "__main__":
    main()
