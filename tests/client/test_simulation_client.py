"""Connecting: the snapshot is there when `open` returns, failures say why, frames are read, commands are sent."""

from __future__ import annotations

import asyncio
import http.server
import logging
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve

from degentcivil_nb.client.failures import explain
from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.command_payloads import Command, CommandResult, CommandSpec, ErrorInfo
from degentcivil_nb.protocol.control_payloads import Heartbeat, Hello, Resumed, RunState, Snapshot
from degentcivil_nb.protocol.errors import CommandError, ConnectFailed, OutcomeUnknown
from degentcivil_nb.protocol.json_text import decode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from tests.support.client_helpers import Collector, following, frame, scripted, serving, stay
from tests.support.waiting import eventually

# --- opening ---------------------------------------------------------------------------------------------------------


async def test_open_returns_when_the_sink_has_the_present() -> None:
    server = SimulationWebSocket(port=0)
    await server.start()
    try:
        for tick in range(30):
            server.publish("state_change", {"character_id": "emma", "new_state": "MOVE"}, tick=tick)
        await eventually(lambda: server.history.head == 30)
        async with following(server.url, history=10) as (client, sink):
            assert sink.of("snapshot")
            await sink.until(lambda: sink.seqs == list(range(21, 31)))
            assert (client.state, client.dialect, client.tick) == ("live", "v1", 29)
            assert client.position == (server.epoch, 30) and client.head == 30
            assert client.run_state == "running" and client.circuit == "closed" and client.uptime_s > 0
    finally:
        await server.close()


async def test_a_snapshot_in_parts_is_waited_for_to_its_last() -> None:
    more = asyncio.Event()

    async def script(websocket: ServerConnection) -> None:
        await websocket.send(frame("hello", Hello("one")))
        await websocket.recv()
        await websocket.send(frame("resumed", Resumed("one", 0, 1)))
        await websocket.send(frame("snapshot", Snapshot(0, 0, last=False)))
        await more.wait()
        await websocket.send(frame("snapshot", Snapshot(0, 1, last=True)))
        await stay(websocket)

    async with scripted(script) as url:
        sink = Collector()
        client = SimulationClient(url, sink=sink)
        opening = asyncio.create_task(client.open())
        await sink.until(lambda: len(sink.messages) == 1)
        assert not opening.done()
        more.set()
        await opening
        assert len(sink.messages) == 2
        await client.close()


async def test_characters_that_nobody_can_read_do_not_keep_a_session_from_opening() -> None:
    async def script(websocket: ServerConnection) -> None:
        await websocket.send(frame("hello", Hello("one")))
        await websocket.recv()
        await websocket.send(frame("resumed", Resumed("one", 0, 1)))
        await websocket.send(frame("snapshot", {"seq": 0, "characters": "all of them"}))
        await stay(websocket)

    async with scripted(script) as url, following(url, timeout=30) as (client, sink):
        assert client.state == "live"
        assert len(sink.messages) == 1  # the store says what is wrong with it


async def test_state_changes_are_announced() -> None:
    seen: list[str] = []
    paused = frame("run_state", RunState("paused", tick=7))
    specs = frame("commands", [CommandSpec("pause")])

    async def then(websocket: ServerConnection) -> None:
        await websocket.recv()
        await websocket.send(paused)
        await websocket.send(specs)

    async with scripted(serving(then)) as url:
        client = SimulationClient(url, on_change=lambda: seen.append(f"{client.state} {client.run_state}"))
        await client.open()
        await client.send("go on")
        await eventually(lambda: client.specs)
        await client.close()
    assert seen == ["connecting running", "live running", "live paused", "live paused", "closed paused"]
    assert client.tick == 7


async def test_a_callback_or_a_sink_that_raises_is_logged_once_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = 0

    def broken(messages: list[RawMessage], received: float, epoch: str | None) -> None:
        nonlocal calls
        calls += 1
        raise ZeroDivisionError("a bug in the store")

    async def then(websocket: ServerConnection) -> None:
        for seq in range(1, 4):
            await websocket.recv()
            await websocket.send(frame("x", seq, seq=seq))

    async with scripted(serving(then)) as url, following(url, sink=broken) as (client, _):
        for seq in range(1, 4):
            await client.send("go on")
            reached = ("one", seq)
            await eventually(lambda: client.position == reached)  # noqa: B023 — awaited at once
        assert client.state == "live"
    assert calls == 4
    assert sum("the sink failed" in record.message for record in caplog.records) == 1


