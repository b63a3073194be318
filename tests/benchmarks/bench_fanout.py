"""Fan-out: events delivered per second of the server's CPU, beside `asyncio.gather(send)` and `broadcast()`.

The server runs in a process of its own, so that its CPU seconds are measured alone; ours is published to from a
second thread, as by a simulation, and that counts against it. Only the pacing of the messages does not: its CPU time is
measured before, with nobody to publish to, and taken off. Beside them `broadcast()` of one frame of 100 messages, of no
use where a message is wanted soon: it is the limit. Prints a table, and writes it as JSON with `--out`.

    python -m tests.benchmarks.bench_fanout --clients 200 --rate 1000 --seconds 10
    python -m tests.benchmarks.bench_fanout --clients 1000 --rate 200 --seconds 60 --only ours
    python -m tests.benchmarks.bench_fanout --clients 50 --stalled 10 --seconds 10 --only ours
    python -m tests.benchmarks.bench_fanout --clients 200 --compression   # ours without and with permessage-deflate
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from degentcivil_nb.protocol.codec import decode_frames
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket

HUNDRED = "broadcast of 100"
KINDS = ("ours", "broadcast", "gather", HUNDRED)
DEFLATED = "ours, deflate"
OURS = ("ours", DEFLATED)
Emit = Callable[[dict[str, Any]], Awaitable[None] | None]


def payload(number: int) -> dict[str, Any]:
    return {
        "character_id": f"character-{number % 100}",
        "new_state": "MOVE",
        "location": "Central Park",
        "timestamp": time.time(),
        "previous_state": "IDLE",
    }


# --- the server's process --------------------------------------------------------------------------------------


async def paced(rate: float, seconds: float, emit: Emit) -> int:
    """Emit `rate * seconds` events, evenly, on the loop; return how many."""
    began, sent, events = time.perf_counter(), 0, round(rate * seconds)
    while sent < events:  # a count, not a time: a late wake-up must not leave a frame of 100 half full
        while sent < min(events, rate * (time.perf_counter() - began)):
            done = emit(payload(sent))
            if done is not None:
                await done
            sent += 1
        await asyncio.sleep(0.001)  # the pace of the simulation
    return sent


def paced_in_thread(rate: float, seconds: float, publish: Callable[[str, Any], None]) -> int:
    """Publish `rate * seconds` events, evenly, from this thread, as a simulation does; return how many."""
    began, sent, events = time.perf_counter(), 0, round(rate * seconds)
    while sent < events:
        while sent < min(events, rate * (time.perf_counter() - began)):
            publish("state_change", payload(sent))
            sent += 1
        time.sleep(0.002)  # the pace of the simulation
    return sent


async def serve_ours(rate: float, seconds: float, talk: Talk, compression: bool) -> None:
    server = SimulationWebSocket("127.0.0.1", 0, compression=compression)
    await server.start()
    await talk.ready(server.port)

    def pacing() -> float:
        began = time.thread_time()
        paced_in_thread(rate, min(1.0, seconds), lambda type, data: None)
        return (time.thread_time() - began) / min(1.0, seconds)

    spent = await asyncio.to_thread(pacing)
    cpu = time.process_time()
    sent = await asyncio.to_thread(paced_in_thread, rate, seconds, server.publish)
    await asyncio.sleep(0.1)  # the last batches go out
    await talk.done(sent, time.process_time() - cpu - spent * seconds)
    await server.close()


async def serve_plain(kind: str, rate: float, seconds: float, talk: Talk) -> None:
    clients: set[ServerConnection] = set()
    number = 0
    hundred: list[str] = []

    async def handler(websocket: ServerConnection) -> None:
        clients.add(websocket)
        try:
            await websocket.wait_closed()
        finally:
            clients.discard(websocket)

    def emit(data: dict[str, Any]) -> Awaitable[None] | None:
        nonlocal number
        number += 1
        text = json.dumps({"type": "state_change", "data": data, "timestamp": data["timestamp"], "seq": number})
        if kind == "broadcast":
            broadcast(clients, text)
            return None
        if kind == HUNDRED:
            hundred.append(text)
            if len(hundred) == 100:
                broadcast(clients, f'{{"type": "batch", "data": [{",".join(hundred)}]}}')
                hundred.clear()
            return None
        return gathered(text)

    async def gathered(text: str) -> None:
        await asyncio.gather(*(client.send(text) for client in clients), return_exceptions=True)

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        await talk.ready(server.sockets[0].getsockname()[1])
        began = time.thread_time()
        await paced(rate, min(1.0, seconds), lambda data: None)
        spent = (time.thread_time() - began) / min(1.0, seconds)
        cpu = time.process_time()
        sent = await paced(rate, seconds, emit)
        await talk.done(sent - len(hundred), time.process_time() - cpu - spent * seconds)


class Talk:
    """Speak with the parent over the standard streams, a JSON line each way."""

    async def ready(self, port: int) -> None:
        print(json.dumps({"port": port}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)

    async def done(self, sent: int, cpu: float) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"sent": sent, "cpu": cpu, "peak_mb": peak / 1024}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)


# --- the clients' process --------------------------------------------------------------------------------------


class Client(asyncio.Protocol):
    """Receive as cheaply as Python can; one with `sampled` also decodes everything and takes the latencies."""

    def __init__(self, port: int, v1: bool, sampled: bool, stalled: bool = False, deflate: bool = False) -> None:
        self.received = 0
        self.wire_bytes = 0
        self.latencies: list[float] = []
        self.seqs: list[int] = []
        self.opened = asyncio.get_running_loop().create_future()
        self._sampled = sampled
        self._stalled = stalled
        self._v1 = v1
        offered = [Subprotocol("degentcivil.v1")] if v1 else None
        uri = parse_uri(f"ws://127.0.0.1:{port}")
        extensions = [ClientPerMessageDeflateFactory()] if deflate else None
        self._protocol = ClientProtocol(uri, subprotocols=offered, extensions=extensions, max_size=None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        self.wire_bytes += len(data)
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                if self._protocol.handshake_exc is not None:
                    raise self._protocol.handshake_exc
                if not self._v1:
                    self.opened.set_result(None)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._take(bytes(event.data))
        self._flush()

    def _take(self, frame: bytes) -> None:
        if self._v1 and frame.startswith(b'{"type":"hello"'):
            self._protocol.send_text(b'{"type":"resume","data":{"epoch":null,"seq":null}}')
        elif self._v1 and frame.startswith(b'{"type":"resumed"'):
            self.opened.set_result(None)
            if self._stalled:
                self.transport.pause_reading()
        elif self._sampled:
            now = time.time()
            for message in decode_frames([frame]):
                if message.seq is not None and message.timestamp is not None:
                    self.received += 1
                    self.seqs.append(message.seq)
                    self.latencies.append(now - message.timestamp)
        elif not frame.startswith(b'{"type":"snapshot"'):
            self.received += frame.count(b'"seq":')

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.transport.write(data)


async def measure(kind: str, clients: int, stalled: int, rate: float, seconds: float) -> dict[str, Any]:
    """Run one server with its clients; give the row of the table."""
    command = [sys.executable, __file__, "--serve", kind, "--rate", str(rate), "--seconds", str(seconds)]
    process = subprocess.Popen(  # noqa: ASYNC220 — nothing else runs on this loop yet
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines, orders = process.stdout, process.stdin

    def order() -> None:
        orders.write("go\n")
        orders.flush()

    loop = asyncio.get_running_loop()
    peers: list[Client] = []
    try:
        port = json.loads(await asyncio.to_thread(lines.readline))["port"]
        for number in range(clients + stalled):
            peer = Client(port, kind in OURS, number < 5, number >= clients, kind == DEFLATED)
            await loop.create_connection(lambda peer=peer: peer, "127.0.0.1", port)  # type: ignore[misc]
            await peer.opened
            peers.append(peer)
        order()
        result = json.loads(await asyncio.to_thread(lines.readline))
        healthy = peers[:clients]
        expected = result["sent"]
        deadline = time.monotonic() + 10
        while any(peer.received < expected for peer in healthy) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # rarely: counting must not disturb what is counted
        delivered = sum(peer.received for peer in healthy)
        latencies = [latency for peer in healthy for latency in peer.latencies]
        cuts = quantiles(latencies, n=100)
        return {
            "kind": kind,
            "clients": clients,
            "stalled": stalled,
            "rate": rate,
            "events": expected,
            "lost": expected * clients - delivered,
            "in_order": all(peer.seqs == sorted(set(peer.seqs)) for peer in healthy),
            "cpu_s": round(result["cpu"], 3),
            "wire_mb": round(sum(peer.wire_bytes for peer in healthy) / 1e6, 2),
            "deliveries_per_cpu_s": round(delivered / result["cpu"]),
            "p50_ms": round(cuts[49] * 1e3, 2),
            "p99_ms": round(cuts[98] * 1e3, 2),
            "peak_mb": round(result["peak_mb"], 1),
        }
    finally:
        for peer in peers:
            peer.transport.abort()
        order()
        await asyncio.to_thread(process.wait, 20)  # not on the loop, which closes the aborted connections
        lines.close()
        orders.close()


def table(rows: list[dict[str, Any]]) -> str:
    heads = ["kind", "clients", "stalled", "rate", "events", "lost", "cpu_s", "deliveries_per_cpu_s", "ratio"]
    heads += ["p50_ms", "p99_ms", "peak_mb", "wire_mb"]
    cells = [heads] + [[str(row.get(head, "")) for head in heads] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


async def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    kinds = list(KINDS if args.only is None else (args.only,))
    if args.compression:
        kinds.append(DEFLATED)
    for kind in kinds:
        # one message a frame: at the full rate these would measure how they drown
        rate = args.rate if kind in (*OURS, HUNDRED) else min(args.rate, args.plain_deliveries / args.clients)
        rows.append(await measure(kind, args.clients, 0, rate, args.seconds))
        if args.stalled and kind == "ours":
            rows.append(await measure(kind, args.clients, args.stalled, rate, args.seconds))
    best = min(row["deliveries_per_cpu_s"] for row in rows)
    for row in rows:
        row["ratio"] = round(row["deliveries_per_cpu_s"] / best, 2)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--rate", type=float, default=1_000, help="events a second")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--stalled", type=int, default=0, help="also run ours beside this many that never read")
    parser.add_argument(
        "--plain-deliveries", type=float, default=40_000, help="deliveries a second asked of the others"
    )
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--compression", action="store_true", help="also run ours with permessage-deflate")
    parser.add_argument("--out", type=Path, help="write the table as JSON")
    parser.add_argument("--serve", choices=(*KINDS, DEFLATED), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve in OURS:
        asyncio.run(serve_ours(args.rate, args.seconds, Talk(), args.serve == DEFLATED))
    elif args.serve:
        asyncio.run(serve_plain(args.serve, args.rate, args.seconds, Talk()))
    else:
        rows = asyncio.run(run(args))
        print(table(rows))
        if args.out:
            args.out.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
