"""Many connections at once: reconnect storms, stalled replays, and no trace of connections that ended."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from degentcivil_nb.protocol.codec import decode_frames
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from degentcivil_nb.server.stream.fair_turns import FairTurns
from degentcivil_nb.server.stream.frames import Chunk, Filter, Frames
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_task_left")

V1 = [Subprotocol("degentcivil.v1")]


class CountingSemaphore(asyncio.Semaphore):
    """Remember how many held it at the same time."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.size = value
        self.held = self.most = 0

    async def acquire(self) -> Literal[True]:
        taken = await super().acquire()
        self.held += 1
        self.most = max(self.most, self.held)
        return taken

    def release(self) -> None:
        self.held -= 1
        super().release()


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[SimulationWebSocket]:
    server = SimulationWebSocket("127.0.0.1", 0, **options)
    server.feed.replays = CountingSemaphore(16)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def ask(websocket: ClientConnection, **position: Any) -> None:
    await websocket.send(json.dumps({"type": "resume", "data": position}))


async def seqs_until(websocket: ClientConnection, last: int) -> list[int]:
    seqs: list[int] = []
    async with asyncio.timeout(30):
        while not seqs or seqs[-1] < last:
            frame = await websocket.recv()
            seqs += [message.seq for message in decode_frames([frame]) if message.seq is not None]
    return seqs


async def test_a_storm_of_reconnects_is_served_in_turns_and_starves_nobody() -> None:
    storm, held, live = 80, 2_000, 500
    async with serving() as server:
        replays = server.feed.replays
        assert isinstance(replays, CountingSemaphore)
        for number in range(held):
            server.publish("event_notification", {"event_type": "old", "n": number})
        server.feed.head_after_drain()

        async def reconnect() -> list[int]:
            async with connect(server.url, subprotocols=V1, open_timeout=30) as websocket:
                await ask(websocket, epoch=server.epoch, seq=500)
                return await seqs_until(websocket, held + live)

        async def simulate() -> None:
            for number in range(live):
                server.publish("event_notification", {"event_type": "new", "n": number})
                await asyncio.sleep(0.002)  # 500 events a second

        async with connect(server.url, subprotocols=V1) as watching:
            await ask(watching, history=0)
            while all(message.type != "resumed" for message in decode_frames([await watching.recv()])):
                pass  # until its news begins, after all that is held
            reader = asyncio.create_task(seqs_until(watching, held + live))
            everybody = await asyncio.gather(simulate(), *(reconnect() for _ in range(storm)))
            assert await reader == list(range(held + 1, held + live + 1))
        for seqs in everybody[1:]:
            assert seqs == list(range(501, held + live + 1))
        assert 1 <= replays.most <= replays.size
        assert replays.held == 0


async def test_hundreds_may_knock_while_the_loop_is_busy() -> None:
    async with serving() as server:
        # with no room in its queue the kernel drops the knock, and who knocked tries again after 1, 3, 7, 15, 31 s
        knocking = [socket.create_connection(("127.0.0.1", server.port), timeout=0.9) for _ in range(400)]
        for connection in knocking:
            connection.close()


async def test_those_who_stall_in_their_replay_do_not_keep_others_from_theirs() -> None:
    async with serving() as server:
        for _ in range(700):
            server.publish("event_notification", {"event_type": "old", "data": "x" * 20_000})
        server.feed.head_after_drain()
        stalled = []
        for _ in range(20):
            websocket = await connect(server.url, subprotocols=V1, max_queue=1, ping_interval=None)
            await ask(websocket, history=700)
            websocket.transport.pause_reading()
            stalled.append(websocket)
        async with connect(server.url, subprotocols=V1) as healthy:
            await ask(healthy, history=700)
            assert await seqs_until(healthy, 700) == list(range(1, 701))
        for websocket in stalled:
            websocket.transport.abort()
        await asyncio.gather(*(websocket.wait_closed() for websocket in stalled))


class FramesByTurn(Frames):
    """Count the frames cut for those who are far behind, by the turn of the loop in which that was."""

    def __init__(self, server: SimulationWebSocket) -> None:
        super().__init__(server.history, server.max_message_bytes)
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._turn = 0
        self.cut: Counter[int] = Counter()
        self._next_turn()

    def _next_turn(self) -> None:
        self._turn += 1
        self._timer = self._loop.call_soon(self._next_turn)

    def after(self, place: int, filter: Filter | None = None) -> Chunk:
        if self._server.history.bytes_after(place) > 300_000:
            self.cut[self._turn] += 1
        return super().after(place, filter)

    def stop(self) -> None:
        self._timer.cancel()


async def test_those_who_catch_up_send_one_frame_a_turn_between_them_however_much_their_kernels_take() -> None:
    async with serving() as server:
        for _ in range(300):
            server.publish("event_notification", {"event_type": "old", "data": "x" * 20_000})
        server.feed.head_after_drain()
        server.feed.frames = frames = FramesByTurn(server)

        async def replay() -> None:
            async with connect(server.url, subprotocols=V1, max_size=None, max_queue=None) as websocket:
                await ask(websocket, history=300)
                assert await seqs_until(websocket, 300) == list(range(1, 301))

        await asyncio.gather(*(replay() for _ in range(8)))
        frames.stop()
        assert frames.cut.total() > 100
        assert max(frames.cut.values()) == 1


async def test_turns_are_given_in_order_and_not_to_those_who_have_left() -> None:
    turns, taken = FairTurns(), []

    async def take(number: int) -> None:
        await turns.take()
        taken.append(number)

    tasks = [asyncio.create_task(take(number)) for number in range(4)]
    await asyncio.sleep(0)  # all of them wait for their turns
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await take(4)
    assert taken == [0, 2, 3, 4]


async def test_connections_come_and_go_without_a_trace(nothing_leaks: Callable[[], None]) -> None:
    async with serving() as server:
        tasks = len(asyncio.all_tasks())

        async def visit(number: int) -> None:
            async with connect(server.url, subprotocols=V1 if number % 3 else None) as websocket:
                if number % 3 and number % 2:
                    await ask(websocket, history=10)
                    await websocket.recv()
                if number % 5 == 0:
                    websocket.transport.abort()

        for begin in range(0, 200, 20):
            server.publish("event_notification", {"event_type": "x"})
            await asyncio.gather(*(visit(number) for number in range(begin, begin + 20)))
        await eventually(lambda: not (server.clients or len(asyncio.all_tasks()) > tasks))
        assert not server.feed._idle


async def test_servers_start_and_stop_without_a_trace(nothing_leaks: Callable[[], None]) -> None:
    port = 0
    for _ in range(20):
        server = SimulationWebSocket("127.0.0.1", port)
        await server.start()
        async with connect(server.url) as websocket:
            await server.close()
            await websocket.wait_closed()
        port = server.port  # free again at once
