"""Promise 8: whatever is opened and closed leaves no thread, task, descriptor or memory behind."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
from ipywidgets.widgets import widget as widgets  # type: ignore[import-untyped]  # ships no types

import degentcivil_nb as dc
from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from degentcivil_nb.store.event_store import EventStore
from tests.soak.oracle import Tally
from tests.support.waiting import eventually

WARM_UP = 8


class Census:
    """Count what could leak, now and again."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.before = self._count()

    def _count(self) -> dict[str, int]:
        gc.collect()
        return {
            "threads": threading.active_count(),
            "descriptors": self._process.num_fds(),
            "widgets": len(widgets._instances),
            "memory_bytes": self._process.memory_info().rss,
        }

    def left(self) -> dict[str, int]:
        """Give what is there more than before, once it has had a few seconds to go."""
        ends = time.monotonic() + 5
        while True:
            now = self._count()
            more = {name: now[name] - self.before[name] for name in now}
            if time.monotonic() > ends or not any(more[name] > 0 for name in ("threads", "descriptors", "widgets")):
                return more
            time.sleep(0.05)  # what is left is counted anew, and given when time is up: no condition to wait for


def _repeat(count: int, once: Callable[[int], None]) -> Tally:
    for number in range(WARM_UP):
        once(number)
    census = Census()
    tally = Tally(cuts=count)
    for number in range(count):
        began = time.monotonic()
        once(number)
        tally.recovered_s.append(time.monotonic() - began)
    left = census.left()
    tally.lost = sum(max(0, left[name]) for name in ("threads", "descriptors", "widgets"))
    tally.more = {f"left_{name}": value for name, value in left.items()}
    return tally


async def connections(count: int, *, at_once: int = 10) -> Tally:
    """Connect and close real clients with stores, some of them by force."""
    server = SimulationWebSocket("127.0.0.1", 0)
    await server.start()
    rng = random.Random(0)
    for _ in range(100):
        server.publish("event_notification", {"event_type": "x"})

    async def visit() -> None:
        client = SimulationClient(server.url, history=100, sink=EventStore(max_rows=1_000).append, timeout=10)
        await client.open()
        if rng.random() < 0.3 and client.websocket is not None:
            client.websocket.transport.abort()
            await asyncio.sleep(0)  # the loop notices that the connection is lost
        await client.close()

    async def visits(number: int) -> None:
        for _ in range(0, number, at_once):
            await asyncio.gather(*(visit() for _ in range(at_once)))
        await eventually(lambda: not server.clients)
        await asyncio.sleep(0.05)  # the server's handlers end a moment after it has forgotten their clients

    await visits(max(at_once, count // 4))
    tasks = len(asyncio.all_tasks())
    census = Census()
    await visits(count)
    left: dict[str, Any] = census.left() | {"tasks": len(asyncio.all_tasks()) - tasks}
    await server.close()
    lost = sum(max(0, left[name]) for name in ("threads", "descriptors", "tasks"))
    return Tally(cuts=count, lost=lost, more={f"left_{name}": value for name, value in left.items()})


def dashboards(count: int) -> Tally:
    """Open and close the dashboard of a session, as cells that are run again and again do."""
    with dc.start_local_server(tick_s=0.02) as server, dc.connect(server) as session:

        def once(number: int) -> None:
            session.dashboard().close()

        return _repeat(count, once)


def servers(count: int) -> Tally:
    """Start and stop a local server with a session, and restart it in between."""

    def once(number: int) -> None:
        with dc.start_local_server(tick_s=0.02, characters=3) as server, dc.connect(server) as session:
            if number % 2:
                server.inject_fault("restart")
            else:
                session.pause()

    return _repeat(count, once)
