"""The guide's publishers reach every client, and a broken client costs the others nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.asyncio.client import connect

from degentcivil_nb.protocol.errors import WebSocketError
from degentcivil_nb.protocol.messages import WebSocketMessage
from degentcivil_nb.server import publishers
from degentcivil_nb.server.publishers import CharacterStatePublisher, EventNotifier
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket


def character(**attributes: Any) -> SimpleNamespace:
    return SimpleNamespace(
        **{"id": "emma", "state_name": "MOVE", "location": SimpleNamespace(name="Park"), **attributes}
    )


class Client:
    def __init__(self) -> None:
        self.got: list[WebSocketMessage] = []

    async def send(self, text: str) -> None:
        self.got.append(WebSocketMessage.from_json(text))


class Broken(Client):
    async def send(self, text: str) -> None:
        raise RuntimeError("closed long ago")


class Stalled(Client):
    async def send(self, text: str) -> None:
        await asyncio.Event().wait()


class Broadcaster:
    """Anything with a broadcast method."""

    def __init__(self) -> None:
        self.told: list[WebSocketMessage] = []

    def broadcast_message(self, message: WebSocketMessage) -> None:
        self.told.append(message)


class Crier(Broadcaster):
    """One whose method has the shorter name, and is a coroutine."""

    broadcast_message = None  # type: ignore[assignment]

    async def broadcast(self, message: WebSocketMessage) -> None:
        self.told.append(message)


async def test_anything_with_a_broadcast_method_will_do_and_what_can_tell_nobody_is_named() -> None:
    for server in (Broadcaster(), Crier()):
        await EventNotifier(server).notify_event("trade", 3)
        assert server.told[0].data["data"] == 3
    with pytest.raises(TypeError, match="NoneType cannot publish: it has no broadcast_message"):
        EventNotifier(None)


async def test_a_character_s_state_is_told_from_the_guide_s_attributes() -> None:
    broadcaster = Broadcaster()
    await CharacterStatePublisher(broadcaster, clock=lambda: 5.0).publish_state_change(character())
    assert broadcaster.told == [
        WebSocketMessage(
            "state_change", {"character_id": "emma", "new_state": "MOVE", "location": "Park", "timestamp": 5.0}, 5.0
        )
    ]


@pytest.mark.parametrize(("location", "told"), [(None, None), ("Café", "Café"), (SimpleNamespace(name=None), None)])
async def test_a_location_may_be_missing_or_plain(location: object, told: str | None) -> None:
    broadcaster = Broadcaster()
    await CharacterStatePublisher(broadcaster).publish_state_change(character(id=7, location=location))
    assert broadcaster.told[0].data["location"] == told
    assert broadcaster.told[0].data["character_id"] == 7


async def test_what_is_no_character_is_named_as_such() -> None:
    with pytest.raises(WebSocketError, match=r"not a character.*state_name"):
        await CharacterStatePublisher(Broadcaster()).publish_state_change(SimpleNamespace(id=1))


async def test_an_event_is_told() -> None:
    broadcaster = Broadcaster()
    await EventNotifier(broadcaster, clock=lambda: 5.0).notify_event("trade", {"price": 3})
    assert broadcaster.told[0].type == "event_notification"
    assert broadcaster.told[0].data == {"event_type": "trade", "data": {"price": 3}, "timestamp": 5.0}


async def test_a_broken_or_stalled_client_costs_no_other_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishers, "_PATIENCE_S", 0.05)
    healthy = [Client(), Client(), Client()]
    server = SimpleNamespace(clients={healthy[0], Broken(), healthy[1], Stalled(), healthy[2]})
    await asyncio.wait_for(EventNotifier(server).notify_event("trade", None), 5)
    await CharacterStatePublisher(server).publish_state_change(character())
    assert [[message.type for message in client.got] for client in healthy] == [
        ["event_notification", "state_change"]
    ] * 3


async def test_a_client_that_leaves_meanwhile_changes_nothing() -> None:
    clients: set[Client] = set()

    class Leaving(Client):
        async def send(self, text: str) -> None:
            clients.discard(self)
            await super().send(text)

    members = [Leaving(), Leaving()]
    clients.update(members)
    await EventNotifier(SimpleNamespace(clients=clients)).notify_event("trade", 1)
    assert all(member.got for member in members)


async def test_data_without_a_json_form_is_the_caller_s_error() -> None:
    with pytest.raises(WebSocketError, match="JSON"):
        await EventNotifier(SimpleNamespace(clients={Client()})).notify_event("trade", object())


async def test_they_publish_through_the_real_server() -> None:
    server = SimulationWebSocket("127.0.0.1", 0, heartbeat_s=0.05)
    await server.start()
    try:
        async with connect(server.url) as client:
            await asyncio.wait_for(client.recv(), 5)  # a heartbeat: it is served
            await CharacterStatePublisher(server).publish_state_change(character())
            await EventNotifier(server).notify_event("trade", {"price": 3})
            heard: list[WebSocketMessage] = []
            while len(heard) < 2:
                message = WebSocketMessage.from_json(await asyncio.wait_for(client.recv(), 5))
                heard += [message] * (message.type != "heartbeat")
    finally:
        await server.close()
    assert [message.type for message in heard] == ["state_change", "event_notification"]
    assert heard[0].data["new_state"] == "MOVE"
