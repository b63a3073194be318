"""Redirects, proxies and overloaded gateways between client and server: named in errors, and survived."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import itertools
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers

from degentcivil_nb.client import connecting
from degentcivil_nb.client.failures import MAX_RETRY_AFTER_S, explain, retry_after
from degentcivil_nb.client.frame_connection import FrameConnection
from degentcivil_nb.client.received_connection import ReceivedConnection
from degentcivil_nb.client.redirects import redirect_target
from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.client.status_line import StatusLine
from degentcivil_nb.protocol.errors import ConnectFailed
from tests.support.client_helpers import following, frame, greet, scripted, stay
from tests.support.waiting import eventually


async def first_cut(websocket: ServerConnection) -> None:
    await greet(websocket)
    await websocket.recv()
    websocket.transport.abort()


async def read_until(websocket: ServerConnection) -> None:
    await greet(websocket)
    await stay(websocket)


async def fails(url: str, **options: Any) -> str:
    client = SimulationClient(url, **options)
    with pytest.raises(ConnectFailed) as failed:
        await client.open()
    await client.close()
    return str(failed.value)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# --- a session that was live -----------------------------------------------------------------------------------------


async def test_a_back_off_that_fails_ends_the_session_loudly_and_a_person_can_start_it_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        scripted(first_cut, read_until) as url,
        following(url, delays=lambda: iter(())) as (client, _),
    ):
        await client.send("go on")
        await asyncio.wait_for(client.run(), 5)
        assert client.state == "closed" and "ended with an error" in str(client.last_error)
        assert any(record.exc_info for record in caplog.records)
        await client.reconnect()
        assert client.state == "live"


async def test_an_attempt_that_fails_in_a_way_nobody_foresaw_is_one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(first_cut, read_until) as url, following(url) as (client, _):
        failures = itertools.count()
        introduce = client._connections._start_stream

        async def sometimes(connection: Any) -> None:
            if next(failures) < 2:
                raise ZeroDivisionError("a bug of ours")
            await introduce(connection)

        monkeypatch.setattr(client._connections, "_start_stream", sometimes)
        await client.send("go on")
        await eventually(lambda: client.reconnects == 1)
        assert client.state == "live" and next(failures) == 3


async def test_an_error_1002_of_the_simulation_is_no_refusal_of_the_token() -> None:
    async def script(websocket: ServerConnection) -> None:
        for type in ("state_change", "error"):
            data = {
                "character_id": "emma",
                "new_state": "MOVE",
                "code": 1002,
                "message": "no such login",
            }
            await websocket.send(frame(type, data))
        await websocket.recv()
        websocket.transport.abort()

    async with scripted(script, stay, v1=False) as url, following(url) as (client, sink):
        await sink.until(lambda: len(sink.messages) == 2)
        await client.send("go on")
        await eventually(lambda: client.reconnects == 1)
        assert client.state == "live"


async def test_an_error_1002_before_the_end_ends_it() -> None:
    async def refuse(websocket: ServerConnection) -> None:
        await websocket.send(frame("error", {"code": 1002, "message": "revoked"}))
        await websocket.close(1000)

    async with scripted(first_cut, refuse) as url, following(url) as (client, _):
        await client.send("go on")
        await asyncio.wait_for(client.run(), 5)
        assert client.state == "closed" and "refuses the token: revoked" in str(client.last_error)


# --- Retry-After -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_whoever_asks_for_time_is_given_it(form: str) -> None:
    asked: list[float] = []

    def busy(peer: ServerConnection, _: Any) -> Any:
        asked.append(time.monotonic())
        if len(asked) not in (2, 3):
            return None
        response = peer.respond(503, "later")
        now = time.time()
        del response.headers["Date"]
        response.headers["Date"] = email.utils.formatdate(now - 7200, usegmt=True)  # a clock that is off does no harm
        response.headers["Retry-After"] = (
            "1" if form == "seconds" else email.utils.formatdate(now - 7200 + 1, usegmt=True)
        )
        return response

    async with scripted(first_cut, read_until, process_request=busy) as url, following(url) as (client, _):
        await client.send("go on")
        await eventually(lambda: client.reconnects == 1)
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert len(waits) == 3 and min(waits[1:]) >= 0.99


@pytest.mark.parametrize("kind", [FrameConnection, ReceivedConnection])
@pytest.mark.parametrize("cut", [len(b"HTTP/1."), len(b"HTTP/1.0 50"), None])
async def test_a_web_server_of_http_1_0_is_understood(
    kind: type[FrameConnection], cut: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 30\r\n\r\nlater"
        writer.write(head[:cut])
        await writer.drain()
        await asyncio.sleep(0.02)  # so that the rest, if any, is a read of its own
        writer.write(head[len(head[:cut]) :])
        writer.close()

    monkeypatch.setattr(connecting, "CONNECTION", kind)
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        said = await fails(f"ws://127.0.0.1:{port}")
    assert "HTTP 503. Wait for 30 s, as the server asks" in said


@pytest.mark.parametrize(
    ("pieces", "passed"),
    [
        ((b"HTTP/1.0 404 no\r\n", b"HTTP/1.0 "), b"HTTP/1.1 404 no\r\nHTTP/1.0 "),
        (tuple(b"HTTP/1.0 302 x"[at : at + 1] for at in range(14)), b"HTTP/1.1 302 x"),
        ((b"HTTP/1.0 101 x",), b"HTTP/1.0 101 x"),
        ((b"HTTP/1.1 503", b" x"), b"HTTP/1.1 503 x"),
        ((b"S", b"SH-2.0"), b"SSH-2.0"),
        ((b"HTTP/1.0", b""), b""),
    ],
)
def test_only_a_refusal_of_http_1_0_is_rewritten(pieces: tuple[bytes, ...], passed: bytes) -> None:
    line = StatusLine()
    assert b"".join([line.read(piece) for piece in pieces]) == passed


async def test_a_first_attempt_says_how_long_it_is_asked_to_wait() -> None:
    def busy(peer: ServerConnection, _: Any) -> Any:
        response = peer.respond(429, "later")
        response.headers["Retry-After"] = "30"
        return response

    async with scripted(stay, process_request=busy) as url:
        assert "Wait for 30 s, as the server asks" in await fails(url)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "9" * 5000}, MAX_RETRY_AFTER_S),
        ({"Retry-After": "86400"}, MAX_RETRY_AFTER_S),
        ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:30 GMT"}, 20.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:30 -0000", "Date": "Thu, 01 Jan 1970 00:00:25 GMT"}, 5.0),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, MAX_RETRY_AFTER_S),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_to_stay_away(headers: dict[str, str], seconds: float | None) -> None:
    now = 10.0 if "9999" in str(headers) or "1970" in str(headers) else 1e9
    assert retry_after(Headers(headers), lambda: now) == seconds


# --- redirects -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "location", "target"),
    [
        ("ws://town:8001/ws", "/ws/", "ws://town:8001/ws/"),
        ("ws://town:8001/ws", "http://town:8001/ws/", "ws://town:8001/ws/"),
        ("ws://town:8001/ws", "http://town/ws/", "ws://town:8001/ws/"),  # the port that it has inside
        ("wss://town/ws", "http://town:8080/ws/", "wss://town/ws/"),  # TLS ends before it
        ("ws://town/ws/?room=1", "http://town/ws", "ws://town/ws?room=1"),
        ("ws://town/ws", "https://town/ws/", "wss://town/ws/"),
        ("ws://town/", "ws", "ws://town/ws"),
        ("ws://town/ws", "//other/ws/#there", "ws://other/ws/"),
        ("ws://town/ws?room=1", "/other", "ws://town/other"),
    ],
)
def test_where_a_redirect_leads(uri: str, location: str, target: str) -> None:
    assert redirect_target(uri, location) == target


def redirecting(location: Callable[[ServerConnection], str]) -> Callable[[ServerConnection, Any], Any]:
    """Redirect each request for `/ws`."""

    def process(peer: ServerConnection, request: Any) -> Any:
        if request.path != "/ws":
            return None
        response = peer.respond(307, "")
        response.headers["Location"] = location(peer)
        return response

    return process


def its_place(peer: ServerConnection) -> str:
    return f"127.0.0.1:{peer.local_address[1]}"


@pytest.mark.parametrize("location", ["/ws/", "http://{}/ws/", "ws://{}/ws/"])
async def test_a_slash_is_added_and_the_token_kept(location: str) -> None:
    tokens: list[str | None] = []

    async def serve(websocket: ServerConnection) -> None:
        tokens.append(websocket.request.headers.get("Authorization") if websocket.request else None)
        await read_until(websocket)

    process = redirecting(lambda peer: location.format(its_place(peer)))
    async with (
        scripted(serve, process_request=process) as url,
        following(f"{url}/ws", token="s3cret") as (client, _),
    ):
        assert client.state == "live"
    assert tokens == ["Bearer s3cret"]


async def test_a_token_is_not_taken_to_another_place() -> None:
    async with scripted(read_until) as other:
        process = redirecting(lambda _: f"{other}/elsewhere?secret=1")
        async with scripted(read_until, process_request=process) as url:
            said = await fails(f"{url}/ws", token="s3cret")
            assert f"redirects to {other}/elsewhere, and the token is not sent" in said
            async with following(f"{url}/ws") as (client, _):  # without one it is followed
                assert client.state == "live"


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("/login?next=%2Fws", "/login) is a web server without a WebSocket at this path: HTTP 200"),
        ("ftp://127.0.0.1/", "not a WebSocket address"),
        ("http://[x", "not a WebSocket address"),
        ("http://127.0.0.1:99999/", "not a WebSocket address"),
    ],
)
async def test_a_redirect_to_no_websocket_is_no_mistake_in_the_url(location: str, says: str) -> None:
    def process(peer: ServerConnection, request: Any) -> Any:
        if request.path.startswith("/login"):
            return peer.respond(200, "Who are you?")
        return redirecting(lambda _: location)(peer, request)

    async with scripted(stay, process_request=process) as url:
        assert says in await fails(f"{url}/ws")


# --- proxies ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy", "socks_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return lambda proxy: monkeypatch.setenv("https_proxy", proxy)


@contextlib.asynccontextmanager
async def proxy_that_says(answer: bytes) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("head", [b"X: y\r\n" * 1_000, b"X: " + b"y" * 100_000], ids=["many", "long"])
async def test_a_program_whose_headers_do_not_end_is_no_websocket(head: bytes) -> None:
    async with proxy_that_says(b"HTTP/1.1 200 OK\r\n" + head) as place:
        said = await fails(f"ws://{place}")
    assert f"ws://{place} is not a WebSocket" in said
    assert "another program listens on it" in said


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        ("proxy.example:3128", "does not begin with one of http://"),
        ("proxy.example", "does not begin with one of http://"),
        ("http://proxy.example:many", "Port could not be cast"),
        ("http://proxy.example:99999", "Port out of range"),
        ("http://:3128", "it names no host"),
        ("http://[proxy", "Invalid IPv6 URL"),
        ("ftp://proxy.example", "does not begin with one of http://"),
        ("http://proxy.example/path", "text after host and port"),
        ("http://me@proxy.example", "without a password"),
        ("http://me:s3cret@proxy.example:many", "Port could not be cast"),
        (f"http://{'a' * 70}.example", "too long"),
    ],
)
async def test_a_malformed_proxy_is_named_with_what_is_wrong(
    proxied: Callable[[str], None], proxy: str, says: str
) -> None:
    proxied(proxy)
    said = await fails("ws://sim.invalid:8765/ws")
    assert says in said and "set in https_proxy cannot be used" in said and "NO_PROXY=sim.invalid" in said
    assert "s3cret" not in said and "me" not in said.split(" set in https_proxy")[0].removeprefix("the proxy")[:20]


@pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h"])
async def test_a_socks_proxy_says_which_package_is_missing(proxied: Callable[[str], None], scheme: str) -> None:
    proxied(f"{scheme}://me:s3cret@127.0.0.1:1080")
    said = await fails("ws://sim.invalid:8765/ws")
    assert f"the proxy {scheme}://127.0.0.1:1080" in said and "pip install python-socks" in said


async def test_a_refusing_proxy_is_the_proxy_and_not_the_server(proxied: Callable[[str], None]) -> None:
    port = free_port()
    proxied(f"http://me:s3cret@127.0.0.1:{port}")
    said = await fails("ws://sim.invalid:8765/ws")
    assert said.startswith(f"nothing listens at the proxy http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refuses to connect to ws://sim.invalid:8765/ws: HTTP 403"),
        (b"HTTP/1.1 407 Who\r\n\r\n", "requires a user name and a password"),
        (b"220 mail\r\n\r\n", "refuses to connect to ws://sim.invalid:8765/ws"),
        (b"", "refuses to connect to ws://sim.invalid:8765/ws"),
    ],
)
async def test_what_a_proxy_answers_is_the_proxy_s(proxied: Callable[[str], None], answer: bytes, says: str) -> None:
    async with proxy_that_says(answer) as place:
        proxied(f"http://{place}")
        said = await fails("ws://sim.invalid:8765/ws")
        assert said.startswith(f"the proxy http://{place}") and says in said


async def test_an_unknown_proxy_is_named(proxied: Callable[[str], None]) -> None:
    proxied("http://proxy.invalid:3128")
    assert "the host name of the proxy http://proxy.invalid:3128 cannot be resolved" in await fails(
        "ws://sim.invalid:8765/ws"
    )


async def test_this_machine_needs_no_proxy(proxied: Callable[[str], None]) -> None:
    proxied("nonsense")
    async with scripted(read_until) as url, following(url) as (client, _):
        assert client.state == "live"


# --- the words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [61, 111, 10061, 1225])
def test_a_refusal_is_known_by_its_type_on_every_system(number: int) -> None:
    refused = ConnectionRefusedError(number, "Connect call failed ('127.0.0.1', 8765)")
    assert "nothing listens at ws://localhost:8765" in str(explain(refused, "ws://localhost:8765"))


async def test_a_refused_name_with_several_addresses_is_refused_whatever_the_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    loop = asyncio.get_running_loop()

    async def folded(*_: object, **__: object) -> None:
        raise OSError(f"Multiple exceptions: [Errno 61] Connect call failed ('::1', {port}), [WinError 1225] no")

    monkeypatch.setattr(loop, "create_connection", folded)  # as it looks on another system
    assert "nothing listens" in await fails(f"ws://localhost:{port}")


@pytest.mark.parametrize(
    "uri", ["ws://town/#part", f"ws://{'a' * 70}/", "ws://a..b/", "ws://[::1", "ws://town:many/", "wss://"]
)
def test_a_mistake_in_the_url_is_found_before_anything_is_tried(uri: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        SimulationClient(uri)
