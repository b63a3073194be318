"""A publish on the simulation's own thread, in microseconds: with nobody connected, and with many clients.

The simulation publishes from a thread of its own while the server serves from another; each call is timed. Once in
bursts, as a tick of a town does that tells of all its characters, and once evenly, a message or two at a time, where
each call also pays for caches that have gone cold. Beside it, in the same process: an encode and an append, which is
the least it could be, and a `call_soon_threadsafe`, which wakes the server's loop each time. `ratio` is to the encode
and append. Prints a table, and writes it as JSON with `--out`.

    python -m tests.benchmarks.bench_publish --clients 100 --messages 20000
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from tests.benchmarks.bench_fanout import Client

PATTERNS = {"bursts": 0.1, "evenly": 0.002}
"""Seconds between one burst and the next."""


def payload(number: int) -> dict[str, Any]:
    return {
        "character_id": f"character-{number % 100}",
        "new_state": "MOVE",
        "location": "Central Park",
        "timestamp": time.time(),
        "previous_state": "IDLE",
    }


def timed(publish: Callable[[str, Any], object], messages: int, rate: float, pause_s: float) -> dict[str, float]:
    """Publish at `rate`, in a burst each `pause_s`; give the quantiles of one call in µs."""
    clock = time.perf_counter_ns
    samples: list[int] = []
    burst = max(1, int(rate * pause_s))
    while len(samples) < messages:
        for number in range(burst):
            data = payload(number)
            began = clock()
            publish("state_change", data)
            samples.append(clock() - began)
        time.sleep(pause_s)  # the pace of the simulation
    samples.sort()
    return {
        "p50_us": round(samples[len(samples) // 2] / 1e3, 2),
        "p99_us": round(samples[int(len(samples) * 0.99)] / 1e3, 2),
        "max_us": round(samples[-1] / 1e3, 1),
    }


async def measure(clients: int, messages: int, rate: float) -> list[dict[str, Any]]:
    server = SimulationWebSocket("127.0.0.1", 0)
    await server.start()
    loop = asyncio.get_running_loop()
    encode, queue = msgspec.json.Encoder().encode, deque[bytes](maxlen=10_000)
    ways: list[tuple[str, Callable[[str, Any], object]]] = [
        ("encode and append", lambda type, data: queue.append(encode({"type": type, "data": data}))),
        ("call_soon_threadsafe", lambda type, data: loop.call_soon_threadsafe(str)),
        ("ours", server.publish),
    ]
    rows: list[dict[str, Any]] = []
    peers: list[Client] = []
    for count in (0, clients):
        while len(peers) < count:
            peer = Client(server.port, v1=True, sampled=False)
            await loop.create_connection(lambda peer=peer: peer, "127.0.0.1", server.port)  # type: ignore[misc]
            await peer.opened
            peers.append(peer)
        for pattern, pause_s in PATTERNS.items():
            least = 0.0
            for name, publish in ways:
                gc.collect()
                found = await asyncio.to_thread(timed, publish, messages, rate, pause_s)
                least = least or found["p50_us"]
                ratio = {"ratio": round(found["p50_us"] / least, 2)}
                rows.append({"pattern": pattern, "way": name, "clients": count, **found, **ratio})
    for peer in peers:
        peer.transport.abort()
    await server.close()
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    cells = [list(rows[0])] + [[str(value) for value in row.values()] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--rate", type=float, default=1_000, help="messages a second")
    parser.add_argument("--out", type=Path, help="write the table as JSON")
    args = parser.parse_args()
    rows = asyncio.run(measure(args.clients, args.messages, args.rate))
    print(table(rows))
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
