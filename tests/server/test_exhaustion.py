"""No client can exhaust the server: what is endless, huge, slow or too many is ended, and others are served."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from degentcivil_nb.protocol.rate_limits import RateLimiter
from degentcivil_nb.server.entrance.connection_pool import ConnectionPool
from degentcivil_nb.server.peers.error_handler import ErrorHandler
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from tests.support.server_helpers import publish, serving, shape, v1
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_task_left")

MASK = b"\x00\x00\x00\x00"  # a masked frame whose mask changes nothing
MIB = 1 << 20


@asynccontextmanager
async def beside_a_healthy_one(**options: Any) -> AsyncIterator[SimulationWebSocket]:
    """Serve, and check in the end that another client was served on all the while."""
    async with serving(**options) as server, v1(server) as healthy:
        await healthy.resume()
        await healthy.until_type("snapshot")
        yield server
        publish(server, 1, 2, 3)
        assert shape(await healthy.until_seq(3))[-3:] == [1, 2, 3]


async def ending(client: ClientConnection) -> tuple[int | None, list[dict[str, Any]]]:
    """Read to the end of a connection; give its close code and what was said."""
    said: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(5):
            while True:
                said.append(json.loads(await client.recv()))
    except ConnectionClosed:
        return client.close_code, said


@pytest.mark.parametrize("line", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
async def test_a_handshake_that_dribbles_or_says_nothing_is_hung_up_on(line: bytes) -> None:
    async with beside_a_healthy_one(open_s=0.3) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(line)

        async def dribble() -> None:
            while line:
                writer.write(b"X")
                await asyncio.sleep(0.02)  # to dribble is the point

        dribbling = asyncio.create_task(dribble())
        async with asyncio.timeout(3):
            with pytest.raises((EOFError, ConnectionError)):
                await reader.readexactly(100_000)
        dribbling.cancel()
        await asyncio.gather(dribbling, return_exceptions=True)
        writer.close()


async def test_a_head_without_end_is_hung_up_on() -> None:
    async with beside_a_healthy_one() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(4):
            with pytest.raises((EOFError, ConnectionError)):
                writer.write(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * MIB)
                await writer.drain()
                await reader.readexactly(100_000)
        writer.close()


async def test_a_little_that_inflates_to_very_much_ends_with_1009() -> None:
    async with (
        beside_a_healthy_one(compression=True) as server,
        connect(server.url, compression="deflate", ping_interval=None) as bomber,
    ):
        assert bomber.protocol.extensions
        await bomber.send("[" + " " * (64 * MIB), text=True)
        code, _ = await ending(bomber)
        assert code == 1009


async def test_a_frame_that_promises_2_to_the_62_bytes_ends_with_1009() -> None:
    async with beside_a_healthy_one() as server, connect(server.url, ping_interval=None) as client:
        client.transport.write(b"\x81\xff" + (1 << 62).to_bytes(8, "big") + MASK)
        code, _ = await ending(client)
        assert code == 1009


async def test_a_message_in_endless_pieces_ends() -> None:
    async with beside_a_healthy_one() as server, connect(server.url, ping_interval=None) as client:
        client.transport.write(b"\x01\x80" + MASK + (b"\x00\x80" + MASK) * 6_000)
        code, _ = await ending(client)
        assert code in (1008, 1009)


async def test_a_message_above_the_limit_ends_with_1009() -> None:
    async with beside_a_healthy_one(max_message_bytes=10_000) as server, connect(server.url) as client:
        await client.send("x" * 10_001)
        code, _ = await ending(client)
        assert code == 1009


async def test_many_connections_from_one_address_find_the_places_taken() -> None:
    pool = ConnectionPool(max_connections=40, max_per_address=10)
    async with beside_a_healthy_one(pool=pool) as server, AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(connect(server.url)) for _ in range(60)]
        refused = await asyncio.gather(*(ending(client) for client in crowd[9:]))
        assert len(server.clients) == 10
        assert {code for code, _ in refused} == {1013}
        assert {said[0]["data"]["code"] for _, said in refused} == {1106}
        assert pool.statistics().refused == 51
    await eventually(lambda: not pool.connections)


async def test_a_flood_is_told_how_long_to_wait_and_then_ends() -> None:
    limiter, errors = RateLimiter(20, 60.0), ErrorHandler(max_errors=30)
    async with beside_a_healthy_one(limiter=limiter, error_handler=errors) as server, connect(server.url) as client:
        for number in range(200):
            await client.send(f'{{"type":"chat","data":{number}}}')
        code, said = await ending(client)
        told = [message["data"] for message in said if message["type"] == "error"]
        assert code == 1008
        assert {error["code"] for error in told} == {1003}
        assert all(error["retry_after_s"] > 0 for error in told[:30])
        assert 1 <= len(told) <= 31  # the last words come at once, before answers that still wait


async def test_who_asks_without_reading_fills_nothing_without_end() -> None:
    async with (
        beside_a_healthy_one(
            pool=ConnectionPool(max_stall_s=0.5),
            limiter=RateLimiter(10**6, 1.0),
            error_handler=ErrorHandler(max_errors=10**6),
        ) as server,
        connect(server.url, ping_interval=None) as client,
    ):
        await eventually(lambda: len(server.clients) == 2)
        (peer,) = [peer for peer in server._peers.values() if peer.dialect == "guide"]
        client.transport.pause_reading()
        bad = '{"type":"' + "x" * 900 + '"'
        async with asyncio.timeout(10):
            while len(server.clients) == 2:
                for _ in range(200):
                    client.transport.write(b"\x81\xfe" + len(bad).to_bytes(2, "big") + MASK + bad.encode())
                await asyncio.sleep(0.005)  # the server answers what it has read
                assert len(peer._replies) <= 1_000
        client.transport.abort()
