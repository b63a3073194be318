"""The guide's way of writing servers and clients, part by part, against the package: it runs, without its bugs."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from degentcivil_nb import (
    CharacterStatePublisher,
    ConnectFailed,
    ConnectionMonitor,
    ConnectionPool,
    ErrorHandler,
    EventNotifier,
    MessageBatcher,
    MessageTypes,
    RateLimiter,
    SimulationClient,
    SimulationWebSocket,
    WebSocketAuth,
    WebSocketDebugger,
    WebSocketError,
    WebSocketMessage,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_task_left")

EMMA = SimpleNamespace(id="emma", state_name="BARGAIN", location=SimpleNamespace(name="Market"))


@asynccontextmanager
async def started(server: SimulationWebSocket) -> AsyncIterator[SimulationWebSocket]:
    """Serve by `start_server`, as the guide's main program does."""
    main = asyncio.create_task(server.start_server())
    await eventually(lambda: server.port)
    try:
        yield server
    finally:
        await server.close()
        await asyncio.wait_for(main, 5)


async def present(server: SimulationWebSocket, number: int = 1) -> None:
    await eventually(lambda: len(server.clients) == number)


async def heard(client: ClientConnection, number: int) -> list[dict[str, Any]]:
    """Read as the guide does: a loop over `recv` and `json.loads`."""
    messages: list[dict[str, Any]] = []
    while len(messages) < number:
        message = json.loads(await asyncio.wait_for(client.recv(), 5))
        if message["type"] != MessageTypes.HEARTBEAT:
            messages.append(message)
    return messages


