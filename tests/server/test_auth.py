"""Tokens: they admit, carry a role, expire, and are never shown."""

from __future__ import annotations

import asyncio
import hmac
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from degentcivil_nb.monitoring.connection_monitor import ConnectionMonitor
from degentcivil_nb.protocol.commands import allows
from degentcivil_nb.protocol.json_text import decode
from degentcivil_nb.protocol.messages import WebSocketMessage
from degentcivil_nb.server.entrance.auth import Token, WebSocketAuth, bearer_token
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket

SECRET = "s3cret-of-the-town"
IN_A_HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)


class Guarded:
    """A server as the guide writes one: it authenticates first and then waits."""

    def __init__(self, auth: WebSocketAuth) -> None:
        self.auth = auth
        self.live: list[ServerConnection] = []
        self.let_in = asyncio.Event()

    async def handle(self, websocket: ServerConnection) -> None:
        assert websocket.request is not None
        if not await self.auth.authenticate(websocket, bearer_token(websocket.request.headers)):
            return
        self.live.append(websocket)
        self.let_in.set()
        await websocket.wait_closed()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with serve(self.handle, "127.0.0.1", 0) as server:
            yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def knock(url: str, token: str | None) -> connect:
    return connect(url, additional_headers=None if token is None else {"Authorization": f"Bearer {token}"})


async def farewell(client: ClientConnection) -> tuple[list[Any], int | None, str | None]:
    """Read until the end: everything that was said, and the close."""
    said = []
    try:
        async with asyncio.timeout(5):  # in all: heartbeats may come without end
            while True:
                said.append(decode(Any, await client.recv()))
    except ConnectionClosed:
        return said, client.close_code, client.close_reason


@pytest.mark.parametrize("token", [None, "wrong", SECRET[:-1], SECRET + "x", SECRET.upper(), ""])
async def test_a_bad_token_hears_1002_and_1008_and_nothing_else(token: str | None) -> None:
    server = Guarded(WebSocketAuth({SECRET: "debugger"}))
    async with server.serving() as url, knock(url, token) as client:
        said, code, reason = await farewell(client)
    assert [(message["type"], message["data"]) for message in said] == [
        ("error", {"code": 1002, "message": "Invalid token"})
    ]
    assert (code, reason) == (1008, "Invalid token")
    assert server.live == []


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_the_real_server_says_nothing_to_a_bad_token_either(token: str | None) -> None:
    server = SimulationWebSocket("127.0.0.1", 0, auth=WebSocketAuth({SECRET: "debugger"}))
    await server.start()
    try:
        async with knock(server.url, token) as client:
            said, code, reason = await farewell(client)
    finally:
        await server.close()
    assert [message["data"]["code"] for message in said] == [1002]
    assert (code, reason) == (1008, "Invalid token")


@pytest.mark.parametrize("end", ["revoke", "expire", "delete"])
async def test_the_real_server_ends_a_session_whose_token_ends(end: str) -> None:
    now = [0.0]
    auth = WebSocketAuth({SECRET: Token("viewer", expires=100.0)}, clock=lambda: now[0])
    server = SimulationWebSocket("127.0.0.1", 0, auth=auth, heartbeat_s=0.1)
    await server.start()
    try:
        async with knock(server.url, SECRET) as client:
            await asyncio.wait_for(client.recv(), 5)  # a heartbeat: it is served
            if end == "revoke":
                auth.revoke(SECRET)
            elif end == "expire":
                now[0] = 100.0
            else:
                del auth.tokens[SECRET]
            said, code, _ = await farewell(client)
    finally:
        await server.close()
    assert said[-1]["data"] == {"code": 1002, "message": "Invalid token"}
    assert code == 1008


class TakesAllIn(SimulationWebSocket):
    """As the guide's server: its own `handle_connection` asks nobody for anything."""

    async def handle_connection(self, websocket: ServerConnection, path: str | None = None) -> None:
        self.clients.add(websocket)
        try:
            await self.handle_messages(websocket)
        finally:
            self.clients.discard(websocket)


async def test_a_subclass_that_takes_clients_in_by_itself_is_guarded_all_the_same() -> None:
    monitor = ConnectionMonitor()
    auth = WebSocketAuth({SECRET: "viewer"})
    server = TakesAllIn("127.0.0.1", 0, auth=auth, monitor=monitor)
    await server.start()
    try:
        async with knock(server.url, SECRET) as client, knock(server.url, "wrong") as refused:
            said, code, _ = await farewell(refused)
            assert ([message["data"]["code"] for message in said], code) == ([1002], 1008)
            await server.broadcast_message(WebSocketMessage("a", 1))
            assert WebSocketMessage.from_json(await asyncio.wait_for(client.recv(), 5)).data == 1
            assert len(server.clients) == 1
            auth.revoke(SECRET)
            assert (await farewell(client))[1] == 1008
    finally:
        await server.close()
    assert monitor.metrics["refused"] == 1


async def test_a_token_that_has_expired_allows_nothing_even_before_anybody_has_looked() -> None:
    now = [0.0]
    auth = WebSocketAuth({SECRET: Token("debugger", expires=10.0)}, clock=lambda: now[0])
    server = SimulationWebSocket("127.0.0.1", 0, auth=auth, heartbeat_s=0.1)
    await server.start()
    try:
        async with knock(server.url, SECRET) as client:
            await asyncio.wait_for(client.recv(), 5)  # a heartbeat: it is served
            (peer,) = server._peers.values()
            assert peer.role == "debugger"
            now[0] = 10.0
            assert not allows(peer.role, "viewer")
    finally:
        await server.close()


