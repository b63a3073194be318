"""The connection pool: who is connected, and a refusal beyond its limit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from degentcivil_nb.protocol.errors import WebSocketError
from degentcivil_nb.protocol.messages import WebSocketMessage
from degentcivil_nb.server.entrance.connection_pool import ConnectionPool
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket


@dataclass(eq=False)
class Socket:
    remote_address: tuple[str, int] | None = ("10.0.0.5", 1)


async def test_the_guide_s_own_use() -> None:
    pool = ConnectionPool()
    assert pool.max_connections == 1000
    socket = Socket()
    await pool.add_connection("emma", socket)
    assert pool.connections == {"emma": socket}
    await pool.remove_connection("emma")
    await pool.remove_connection("emma")
    assert pool.connections == {}


async def test_a_full_pool_refuses_clearly_until_somebody_leaves() -> None:
    pool = ConnectionPool(2, max_per_address=2)
    await pool.add_connection(1, Socket())
    await pool.add_connection(2, Socket())
    with pytest.raises(WebSocketError, match="the server is full: it accepts 2 connections; try again later") as caught:
        await pool.add_connection(3, Socket(("10.0.0.6", 1)))
    assert (caught.value.code, caught.value.retryable) == (1106, True)
    assert caught.value.details == {"limit": "max_connections"}
    await pool.remove_connection(1)
    await pool.add_connection(3, Socket(("10.0.0.6", 1)))


async def test_one_address_cannot_take_all_the_places() -> None:
    pool = ConnectionPool(100)
    for number in range(25):
        await pool.add_connection(number, Socket())
    with pytest.raises(WebSocketError, match="your address already has 25 connections") as caught:
        await pool.add_connection("one more", Socket())
    assert caught.value.details == {"limit": "max_per_address"}
    await pool.add_connection("a neighbour", Socket(("10.0.0.6", 1)))
    await pool.remove_connection(0)
    await pool.add_connection("one more", Socket())


async def test_this_machine_where_tunnels_end_has_no_limit_of_its_own_unless_it_is_given_one() -> None:
    for address in ("127.0.0.1", "::1"):
        pool = ConnectionPool(8)
        for number in range(8):
            await pool.add_connection(number, Socket((address, number)))
        limited = ConnectionPool(8, max_per_address=1)
        await limited.add_connection(1, Socket((address, 1)))
        with pytest.raises(WebSocketError):
            await limited.add_connection(2, Socket((address, 2)))
    unix = ConnectionPool(8)
    await unix.add_connection("unix", Socket(None))


async def test_a_client_that_comes_again_replaces_itself_and_the_old_one_s_end_does_not_remove_the_new() -> None:
    pool = ConnectionPool(1, max_per_address=1)
    old, new = Socket(), Socket()
    await pool.add_connection("emma", old)
    await pool.add_connection("emma", new)
    await pool.remove_connection("emma", old)
    assert pool.connections == {"emma": new}
    await pool.remove_connection("emma", new)
    assert pool.statistics().addresses == 0


async def test_its_statistics() -> None:
    now = [0.0]
    pool = ConnectionPool(3, clock=lambda: now[0])
    for number in range(3):
        now[0] += 1
        await pool.add_connection(number, Socket(("127.0.0.1", 1)))
    with pytest.raises(WebSocketError):
        await pool.add_connection("one more", Socket())
    await pool.remove_connection(0)
    now[0] = 10.0
    found = pool.statistics()
    assert (found.active, found.peak, found.accepted, found.refused) == (2, 3, 3, 1)
    assert (found.addresses, found.busiest_address, found.oldest_s) == (1, 2, 8.0)
    assert ConnectionPool().statistics().oldest_s == 0


def test_its_settings_are_checked() -> None:
    for name in ("max_connections", "max_per_address", "max_lag", "max_lag_bytes", "max_stall_s"):
        with pytest.raises(ValueError, match=name):
            ConnectionPool(**{name: 0})  # type: ignore[arg-type]


async def test_the_real_server_says_1106_closes_with_1013_and_serves_the_others() -> None:
    server = SimulationWebSocket("127.0.0.1", 0, pool=ConnectionPool(1), heartbeat_s=0.1)
    await server.start()
    try:
        async with connect(server.url) as first:
            await asyncio.wait_for(first.recv(), 5)
            async with connect(server.url) as second:
                said = WebSocketMessage.from_json(await asyncio.wait_for(second.recv(), 5))
                with pytest.raises(ConnectionClosed):
                    await asyncio.wait_for(second.recv(), 5)
                assert (said.type, said.data["code"], second.close_code) == ("error", 1106, 1013)
            await asyncio.wait_for(first.recv(), 5)
        for _ in range(100):  # the place is free a moment after the client has gone
            async with connect(server.url) as third:
                if WebSocketMessage.from_json(await asyncio.wait_for(third.recv(), 5)).type == "heartbeat":
                    break
        else:
            pytest.fail("the place of one who has left stays taken")
    finally:
        await server.close()