class Diary(SimulationClient):
    """A client with a handler of its own."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.entries: list[dict[str, Any]] = []
        self.written = asyncio.Event()

    async def handle_message(self, message: dict[str, Any]) -> None:
        if message["type"] != MessageTypes.HEARTBEAT:
            self.entries.append(message)
            self.written.set()


# --- server and client -------------------------------------------------------------------------------------------


async def test_a_state_is_published_to_a_plain_websockets_client() -> None:
    async with started(SimulationWebSocket(port=0)) as server, websockets.connect(server.url) as client:
        await present(server)
        await CharacterStatePublisher(server).publish_state_change(EMMA)
        (message,) = await heard(client, 1)
        told = message["data"]
        assert message["type"] == "state_change"
        assert (told["character_id"], told["new_state"], told["location"]) == ("emma", "BARGAIN", "Market")
        assert isinstance(message["timestamp"], float)
        await EventNotifier(server).notify_event("trade", {"price": 3})
        (event,) = await heard(client, 1)
        assert (event["type"], event["data"]["event_type"]) == ("event_notification", "trade")
        assert event["data"]["data"] == {"price": 3}


async def test_a_subclass_handles_what_clients_send() -> None:
    class Market(SimulationWebSocket):
        async def handle_messages(self, websocket: ServerConnection) -> None:
            async for text in websocket:
                order = WebSocketMessage.from_json(text)
                await self.broadcast_message(WebSocketMessage("event_notification", {"event_type": order.type}))

    async with (
        started(Market(port=0)) as server,
        websockets.connect(server.url) as one,
        websockets.connect(server.url) as other,
    ):
        await present(server, 2)
        await one.send(WebSocketMessage("buy", {"price": 3}).to_json())
        for client in (one, other):
            assert (await heard(client, 1))[0]["data"] == {"event_type": "buy"}


async def test_a_subclass_may_still_ask_for_the_path() -> None:
    paths: list[str] = []

    class Old(SimulationWebSocket):
        async def handle_connection(self, websocket: ServerConnection, path: str) -> None:  # type: ignore[override]
            paths.append(path)
            await super().handle_connection(websocket, path)

    async with started(Old(port=0)) as server, websockets.connect(f"{server.url}/town?speed=2") as client:
        await present(server)
        await server.broadcast_message(WebSocketMessage("a", 1))
        assert (await heard(client, 1))[0]["data"] == 1
    assert paths == ["/town?speed=2"]


async def test_a_subclass_may_take_its_clients_in_all_by_itself() -> None:
    class Whole(SimulationWebSocket):
        async def handle_connection(self, websocket: ServerConnection, path: str | None = None) -> None:
            self.clients.add(websocket)
            try:
                await self.handle_messages(websocket)
            finally:
                self.clients.remove(websocket)

    async with started(Whole(port=0)) as server, websockets.connect(server.url) as client:
        await present(server)
        await client.send("anything")
        await CharacterStatePublisher(server).publish_state_change(EMMA)
        assert (await heard(client, 1))[0]["data"]["new_state"] == "BARGAIN"


@pytest.mark.parametrize("with_path", [False, True])
async def test_one_s_own_serve_takes_its_handler_with_or_without_a_path(with_path: bool) -> None:
    server = SimulationWebSocket()

    async def handler(websocket: ServerConnection) -> None:
        await (server.handle_connection(websocket, "/") if with_path else server.handle_connection(websocket))

    async with websockets.serve(handler, "127.0.0.1", 0) as serving:
        port = next(iter(serving.sockets)).getsockname()[1]
        async with websockets.connect(f"ws://127.0.0.1:{port}") as client:
            await present(server)
            await server.broadcast_message(WebSocketMessage("a", 1))
            assert (await heard(client, 1))[0]["data"] == 1
        await present(server, 0)
        await server.close()


async def test_a_client_gets_dicts_until_the_server_ends() -> None:
    async with started(SimulationWebSocket(port=0)) as server:
        client = Diary(server.url)
        assert client.websocket is None
        await client.connect()
        receiving = asyncio.create_task(client.receive_updates())
        await present(server)
        await server.broadcast_message(WebSocketMessage("character_update", {"character_id": "emma", "money": 3}))
        await asyncio.wait_for(client.written.wait(), 5)
        assert client.entries[0]["data"] == {"character_id": "emma", "money": 3}
        assert not receiving.done()
        await server.close()
        await asyncio.wait_for(receiving, 5)
        assert client.websocket is None


async def test_a_handler_may_be_a_plain_function_put_on_the_client() -> None:
    async with started(SimulationWebSocket(port=0)) as server:
        client, seen = SimulationClient(server.url), asyncio.Queue[dict[str, Any]]()
        client.handle_message = seen.put_nowait  # type: ignore[method-assign, assignment]
        receiving = asyncio.create_task(client.receive_updates())  # connects by itself
        await present(server)
        await eventually(lambda: client.state == "live")  # the server knows of it first
        await client.send("hello there")  # no message of ours: the server says so, and goes on
        said = await asyncio.wait_for(seen.get(), 5)
        while said["type"] == MessageTypes.HEARTBEAT:
            said = await asyncio.wait_for(seen.get(), 5)
        assert (said["type"], said["data"]["code"]) == ("error", WebSocketError.INVALID_MESSAGE)
        await client.close()
        await asyncio.wait_for(receiving, 5)


async def test_a_client_follows_a_server_of_one_s_own_and_survives_its_mistakes() -> None:
    async def town(websocket: ServerConnection) -> None:
        await websocket.send(WebSocketMessage("state_change", {"character_id": "emma"}).to_json())
        await websocket.send("{broken")
        await websocket.send(b"\xff\xfe")
        await websocket.send(json.dumps({"type": "batch", "data": [{"type": "a", "data": 1}, {"type": "b"}]}))

    async with websockets.serve(town, "127.0.0.1", 0) as serving:
        client = Diary(f"ws://127.0.0.1:{next(iter(serving.sockets)).getsockname()[1]}")
        await client.connect()
        await asyncio.wait_for(client.receive_updates(), 5)
    assert [entry["type"] for entry in client.entries] == ["state_change", "error", "error", "a", "b"]
    assert [entry["data"]["code"] for entry in client.entries[1:3]] == [1001, 1001]


async def test_one_reconnects_in_a_loop_of_one_s_own() -> None:
    first = SimulationWebSocket("127.0.0.1", 0)
    await first.start()
    client, connected = Diary(first.url), 0

    async def follow() -> None:
        nonlocal connected
        while connected < 2:
            try:
                await client.connect()
            except ConnectFailed:
                await asyncio.sleep(0.02)  # as a user's loop would
                continue
            connected += 1
            await client.receive_updates()

    following = asyncio.create_task(follow())
    await present(first)
    await first.close()
    second = SimulationWebSocket("127.0.0.1", first.port)
    await second.start()
    await present(second)
    await second.broadcast_message(WebSocketMessage("again", 1))
    await asyncio.wait_for(client.written.wait(), 5)
    await second.close()
    await asyncio.wait_for(following, 5)
    assert client.entries[0]["type"] == "again"


async def test_who_connects_again_leaves_the_first_connection_and_receives_on_the_new_one() -> None:
    class Restless(Diary):
        async def handle_message(self, message: dict[str, Any]) -> None:
            await super().handle_message(message)
            if len(self.entries) == 1:
                await self.connect()  # in the handler, where it receives

    async with started(SimulationWebSocket(port=0)) as server:
        monitor = ConnectionMonitor()
        client = Restless(server.url)
        client._monitor = monitor
        await client.connect()
        receiving = asyncio.create_task(client.receive_updates())
        await present(server)
        first = client.websocket
        await server.broadcast_message(WebSocketMessage("a", 1))
        await eventually(lambda: client.websocket not in (first, None))
        await present(server)
        await server.broadcast_message(WebSocketMessage("b", 2))
        await eventually(lambda: len(client.entries) >= 2)
        assert [entry["type"] for entry in client.entries] == ["a", "b"]
        assert monitor.metrics["active_connections"] == 1
        await client.close()
        await asyncio.wait_for(receiving, 5)
        assert monitor.metrics["active_connections"] == 0


async def test_a_client_says_in_its_own_words_what_cannot_be_sent_and_why_it_was_refused() -> None:
    server = SimulationWebSocket(port=0, auth=WebSocketAuth({"open sesame": "viewer"}))
    async with started(server):
        refused = SimulationClient(server.url)
        await refused.receive_updates()
        assert "refuses the token: Invalid token. Pass as token=" in str(refused.last_error)
        client = SimulationClient(server.url, token="open sesame")
        await client.connect()
        with pytest.raises(TypeError, match="text or a WebSocketMessage"):
            await client.send({"type": "a"})  # type: ignore[arg-type]
        await server.close()
        assert client.websocket is not None
        await client.websocket.wait_closed()
        with pytest.raises(ConnectFailed, match=r"was lost\. connect\(\) again"):
            await client.send("anything")
        await client.close()


# --- publishers on anything with clients -----------------------------------------------------------------------------


class Broken:
    async def send(self, text: str) -> None:
        raise ConnectionResetError("gone")


async def test_a_broken_client_among_healthy_ones_costs_nobody_a_message() -> None:
    town = SimpleNamespace(clients=set())

    async def join(websocket: ServerConnection) -> None:
        town.clients.add(websocket)
        await websocket.wait_closed()

    async with websockets.serve(join, "127.0.0.1", 0) as serving:
        url = f"ws://127.0.0.1:{next(iter(serving.sockets)).getsockname()[1]}"
        clients = [await websockets.connect(url) for _ in range(4)]
        await eventually(lambda: len(town.clients) >= 4)
        town.clients.add(Broken())
        await clients[0].close()  # and one that has left while it is still in the set
        await CharacterStatePublisher(town).publish_state_change(EMMA)
        await EventNotifier(town).notify_event("trade", None)
        for client in clients[1:]:
            assert [message["type"] for message in await heard(client, 2)] == ["state_change", "event_notification"]
            await client.close()


# --- the other parts, as a user's server puts them together ----------------------------------------------------------


class Fortress:
    """A server in the guide's manner: pool, auth, limiter, errors, batches, metrics and a debugger, by hand."""

    def __init__(self) -> None:
        self.pool = ConnectionPool()
        self.pool.max_connections = 2
        self.auth = WebSocketAuth()
        self.auth.tokens["open sesame"] = {"name": "emma"}
        self.limiter = RateLimiter(max_messages=3, window_seconds=60)
        self.errors = ErrorHandler()
        self.batcher = MessageBatcher(max_size=2)
        self.monitor = ConnectionMonitor()
        self.debugger = WebSocketDebugger(enabled=True)

    async def handle(self, websocket: ServerConnection) -> None:
        if not await self.auth.authenticate(websocket, str(await websocket.recv())):
            return
        name = str(websocket.id)
        try:
            await self.pool.add_connection(name, websocket)
        except WebSocketError as full:
            await self.errors.handle_error(websocket, full)
            return
        self.monitor.update_metrics("total_connections")
        self.monitor.update_metrics("active_connections")
        try:
            async for text in websocket:
                self.monitor.update_metrics("messages_received")
                await self.debugger.log_message("received", text)
                try:
                    await self.limiter.check_rate_limit(name)
                    batch = await self.batcher.add_message(WebSocketMessage.from_json(text))
                    if batch is not None:
                        await websocket.send(batch.to_json())
                        self.monitor.update_metrics("messages_sent")
                except WebSocketError as error:
                    self.monitor.update_metrics("errors")
                    await self.errors.handle_error(websocket, error)
        except ConnectionClosed:
            pass
        finally:
            self.monitor.update_metrics("active_connections", -1)
            await self.pool.remove_connection(name)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with websockets.serve(self.handle, "127.0.0.1", 0) as server:
            yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@asynccontextmanager
