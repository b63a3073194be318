"""Promise 4, and a storm of reconnects: many clients that are slow or all at once, beside some that are well."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import psutil
from websockets.frames import Frame, Opcode

from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.control_payloads import Gap
from degentcivil_nb.protocol.json_text import decode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.server.stream.feed import BATCH_S
from tests.soak.cuts import until
from tests.soak.oracle import Tally
from tests.support.paths import ROOT

PER_S = 100
CAP_BYTES = 320 << 10
"""What a stalled client may cost: a frame on its way (256 KiB) and the library's connection."""
SPARE_BYTES = 50_000_000


class Actor:
    """Speak with a process of `crowd_process`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __call__(self, *message: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        return json.loads(line)

    @property
    def memory_bytes(self) -> int:
        return int(psutil.Process(self._process.pid).memory_info().rss)


@contextlib.asynccontextmanager
async def acting(role: str, *start: Any) -> AsyncIterator[tuple[Actor, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.soak.crowd_process", role,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    actor = Actor(process)
    try:
        yield actor, await actor("start", *start)
        await actor("stop")
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        getattr(process, "_transport").close()  # noqa: B009 — else its pipes are closed when the loop has gone


# --- clients that are slow -------------------------------------------------------------------------------------------


async def unread(url: str, every_s: float | None) -> None:
    """Ask for the whole history and never read it, or a byte every so often; come back when closed."""
    host, port = url.removeprefix("ws://").split(":")
    loop = asyncio.get_running_loop()
    head = (
        f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: degentcivil.v1\r\n\r\n"
    )
    ask = Frame(Opcode.TEXT, b'{"type":"resume","data":{"history":10000}}').serialize(mask=True)
    while True:
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(sock, (host, int(port)))
            await loop.sock_sendall(sock, head.encode())
            greeting = b""
            while b"\r\n\r\n" not in greeting:  # byte by byte, so that nothing is read of what follows
                greeting += await loop.sock_recv(sock, 1)
            await loop.sock_sendall(sock, ask)
            if every_s is None:
                await asyncio.sleep(12)  # by then the server has closed it
            while every_s is not None and await loop.sock_recv(sock, 1):  # noqa: ASYNC110 — slowness is the point
                await asyncio.sleep(every_s)  # one byte at a time
        await asyncio.sleep(0.1)  # before it comes again


class Blocked:
    """Be a real client whose loop stands still most of the time, and account for what it gets."""

    def __init__(self, url: str, history: int) -> None:
        self.client = SimulationClient(url, history=history, sink=self._take, timeout=30)
        self.position = 0
        self.gaps = 0
        self.wrong = 0

    def _take(self, messages: list[RawMessage], received: float, epoch: str | None) -> None:
        for message in messages:
            first = last = message.seq
            if message.type == "gap":
                gap = decode(Gap, message.data)
                first, last = gap.start, gap.end
                self.gaps += 1
                self.wrong += gap.reason not in ("slow", "window")
            if first is not None and last is not None:
                self.wrong += first != self.position + 1 and self.position > 0
                self.position = last

    def is_back(self, position: int) -> bool:
        return self.client.state == "live" and self.position > position

    async def run(self) -> None:
        await self.client.open()
        try:
            while True:
                websocket = self.client.websocket
                if websocket is not None and not websocket.transport.is_closing():
                    websocket.transport.pause_reading()
                    await asyncio.sleep(1.5)  # blocked, as a laptop that sleeps
                    websocket.transport.resume_reading()
                await asyncio.sleep(0.1)  # then it reads for a while
        finally:
            await self.client.close()


async def slow_clients(stalled: int, healthy: int, seconds: float, *, batch_s: float = BATCH_S) -> Tally:
    """Measure the healthy alone, then beside the stalled: a third never read, read a byte a second, are blocked.

    Blocked ones that have caught up are as live to the server as the healthy, for their kernels take all it sends; and
    in a crowd it lets messages wait longer, from `BATCH_S` up to `CROWDED_S`. With `batch_s=CROWDED_S` they wait as
    long with 50 as with 250 clients, so that only what the stalled ones do is seen.
    """
    async with acting("serve", PER_S, 2_000, batch_s) as (server, url), acting("watch", url, healthy) as (watch, _):
        await asyncio.sleep(1)  # to warm up, before it counts
        await asyncio.gather(watch("look"), server("look"))
        await asyncio.sleep(seconds)  # what is measured
        alone, served_alone = await asyncio.gather(watch("look"), server("look"))
        memory = server.memory_bytes
        blocked = [Blocked(url, 10_000) for _ in range((stalled + 2) // 3)]
        tasks = [asyncio.create_task(one.run()) for one in blocked]
        tasks += [
            asyncio.create_task(unread(url, None if number % 2 else 1.0)) for number in range(stalled - len(blocked))
        ]
        await asyncio.sleep(3)  # their own storm is another measurement
        await asyncio.gather(watch("look"), server("look"))
        most = 0
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            most = max(most, server.memory_bytes)
            await asyncio.sleep(0.2)  # the memory is sampled
        beside, served = await asyncio.gather(watch("look"), server("look"))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    tally = Tally(events=served["head"], gaps=sum(one.gaps for one in blocked))
    tally.lost = beside["gaps"]
    tally.false_gaps = sum(one.wrong for one in blocked)
    tally.more = {
        "stalled": stalled,
        "healthy": healthy,
        "p99_alone_s": alone["p99"],
        "p99_beside_s": beside["p99"],
        "ratio": beside["p99"] / alone["p99"],
        "allowed_ratio": 1.25,
        "max_alone_s": alone["max"],
        "max_beside_s": beside["max"],
        "loop_late_alone_s": {name: served_alone[f"late_{name}"] for name in ("p99", "max")},
        "loop_late_beside_s": {name: served[f"late_{name}"] for name in ("p99", "max")},
        "healthy_reconnects": beside["reconnects"],
        "memory_growth_bytes": most - memory,
        "allowed_memory_growth_bytes": stalled * CAP_BYTES + SPARE_BYTES,
    }
    return tally


async def storm(clients: int, *, bystanders: int = 20, rounds: int = 1) -> Tally:
    """Cut all of some clients at the same moment; the bystanders must not notice."""
    tally = Tally(cuts=clients * rounds)
    latest = {"max": 0.0, "p99": 0.0}
    async with acting("serve", 20, 200, BATCH_S) as (server, url), acting("watch", url, bystanders) as (watch, _):
        crowd = [Blocked(url, 0) for _ in range(clients)]
        for begin in range(0, clients, 25):
            await asyncio.gather(*(one.client.open() for one in crowd[begin : begin + 25]))
        for _ in range(rounds):
            await asyncio.sleep(1)  # a moment of quiet between two storms
            await watch("look")
            before = (await server("look"))["head"]
            began = time.monotonic()
            for one in crowd:
                if one.client.websocket is not None:
                    one.client.websocket.transport.abort()
            for one in crowd:
                await until(partial(one.is_back, before), "recovery from the storm")
                tally.recovered_s.append(time.monotonic() - began)
            found = await watch("look")
            latest = {name: max(latest[name], found[name]) for name in latest}
            tally.lost += found["gaps"] + found["reconnects"]
        tally.events = (await server("look"))["head"]
        for one in crowd:
            await one.client.close()
        tally.gaps = sum(one.gaps for one in crowd)
        tally.false_gaps = sum(one.wrong for one in crowd) + tally.gaps
    tally.more = {"clients": clients, "bystanders_p99_s": latest["p99"], "bystanders_max_s": latest["max"]}
    return tally