async def test_a_revoked_token_ends_its_live_connections_from_any_thread() -> None:
    server = Guarded(WebSocketAuth({SECRET: "debugger", "other": "viewer"}))
    async with server.serving() as url, knock(url, SECRET) as client, knock(url, "other") as other:
        while len(server.live) < 2:
            await server.let_in.wait()
            server.let_in.clear()
        ended: list[int] = []
        thread = threading.Thread(target=lambda: ended.append(server.auth.revoke(SECRET)))
        thread.start()
        _, code, _ = await farewell(client)
        thread.join()
        assert (ended, code) == ([1], 1008)
        await asyncio.wait_for(await other.ping(), 5)  # nobody else has noticed
        assert server.auth.revoke(SECRET) == 0


async def test_a_check_ends_what_has_expired_and_only_that() -> None:
    now = [0.0]
    server = Guarded(WebSocketAuth({SECRET: Token("viewer", expires=10.0)}, clock=lambda: now[0]))
    async with server.serving() as url, knock(url, SECRET) as client:
        await server.let_in.wait()
        assert server.auth.check() == 0
        now[0] = 10.0
        assert server.auth.role_on(server.live[0]) is None  # at once, whatever the close still takes
        assert server.auth.check() == 1
        _, code, reason = await farewell(client)
    assert (code, reason) == (1008, "Invalid token")


async def test_a_role_lowered_in_mid_session_is_lowered_at_once() -> None:
    server = Guarded(WebSocketAuth({SECRET: "debugger"}))
    async with server.serving() as url, knock(url, SECRET):
        await server.let_in.wait()
        (live,) = server.live
        assert server.auth.role_on(live) == "debugger"
        server.auth.tokens[SECRET] = Token("viewer")
        assert server.auth.role_on(live) == "viewer"


async def test_a_peer_that_vanishes_while_it_is_refused_raises_nothing() -> None:
    class Gone:
        async def send(self, text: str) -> None:
            raise ConnectionClosedError(None, None)

    assert not await WebSocketAuth({SECRET: "viewer"}).authenticate(Gone(), "wrong")


@pytest.mark.parametrize("token", ["first", "last", "none of them", ""])
def test_a_token_is_compared_with_all_of_them_whichever_it_is(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    seen: list[tuple[bytes, bytes]] = []
    compare: Callable[[bytes, bytes], bool] = hmac.compare_digest

    def counting(a: bytes, b: bytes) -> bool:
        seen.append((a, b))
        return compare(a, b)

    auth = WebSocketAuth(dict.fromkeys(("first", "second", "third", "last"), "viewer"))
    monkeypatch.setattr(hmac, "compare_digest", counting)
    auth.is_valid_token(token)
    assert len(seen) == 4
    assert {len(part) for pair in seen for part in pair} == {32}  # digests: no length tells anything


def test_the_guide_s_own_use() -> None:
    auth = WebSocketAuth()
    assert not auth.is_valid_token("abc")  # no tokens let nobody in
    auth.tokens["abc"] = {"user": 1}
    assert "abc" in auth.tokens
    assert auth.is_valid_token("abc")
    assert auth.role_of("abc") == "viewer"  # what is no role grants the least
    assert not auth.is_valid_token(None)


def test_a_misspelt_role_is_refused_and_so_is_an_empty_token() -> None:
    with pytest.raises(ValueError, match="'debuger' is not a role; use one of viewer, debugger"):
        WebSocketAuth({SECRET: "debuger"})
    with pytest.raises(ValueError, match="not empty"):
        WebSocketAuth({"": "viewer"})


async def test_a_token_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "degentcivil_nb")
    auth = WebSocketAuth({SECRET: "debugger"})
    shown = [repr(auth), repr(auth.tokens), str(auth.tokens), f"{auth.tokens}"]
    server = Guarded(auth)
    async with server.serving() as url, knock(url, SECRET) as client, knock(url, SECRET[:-1]) as refused:
        await server.let_in.wait()
        await farewell(refused)
        auth.revoke(SECRET)
        await farewell(client)
    assert not any(SECRET[:-1] in text for text in [*shown, caplog.text])
    assert "is refused" in caplog.text


@given(IN_A_HEADER)
def test_any_header_is_read_or_refused(text: str) -> None:
    headers = Headers()
    headers["Authorization"] = text
    token = bearer_token(headers)
    assert token is None or (token in text and text.strip().lower().startswith("bearer "))


@pytest.mark.parametrize(
    ("values", "token"),
    [
        (["Bearer abc"], "abc"),
        (["bearer   abc "], "abc"),
        (["Bearer"], None),
        (["Bearer "], None),
        (["Bearer a b"], None),
        (["Basic abc"], None),
        (["abc"], None),
        ([], None),
        (["Bearer abc", "Bearer def"], None),
    ],
)
def test_the_bearer_s_header(values: list[str], token: str | None) -> None:
    headers = Headers()
    for value in values:
        headers["Authorization"] = value
    assert bearer_token(headers) == token


@given(st.text())
def test_any_text_is_no_valid_token(text: str) -> None:
    assert not WebSocketAuth({SECRET: "viewer"}).is_valid_token(text)


def test_a_plain_dict_of_tokens_is_refused_with_advice_before_anybody_comes() -> None:
    with pytest.raises(TypeError, match=r"WebSocketAuth\(\{token: 'viewer'\}\), not dict"):
        SimulationWebSocket("127.0.0.1", 0, auth={SECRET: "viewer"})