async def let_in(url: str, token: str = "open sesame") -> AsyncIterator[ClientConnection]:
    async with websockets.connect(url) as client:
        await client.send(token)
        yield client


async def test_who_has_no_token_is_closed_with_1008() -> None:
    fortress = Fortress()
    async with fortress.serving() as url, let_in(url, "please") as client:
        (refusal,) = await heard(client, 1)
        await client.wait_closed()
    assert refusal["data"] == {"code": WebSocketError.AUTH_FAILED, "message": "Invalid token"}
    assert (client.close_code, client.close_reason) == (1008, "Invalid token")
    assert fortress.auth.is_valid_token("open sesame")
    assert not fortress.auth.is_valid_token("please")


async def test_a_full_pool_says_so_and_has_room_again_later() -> None:
    fortress = Fortress()
    async with fortress.serving() as url:
        async with let_in(url), let_in(url):
            await eventually(lambda: len(fortress.pool.connections) >= 2)
            async with let_in(url) as third:
                assert (await heard(third, 1))[0]["data"]["code"] == WebSocketError.CAPACITY
        await eventually(lambda: not fortress.pool.connections)


async def test_batches_limits_errors_and_counters_work_together() -> None:
    fortress = Fortress()
    async with fortress.serving() as url, let_in(url) as client:
        for text in ('{"type":"a","data":1}', '{"type":"b","data":2}', "{", '{"type":"c"}'):
            await client.send(text)
        batch, broken, limited = await heard(client, 3)
        assert [message["data"] for message in batch["data"]] == [1, 2]
        assert broken["data"]["code"] == WebSocketError.INVALID_MESSAGE
        assert limited["data"]["code"] == WebSocketError.RATE_LIMIT
        assert 0 < limited["data"]["retry_after_s"] <= 60
        figures = fortress.monitor.get_metrics()
        assert (figures["total_connections"], figures["active_connections"]) == (1, 1)
        assert (figures["messages_received"], figures["messages_sent"], figures["errors"]) == (4, 1, 2)
    assert await fortress.batcher.flush() is None