# --- not opening -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["http://localhost:8765", "localhost:8765", "", "ws://", "ws://localhost:99999"])
def test_what_is_no_websocket_url_is_a_value_error(uri: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        SimulationClient(uri)


def test_a_token_is_not_sent_in_the_clear_to_another_machine() -> None:
    with pytest.raises(ConnectFailed, match=r"would be sent to example\.org unencrypted\. Use wss://"):
        SimulationClient("ws://example.org:8765", token="s3cret")


async def fails(url: str, **options: Any) -> ConnectFailed:
    client = SimulationClient(url, **options)
    with pytest.raises(ConnectFailed) as failed:
        await client.open()
    assert client.state == "closed" and client.last_error == str(failed.value)
    await client.close()
    assert "\n" not in str(failed.value)
    return failed.value


async def test_a_refused_connection_says_what_to_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "nothing listens" in str(await fails(f"ws://localhost:{port}"))
    assert "start_local_server" in str(await fails(f"ws://127.0.0.1:{port}"))


async def test_an_unknown_host_is_named() -> None:
    assert "cannot be resolved" in str(await fails("ws://no-such-host.invalid:1"))


@pytest.mark.parametrize(
    ("status", "says", "terminal"),
    [
        (403, "forbids", True),
        (404, "without a WebSocket", True),
        (401, "token=", True),
        (503, "not ready", False),
        (511, "the network requires a login", True),
        (505, "a proxy before it, has failed", True),
    ],
)
async def test_an_http_answer_says_what_it_means(status: int, says: str, terminal: bool) -> None:
    async def refuse(websocket: ServerConnection) -> None:
        raise AssertionError

    async with scripted(refuse, process_request=lambda peer, _: peer.respond(status, "no")) as url:
        failed = await fails(url)
    assert says in str(failed) and failed.terminal is terminal


async def test_a_web_server_is_no_websocket() -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            return

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert "without a WebSocket at this path: HTTP 200" in str(
                await fails(f"ws://127.0.0.1:{server.server_port}")
            )
        finally:
            server.shutdown()
            thread.join()


async def test_something_that_speaks_no_http_is_no_websocket() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        failed = await fails(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert "is not a WebSocket" in str(failed)


async def test_a_wrong_token_says_so_and_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def refuse(websocket: ServerConnection) -> None:
        await websocket.send(frame("error", {"code": 1002, "message": "Invalid token"}))
        await websocket.close(1008, "Invalid token")

    async with scripted(refuse) as url:
        failed = await fails(url, token="s3cret-of-mine")
    assert failed.terminal and "refuses the token" in str(failed) and "token=" in failed.advice
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("degentcivil_nb")]
    assert any("Authorization: (withheld)" in line for line in ours)
    assert not any("s3cret-of-mine" in line for line in [*ours, str(failed)])


async def test_a_timeout_says_how_far_the_attempt_came() -> None:
    async with scripted(stay) as url:  # it completes the handshake, for which the time is ample, and sends no `hello`
        failed = await fails(url, timeout=2)
        assert "its messages did not begin in time" in str(failed) and "stalled" in failed.advice
    with socket.create_server(("127.0.0.1", 0)) as stalled:  # the system accepts, the program does not
        failed = await fails(f"ws://127.0.0.1:{stalled.getsockname()[1]}", timeout=1)
        assert "did not answer the handshake in time" in str(failed) and "host name" not in failed.advice


def test_a_timeout_before_the_connection_names_the_network_and_of_tls_a_stalled_program() -> None:
    failed = explain(TimeoutError(), "ws://far:1")
    assert "no connection to ws://far:1" in str(failed) and "network" in failed.advice
    assert "stalled" in explain(TimeoutError(), "wss://far:1").advice


@pytest.mark.parametrize(
    ("host", "trusted", "says"),
    [("127.0.0.1", False, "not trusted"), ("localhost", True, "another host"), ("127.0.0.1", True, "")],
)
async def test_tls_is_checked_and_refusals_explain_themselves(host: str, trusted: bool, says: str) -> None:
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    if trusted:
        authority.configure_trust(ours)
    server = SimulationWebSocket("127.0.0.1", 0, ssl=theirs)
    await server.start()
    try:
        url = f"wss://{host}:{server.port}"
        if says:
            failed = await fails(url, ssl=ours)
            assert says in str(failed) and failed.terminal
        else:
            async with following(url, ssl=ours) as (client, _):
                assert client.state == "live"
    finally:
        await server.close()


async def test_plain_and_tls_mixed_up_say_so() -> None:
    server = SimulationWebSocket(port=0)
    await server.start()
    try:
        assert "Use ws://" in str(await fails(server.url.replace("ws://", "wss://")))
    finally:
        await server.close()


# --- the peer's clock ------------------------------------------------------------------------------------------------


async def test_heartbeats_tell_lag_and_offset() -> None:
    now = 5000.0

    async def then(websocket: ServerConnection) -> None:
        for late in (0.0, 0.0, 3.0):
            await websocket.send(frame("heartbeat", Heartbeat("one", 0, timestamp=4000.0 - late)))

    async with scripted(serving(then)) as url, following(url, clock=lambda: now) as (client, _):
        await eventually(lambda: client.lag_s is not None and client.lag_s > 0.1)
        assert client.clock_offset_s == pytest.approx(1000.0, abs=0.5)
        assert client.lag_s == pytest.approx(0.6, abs=0.1)


# --- commands --------------------------------------------------------------------------------------------------------


def answering(reply: Callable[[str, Command], str | None]) -> Callable[[ServerConnection], Awaitable[None]]:
    async def then(websocket: ServerConnection) -> None:
        async for text in websocket:
            message = decode(RawMessage, text)
            answer = reply(message.id or "", decode(Command, message.data))
            if answer is not None:
                await websocket.send(answer)

    return serving(then)


async def test_a_command_gives_its_result() -> None:
    def reply(id: str, command: Command) -> str:
        assert command.epoch == "one"
        assert isinstance(command.deadline_s, float)
        assert 0 < command.deadline_s < 10
        return frame("command_result", CommandResult(True, {"name": command.name, **command.arguments}), id=id)

    async with scripted(answering(reply)) as url, following(url) as (client, _):
        results = await asyncio.gather(*(client.request("step", {"ticks": ticks}) for ticks in range(20)))
    assert [result.result for result in results] == [{"name": "step", "ticks": ticks} for ticks in range(20)]


async def test_a_command_that_fails_raises_what_the_server_said() -> None:
    error = ErrorInfo(1104, "no checkpoint was reached", {"advice": "call checkpoint()"}, retryable=True)

    def reply(id: str, _: Command) -> str:
        return frame("command_result", CommandResult(False, None, error), id=id)

    async with scripted(answering(reply)) as url, following(url) as (client, _):
        with pytest.raises(CommandError, match="no checkpoint was reached") as failed:
            await client.request("pause", {})
    assert (failed.value.code, failed.value.details, failed.value.retryable) == (1104, error.details, True)


async def test_a_reply_that_does_not_come_is_an_unknown_outcome_at_the_deadline() -> None:
    async with scripted(answering(lambda *_: None)) as url, following(url) as (client, _):
        started = asyncio.get_running_loop().time()
        with pytest.raises(OutcomeUnknown, match=r"no answer came within 0\.2 s"):
            await client.request("pause", {}, deadline_s=0.2)
        assert asyncio.get_running_loop().time() - started < 1


async def test_replies_that_make_no_sense_are_rows_and_raise_nothing() -> None:
    def reply(id: str, command: Command) -> str:
        good = command.name == "good"
        return frame("command_result", CommandResult(True, 1) if good else "rubbish", id=id)

    async with scripted(answering(reply)) as url, following(url) as (client, sink):
        with pytest.raises(OutcomeUnknown):
            await client.request("bad", {}, deadline_s=0.2)
        assert (await client.request("good", {})).result == 1
        assert len(sink.of("error")) == 1


async def test_arguments_without_a_json_form_are_refused_before_they_are_sent() -> None:
    async with scripted(serving(stay)) as url, following(url) as (client, _):
        with pytest.raises(CommandError, match="cannot be written as JSON") as refused:
            await client.request("give", {"what": object()})
    assert refused.value.code == CommandError.INVALID_ARGUMENTS


async def test_closing_ends_what_is_under_way_and_takes_no_more() -> None:
    asked = asyncio.Event()
    async with scripted(answering(lambda *_: asked.set())) as url, following(url) as (client, _):
        waiting = asyncio.create_task(client.request("pause", {}))
        await asked.wait()
        await client.close()
        with pytest.raises(OutcomeUnknown, match="the connection was closed"):
            await waiting
        with pytest.raises(CommandError, match="was not sent"):
            await client.request("pause", {})
        await client.close()
        assert client.state == "closed"


async def test_a_server_in_our_own_words_serves_the_same_client() -> None:
    """The library's server is a peer like any other: nothing here needs our own."""
    async with serve(stay, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with following(f"ws://127.0.0.1:{port}") as (client, _):
            assert client.dialect == "unknown" and client.state == "live"


@pytest.mark.parametrize(
    ("capabilities", "asked_s", "sent"),
    [(["no_deadline"], None, "none"), ([], None, 3600), (["no_deadline"], 7200, "none"), ([], 7200, 3600)],
)
async def test_no_deadline_is_told_to_servers_that_know_it_and_the_longest_to_others(
    capabilities: list[str], asked_s: float | None, sent: object
) -> None:
    heard: list[object] = []

    async def serve_commands(websocket: ServerConnection) -> None:
        hello = Hello("one", capabilities=capabilities)
        await websocket.send(frame("hello", hello))
        await websocket.send(frame("resumed", Resumed("one", 0, 1)))
        await websocket.send(frame("snapshot", Snapshot(0)))
        async for text in websocket:
            message = decode(RawMessage, text)
            if message.type == "command":
                heard.append(decode(Command, message.data).deadline_s)
                await websocket.send(frame("command_result", CommandResult(True), id=message.id))

    async with scripted(serve_commands) as url, following(url) as (client, _):
        await client.request("step", {}, deadline_s=asked_s)
    assert heard == [sent]
