"""Receiving: messages a second through the client and into the store, beside the limit of the transport.

A process of its own sends frames that were made beforehand, from a blocking socket, so that the sender is never the
bottleneck. Each way runs `--rounds` times, taking turns, and its best counts. Prints a table; `--out` writes JSON.

    python tests/benchmarks/bench_client.py --messages 300000
    python tests/benchmarks/bench_client.py --messages 3000 --rounds 1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from msgspec import Raw
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.codec import encode_batch
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.message import Hello, RawMessage, Resumed, Snapshot, WebSocketMessage
from degentcivil_nb.store.event_store import EventStore

STATES = ("IDLE", "MOVE", "PLAN", "ACT", "CHATING", "TRADE")
PLACES = ("Park", "Cafe", "Library", "Market")


def message(number: int) -> bytes:
    """Make a `state_change` of about 190 bytes."""
    now = 1_800_000_000 + number / 1_000
    data = {
        "character_id": f"character-{number % 50:03d}",
        "new_state": STATES[number % len(STATES)],
        "location": PLACES[number % len(PLACES)],
        "timestamp": now,
    }
    return encode(WebSocketMessage("state_change", data, now, number + 1, number // 50))


def text_frame(data: bytes) -> bytes:
    return Frame(Opcode.TEXT, data).serialize(mask=False)


def control(type: str, payload: Any) -> bytes:
    return text_frame(encode(RawMessage(type, Raw(encode(payload)))))


# --- the sender, in its own process ------------------------------------------------------------------------------


def send_forever() -> None:
    """Answer `/MESSAGES/BATCH` with that many messages, `BATCH` to a frame, as v1 to whoever offers it."""
    made: dict[str, bytes] = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            peer, _ = listener.accept()
            with peer:
                send_one(peer, made)


def send_one(peer: socket.socket, made: dict[str, bytes]) -> None:
    def choose(_: ServerProtocol, offered: Any) -> Subprotocol | None:
        return offered[0] if offered else None

    protocol = ServerProtocol(select_subprotocol=choose)
    while not (events := protocol.events_received()):
        protocol.receive_data(peer.recv(65536))
    request: Any = events[0]
    protocol.send_response(protocol.accept(request))
    peer.sendall(b"".join(protocol.data_to_send()))
    total, batch = (int(part) for part in request.path.strip("/").split("/"))
    if request.path not in made:
        messages = [message(number) for number in range(total)]
        frames = messages if batch == 1 else [encode_batch(messages[i : i + batch]) for i in range(0, total, batch)]
        made[request.path] = b"".join(map(text_frame, frames))
    try:
        if protocol.subprotocol:
            peer.sendall(control("hello", Hello("bench", head=total)))
            peer.recv(65536)  # resume
            peer.sendall(control("resumed", Resumed("bench", total, 1)) + control("snapshot", Snapshot(0)))
        peer.sendall(made[request.path])
        peer.recv(65536)  # until the receiver has had enough
    except OSError:
        return


# --- the receivers -------------------------------------------------------------------------------------------------

Receiver = Callable[[str, int, int], Coroutine[Any, Any, float]]


async def thrown_away(url: str, total: int, batch: int) -> float:
    async with connect(url, compression=None, max_size=None) as websocket:
        await websocket.recv(decode=False)
        start = time.perf_counter()
        for _ in range(total // batch - 1):
            await websocket.recv(decode=False)
        return time.perf_counter() - start


async def list_of_dicts(url: str, total: int, batch: int) -> float:
    kept: list[dict[str, Any]] = []
    async with connect(url, compression=None, max_size=None) as websocket:
        await websocket.recv()
        start = time.perf_counter()
        try:
            for _ in range(total // batch - 1):
                found = json.loads(await websocket.recv())
                if batch == 1:
                    kept.append(found)
                else:
                    kept.extend(found["data"])
        except ConnectionClosed:
            pass
        return time.perf_counter() - start


async def through_the_client(url: str, total: int, batch: int, sink: Callable[..., None] | None = None) -> float:
    done = asyncio.Event()
    got = 0
    start = 0.0

    def counting(messages: list[RawMessage], received: float, epoch: str | None) -> None:
        nonlocal got, start
        if sink is not None:
            sink(messages, received, epoch)
        if not start:
            start = time.perf_counter()
        got += len(messages)
        if got > total:  # and the snapshot
            done.set()

    client = SimulationClient(url, sink=counting)
    await client.open()
    await done.wait()
    seconds = time.perf_counter() - start
    await client.close()
    assert client.position == ("bench", total)
    return seconds


async def into_the_store(url: str, total: int, batch: int) -> float:
    store = EventStore(max_rows=2 * total)
    seconds = await through_the_client(url, total, batch, store.append)
    assert len(store) == total
    return seconds


WAYS: dict[str, Receiver] = {
    "recv(decode=False), thrown away": thrown_away,
    "json.loads, a list of dicts": list_of_dicts,
    "ours: client, thrown away": through_the_client,
    "ours: client and store": into_the_store,
}


def measure(total: int, rounds: int) -> list[dict[str, Any]]:
    sender = subprocess.Popen([sys.executable, __file__, "--send"], stdout=subprocess.PIPE, text=True)
    try:
        assert sender.stdout is not None
        port = int(sender.stdout.readline())
        best: dict[tuple[str, int], float] = {}
        for _ in range(rounds):
            for batch in (1, 100):
                for name, way in WAYS.items():
                    seconds = asyncio.run(way(f"ws://127.0.0.1:{port}/{total}/{batch}", total, batch))
                    best[name, batch] = min(seconds, best.get((name, batch), seconds))
    finally:
        sender.kill()
        sender.wait()
        assert sender.stdout is not None
        sender.stdout.close()
    return [
        {
            "way": name,
            "messages a frame": batch,
            "messages/s": round(total / seconds),
            "of the transport": round(best["recv(decode=False), thrown away", batch] / seconds, 2),
            "of json dicts": round(best["json.loads, a list of dicts", batch] / seconds, 2),
        }
        for (name, batch), seconds in best.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--send", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        send_forever()
        return
    rows = measure(options.messages, options.rounds)
    for batch in (1, 100):
        print(f"\n{batch} message{'s' if batch > 1 else ''} a frame")
        for row in rows:
            if row["messages a frame"] == batch:
                print(
                    f"  {row['way']:34} {row['messages/s']:>10,}/s   {row['of the transport']:5.2f} of the transport"
                    f"   {row['of json dicts']:5.2f} of json dicts"
                )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