async def test_what_waits_in_a_batcher_is_flushed_and_an_empty_one_gives_nothing() -> None:
    batcher = MessageBatcher(max_size=100, max_wait=1.0)
    assert await batcher.add_message(WebSocketMessage("a", 1)) is None
    flushed = await batcher.flush()
    assert flushed is not None
    assert json.loads(flushed.to_json())["data"][0]["data"] == 1
    assert (await batcher.flush(), batcher.batch) == (None, [])


async def test_a_debugger_writes_the_traffic_in_a_task_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fortress = Fortress()
    writing = asyncio.create_task(fortress.debugger.process_logs())
    async with fortress.serving() as url, let_in(url) as client:
        await client.send('{"type":"login","data":{"token":"open sesame"}}')
        await eventually(lambda: "login" in caplog.text)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert "open sesame" not in caplog.text
    assert list(fortress.debugger.frames()["type"]) == ["login"]


async def test_an_exception_of_one_s_own_is_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await ErrorHandler().handle_error(websocket, ZeroDivisionError("a secret of the model"))

    async with websockets.serve(handler, "127.0.0.1", 0) as serving:
        url = f"ws://127.0.0.1:{next(iter(serving.sockets)).getsockname()[1]}"
        async with websockets.connect(url) as client:
            (told,) = await heard(client, 1)
    assert told["data"]["code"] == WebSocketError.SERVER_ERROR
    assert "secret" not in str(told)
    assert "a secret of the model" in caplog.text  # whole, for whoever runs the server


def test_messages_and_errors_in_the_guide_s_words() -> None:
    message = WebSocketMessage(MessageTypes.STATE_CHANGE, {"character_id": "emma"})
    assert WebSocketMessage.from_json(message.to_json()) == message
    told = WebSocketError.create_error_message(WebSocketError.RATE_LIMIT, "slow down")
    assert (told.type, told.data["code"], told.data["message"]) == ("error", 1003, "slow down")
    with pytest.raises(WebSocketError, match="slow down"):
        raise WebSocketError(WebSocketError.RATE_LIMIT, "slow down")
