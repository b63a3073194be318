"""Admission over real connections: who may connect, what they may do, and when they are disconnected."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from degentcivil_nb.protocol.command_payloads import Command, CommandResult, CommandSpec
from degentcivil_nb.protocol.rate_limits import RateLimiter
from degentcivil_nb.server.entrance.auth import Token, WebSocketAuth
from degentcivil_nb.server.entrance.connection_pool import ConnectionPool
from degentcivil_nb.server.peers.error_handler import ErrorHandler
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_task_left")

V1 = [Subprotocol("degentcivil.v1")]


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[SimulationWebSocket]:
    server = SimulationWebSocket("127.0.0.1", 0, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def said(websocket: ClientConnection) -> list[dict[str, Any]]:
    """Give everything a connection is told until it ends."""
    messages = []
    try:
        async with asyncio.timeout(5):
            async for frame in websocket:
                messages.append(json.loads(frame))
    except ConnectionClosed:
        pass
    return messages


async def answer(websocket: ClientConnection, type: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while True:
            message: dict[str, Any] = json.loads(await websocket.recv())
            if message["type"] == type:
                return message


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- Origin and Host -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost.evil.com", "null", "file://", ""])
async def test_pages_from_elsewhere_are_forbidden(origin: str) -> None:
    async with serving() as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url, origin=Origin(origin), subprotocols=V1)
        assert refused.value.response.status_code == 403
        async with connect(server.url, origin=Origin("http://localhost:8888")):
            pass


async def test_a_rebound_name_is_forbidden() -> None:
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: evil.example:80\r\nOrigin: http://evil.example\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b"403" in await reader.readline()
        writer.close()
        await writer.wait_closed()


# --- tokens --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), {"Authorization": "Basic c2VjcmV0"}, bearer("")])
async def test_without_a_good_token_nothing_but_the_refusal_is_said(headers: dict[str, str]) -> None:
    async with serving(auth=WebSocketAuth({"secret": "debugger"})) as server:
        async with connect(server.url, subprotocols=V1, additional_headers=headers) as websocket:
            messages = await said(websocket)
            assert [(message["type"], message["data"]["code"]) for message in messages] == [("error", 1002)]
            assert (websocket.close_code, websocket.close_reason) == (1008, "Invalid token")
        assert not server.clients


async def test_hello_names_the_role_of_the_token() -> None:
    auth = WebSocketAuth({"look": "viewer", "steer": "debugger"})
    async with serving(auth=auth) as server:
        for token, role in (("look", "viewer"), ("steer", "debugger")):
            async with connect(server.url, subprotocols=V1, additional_headers=bearer(token)) as websocket:
                assert json.loads(await websocket.recv())["data"]["role"] == role


async def test_a_revoked_token_ends_its_live_connections_and_no_others() -> None:
    auth = WebSocketAuth({"first": "debugger", "second": "debugger"})
    async with (
        serving(auth=auth) as server,
        connect(server.url, additional_headers=bearer("first")) as first,
        connect(server.url, additional_headers=bearer("second")) as second,
    ):
        assert auth.revoke("first") == 1
        assert (await said(first))[-1]["data"]["code"] == 1002
        assert first.close_code == 1008
        await (await second.ping())


async def test_an_expired_token_ends_its_live_connections() -> None:
    now = 0.0
    auth = WebSocketAuth({"short": Token("debugger", expires=10.0)}, clock=lambda: now)
    async with (
        serving(auth=auth, heartbeat_s=0.05) as server,
        connect(server.url, additional_headers=bearer("short")) as websocket,
    ):
        now = 11.0
        assert (await said(websocket))[-1]["data"]["code"] == 1002
        assert websocket.close_code == 1008


# --- commands ------------------------------------------------------------------------------------------------------


class Handler:
    def __init__(self) -> None:
        self.done: list[tuple[str, str, str]] = []

    def specs(self) -> list[CommandSpec]:
        return [CommandSpec("look", role="viewer"), CommandSpec("steer", "Steer the run.")]

    def submit(self, id: str, command: Command, role: str, reply: Callable[[CommandResult], None]) -> None:
        self.done.append((id, command.name, role))
        asyncio.get_running_loop().run_in_executor(None, reply, CommandResult(True, {"did": command.name}))


async def test_commands_are_offered_and_answered_by_id() -> None:
    handler = Handler()
    async with serving(commands=handler) as server, connect(server.url, subprotocols=V1) as websocket:
        offered = await answer(websocket, "commands")
        assert [spec["name"] for spec in offered["data"]] == ["look", "steer"]
        for _ in range(2):
            await websocket.send(json.dumps({"type": "command", "id": "a1", "data": {"name": "steer"}}))
            result = await answer(websocket, "command_result")
            assert (result["id"], result["data"]) == ("a1", {"ok": True, "result": {"did": "steer"}, "head": 0})
        assert handler.done == [("a1", "steer", "debugger")], "the same id does nothing twice"


async def test_a_viewer_cannot_steer_and_a_lowered_role_holds_at_once() -> None:
    handler, auth = Handler(), WebSocketAuth({"t": "debugger"})
    async with (
        serving(commands=handler, auth=auth) as server,
        connect(server.url, subprotocols=V1, additional_headers=bearer("t")) as websocket,
    ):
        await websocket.send(json.dumps({"type": "command", "id": "1", "data": {"name": "steer"}}))
        assert (await answer(websocket, "command_result"))["data"]["ok"] is True
        auth.tokens["t"] = Token("viewer")
        await websocket.send(json.dumps({"type": "command", "id": "2", "data": {"name": "steer"}}))
        assert (await answer(websocket, "command_result"))["data"]["error"]["code"] == 1103
        await websocket.send(json.dumps({"type": "command", "id": "3", "data": {"name": "look"}}))
        assert (await answer(websocket, "command_result"))["data"]["ok"] is True


async def test_an_unknown_command_is_answered_and_one_without_an_id_is_an_error() -> None:
    async with serving(commands=Handler()) as server, connect(server.url, subprotocols=V1) as websocket:
        await websocket.send(json.dumps({"type": "command", "id": "1", "data": {"name": "fly"}}))
        assert (await answer(websocket, "command_result"))["data"]["error"]["code"] == 1101
        await websocket.send(json.dumps({"type": "command", "data": {"name": "look"}}))
        assert (await answer(websocket, "error"))["data"]["code"] == 1001


# --- enough is enough ----------------------------------------------------------------------------------------------


async def test_a_full_server_says_so() -> None:
    async with serving(pool=ConnectionPool(1)) as server:
        async with connect(server.url) as first:
            async with connect(server.url, subprotocols=V1) as second:
                messages = await said(second)
                assert [message["data"]["code"] for message in messages] == [1106]
                assert second.close_code == 1013
            await (await first.ping())
        await eventually(lambda: not server.clients)
        async with connect(server.url) as third:
            await (await third.ping())


async def test_a_client_that_sends_too_much_is_told_how_long_to_wait() -> None:
    async with serving(limiter=RateLimiter(2, 60)) as server, connect(server.url, subprotocols=V1) as websocket:
        await websocket.send(json.dumps({"type": "resume", "data": {}}))
        await answer(websocket, "snapshot")
        for _ in range(2):
            await websocket.send(json.dumps({"type": "command", "id": "1", "data": {"name": "x"}}))
        unknown, refused = [(await answer(websocket, "command_result"))["data"]["error"] for _ in range(2)]
        assert (unknown["code"], refused["code"]) == (1101, 1003)
        assert 0 < refused["details"]["retry_after_s"] <= 60
        await websocket.send(json.dumps({"type": "chat"}))
        error = (await answer(websocket, "error"))["data"]
        assert error["code"] == 1003
        assert 0 < error["retry_after_s"] <= 60


async def test_errors_without_end_close_the_connection_and_no_other() -> None:
    async with (
        serving(error_handler=ErrorHandler(max_errors=5)) as server,
        connect(server.url, subprotocols=V1) as wild,
        connect(server.url, subprotocols=V1) as calm,
    ):
        for _ in range(20):
            await wild.send("nonsense")
        messages = await said(wild)
        assert {message["type"] for message in messages} >= {"hello", "commands", "error"}
        assert wild.close_code == 1008
        await (await calm.ping())


# --- at the door ---------------------------------------------------------------------------------------------------


async def test_closing_does_not_wait_for_sockets_that_never_spoke() -> None:
    async with serving() as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await eventually(lambda: len(server._admission.connections) == 1)
        began = time.monotonic()
        await server.close()
        assert time.monotonic() - began < 2
        writer.close()


async def test_what_is_no_websocket_is_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "degentcivil_nb"):
        async with serving() as server:
            for nonsense in (b"\x16\x03\x01 no http\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET"):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(nonsense)
                writer.write_eof()
                await reader.read()
                writer.close()
            async with connect(server.url) as websocket:
                await (await websocket.ping())
    assert all(record.levelno == logging.INFO and not record.exc_info for record in caplog.records)


async def test_a_frame_beyond_the_limit_ends_its_connection_with_1009() -> None:
    async with serving(max_message_bytes=10_000) as server, connect(server.url, subprotocols=V1) as websocket:
        await websocket.send("x" * 20_000)
        await said(websocket)
        assert websocket.close_code == 1009


async def test_tokens_never_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving(auth=WebSocketAuth({"s3cr3t-token": "viewer"})) as server:
            for token in ("s3cr3t-token", "s3cr3t-wrong"):
                async with connect(server.url, additional_headers=bearer(token)) as websocket:
                    with suppress(ConnectionClosed):
                        await websocket.send("{}")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("degentcivil_nb")]
    assert ours
    assert not any("s3cr3t" in line for line in ours)
