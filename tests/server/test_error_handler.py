"""Errors are answered to the client that caused them, without secrets; endless ones close its connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from degentcivil_nb.monitoring.connection_monitor import ConnectionMonitor
from degentcivil_nb.protocol.codec import decode_raw
from degentcivil_nb.protocol.errors import WebSocketError
from degentcivil_nb.protocol.messages import WebSocketMessage
from degentcivil_nb.server.peers.error_handler import ErrorHandler
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket


class Socket:
    """A connection that keeps what it was told."""

    remote_address = ("10.0.0.5", 4711)

    def __init__(self, fails: Exception | None = None) -> None:
        self.sent: list[WebSocketMessage] = []
        self.closed: tuple[int, str] | None = None
        self.fails = fails

    async def send(self, text: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.sent.append(WebSocketMessage.from_json(text))

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)


@asynccontextmanager
async def serving(handler: ErrorHandler, handle: Callable[[str | bytes], Any]) -> AsyncIterator[str]:
    async def connection(websocket: ServerConnection) -> None:
        async for frame in websocket:
            try:
                handle(frame)
            except Exception as error:  # noqa: BLE001 — as the guide's server does
                await handler.handle_error(websocket, error)

    async with serve(connection, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_one_who_erred_is_told_and_served_on() -> None:
    async with serving(ErrorHandler(), decode_raw) as url, connect(url) as client:
        for _ in range(3):
            await client.send("{")
            told = WebSocketMessage.from_json(await asyncio.wait_for(client.recv(), 5))
            assert (told.type, told.data["code"]) == ("error", 1001)
            assert told.data["excerpt"] == "{"


async def test_who_errs_without_end_is_closed_for_good_and_a_bystander_is_not() -> None:
    async with serving(ErrorHandler(max_errors=3), decode_raw) as url, connect(url) as client, connect(url) as other:
        await other.send("{")
        for _ in range(5):
            await client.send("{")
        with pytest.raises(ConnectionClosed):
            while True:
                await asyncio.wait_for(client.recv(), 5)
        assert (client.close_code, client.close_reason) == (1008, "too many errors")
        assert WebSocketMessage.from_json(await other.recv()).data["code"] == 1001
        await asyncio.wait_for(await other.ping(), 5)


async def test_errors_that_lie_far_apart_are_forgiven() -> None:
    now = [0.0]
    handler = ErrorHandler(max_errors=2, window_s=10, clock=lambda: now[0])
    socket = Socket()
    for _ in range(50):
        now[0] += 5.0
        assert await handler.handle_error(socket, WebSocketError(1001))
    assert len(socket.sent) == 50
    assert socket.closed is None


async def test_our_own_fault_is_told_without_our_secrets_and_logged_whole(caplog: pytest.LogCaptureFixture) -> None:
    socket = Socket()
    await ErrorHandler().handle_error(socket, KeyError("/home/emma/password"), peer="1 10.0.0.5:4711")
    (told,) = socket.sent
    assert told.data["code"] == 1004
    assert "emma" not in told.to_json()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert told.data["incident"] in record.getMessage()
    assert (record.peer, record.code, record.incident) == ("1 10.0.0.5:4711", 1004, told.data["incident"])  # type: ignore[attr-defined]
    assert "/home/emma/password" in caplog.text  # the owner's log has it, with the traceback


async def test_faults_of_ours_without_end_close_with_a_code_after_which_it_may_try_again() -> None:
    socket = Socket()
    handler = ErrorHandler(max_errors=2)
    kept = [await handler.handle_error(socket, RuntimeError("bug")) for _ in range(3)]
    assert kept == [True, True, False]
    assert socket.closed == (1011, "too many errors")


@pytest.mark.parametrize("fails", [ConnectionClosedError(None, None), ConnectionResetError()])
async def test_a_peer_that_has_gone_raises_nothing(fails: Exception) -> None:
    assert not await ErrorHandler().handle_error(Socket(fails), WebSocketError(1001))


async def test_it_logs_once_counts_once_and_carries_details(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "degentcivil_nb")
    monitor = ConnectionMonitor()
    socket = Socket()
    error = WebSocketError(1003, "slower, please", details={"retry_after_s": 2.5, "code": "not this"})
    await ErrorHandler(monitor=monitor).handle_error(socket, error)
    assert socket.sent[0].data == {"code": 1003, "message": "slower, please", "retry_after_s": 2.5}
    assert monitor.metrics["errors"] == 1
    assert len(caplog.records) == 1


async def test_details_without_a_json_form_do_not_keep_the_rest_from_being_said() -> None:
    socket = Socket()
    assert await ErrorHandler().handle_error(socket, WebSocketError(1001, "no", details={"what": object()}))
    assert socket.sent[0].data == {"code": 1001, "message": "no"}


async def test_the_answer_takes_the_peer_s_own_way_if_it_has_one() -> None:
    replies: list[WebSocketMessage] = []
    socket = Socket()
    await ErrorHandler().handle_error(socket, WebSocketError(1001), reply=replies.append)
    assert (len(replies), socket.sent) == (1, [])


async def test_the_real_server_tells_who_erred_and_serves_on() -> None:
    server = SimulationWebSocket("127.0.0.1", 0, heartbeat_s=0.1)
    await server.start()
    try:
        async with connect(server.url) as client, connect(server.url) as bystander:
            await client.send("[" * 10_000)
            while (told := WebSocketMessage.from_json(await asyncio.wait_for(client.recv(), 5))).type != "error":
                pass
            assert told.data["code"] == 1001
            for connection in (client, bystander):
                heard = WebSocketMessage.from_json(await asyncio.wait_for(connection.recv(), 5))
                assert heard.type == "heartbeat"
    finally:
        await server.close()
