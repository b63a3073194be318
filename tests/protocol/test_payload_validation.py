"""Every field of every message is checked where it arrives: what is wrong costs one answer or one row, and no more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.command_payloads import Command, CommandResult, CommandSpec
from degentcivil_nb.protocol.errors import ConnectFailed
from degentcivil_nb.server.peers.error_handler import ErrorHandler
from degentcivil_nb.store.event_store import EventStore
from tests.support.client_helpers import greet, scripted, stay
from tests.support.server_helpers import V1, serving, v1
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_task_left")

TEXT: list[Any] = [1, ["a"], {"a": 1}, True]
WHOLE: list[Any] = ["7", 1.5, [1], True, 10**30]
NUMBER: list[Any] = ["now", [1], True]
MOMENT: list[Any] = [[1], True]
"""Text is none of them: other servers write times as text, and the envelope's timestamp is what counts."""
OBJECT: list[Any] = ["a", 1, [1]]
LIST: list[Any] = ["a", 1, {"a": 1}]
ID: list[Any] = [1.5, ["emma"], {"a": 1}, True]
IDS: list[Any] = [1.5, [1.5], {"a": 1}, True]
MISSING = object()

# --- what a server takes -------------------------------------------------------------------------------------------

ENVELOPE: dict[str, list[Any]] = {
    "type": [*TEXT, None, MISSING],
    "timestamp": NUMBER,
    "seq": [*WHOLE, 0, -1],
    "tick": [*WHOLE, -1],
    "id": TEXT,
}
ASKED: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "resume": (
        {"epoch": None, "seq": None},
        {
            "epoch": TEXT,
            "seq": [*WHOLE, -1],
            "history": [*WHOLE, -1],
            "types": [*LIST, [1]],
            "characters": [*LIST, [1]],
        },
    ),
    "command": (
        {"name": "pause"},
        {
            "name": [*TEXT, None, MISSING],
            "arguments": OBJECT,
            "epoch": TEXT,
            "deadline_s": [*NUMBER, 0, -1],
        },
    ),
}


def spoilt(good: dict[str, Any], bad: dict[str, list[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for field, values in bad.items():
        for value in values:
            changed = {**good, field: value}
            if value is MISSING:
                del changed[field]
            yield field, changed


class Handler:
    def __init__(self) -> None:
        self.taken: list[Command] = []

    def specs(self) -> list[CommandSpec]:
        return [CommandSpec("pause")]

    def submit(self, id: str, command: Command, role: str, reply: Any) -> None:
        self.taken.append(command)
        reply(CommandResult(True))


async def answer(client: V1, frame: dict[str, Any]) -> tuple[int, str]:
    await client.websocket.send(json.dumps(frame))
    said = (await client.until(lambda message: message.type in ("error", "command_result")))[-1].payload()
    error = said.get("error") or said
    return error["code"], error["message"]


async def test_a_server_names_the_field_that_is_wrong_and_serves_on() -> None:
    handler = Handler()
    async with serving(commands=handler, error_handler=ErrorHandler(max_errors=10_000)) as server, v1(server) as client:
        checked = 0
        for field, frame in spoilt({"type": "command", "data": {"name": "pause"}, "id": "x"}, ENVELOPE):
            code, said = await answer(client, frame)
            assert code == 1001, frame
            assert field in said, (frame, said)
            checked += 1
        for type, (good, bad) in ASKED.items():
            for field, data in spoilt(good, bad):
                code, said = await answer(client, {"type": type, "data": data, "id": f"c{checked}"})
                assert code in (1001, 1102), (data, said)
                assert field in said, (data, said)
                checked += 1
        assert handler.taken == []
        await client.send("resume", {"epoch": None, "seq": None})
        await client.until_type("snapshot")  # nothing of all that was taken for a resume
        await client.send("command", {"name": "pause"}, id="good")
        assert (await client.until_type("command_result"))[-1].payload() == {"ok": True, "head": 0}
    assert checked > 60


# --- what a client takes -------------------------------------------------------------------------------------------

CHARACTER = {"character_id": "emma"}
TOLD: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "state_change": (
        {**CHARACTER, "new_state": "MOVE"},
        {
            "character_id": [*ID, None, MISSING],
            "new_state": [*TEXT, None, MISSING],
            "location": TEXT,
            "timestamp": MOMENT,
            "previous_state": TEXT,
        },
    ),
    "character_update": (CHARACTER, {"character_id": [*ID, None, MISSING]}),
    "event_notification": (
        {"event_type": "trade"},
        {
            "event_type": [*TEXT, None, MISSING],
            "timestamp": MOMENT,
            "character_id": ID,
            "id": ID,
            "cause": IDS,
        },
    ),
    "error": (
        {"code": 1004, "message": "planner failed"},
        {
            "code": [*WHOLE, None, MISSING],
            "message": [*TEXT, None, MISSING],
            "character_id": ID,
            "traceback": TEXT,
        },
    ),
    "llm_call": (
        {**CHARACTER, "prompt": "p"},
        {
            "character_id": ID,
            "prompt_type": TEXT,
            "model": TEXT,
            "prompt_tokens": WHOLE,
            "completion_tokens": WHOLE,
            "latency_s": NUMBER,
            "cost_usd": NUMBER,
            "error": TEXT,
            "id": ID,
            "cause": IDS,
        },
    ),
}
CONTROL: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "hello": ({"epoch": "one"}, {"epoch": [*TEXT, MISSING], "head": WHOLE, "run_state": TEXT, "heartbeat_s": NUMBER}),
    "resumed": (
        {"epoch": "one", "from": 1, "head": 0},
        {"epoch": TEXT, "from": WHOLE, "head": WHOLE, "recovered": [1]},
    ),
    "gap": ({"epoch": "one", "from": 1, "to": 2}, {"epoch": TEXT, "from": WHOLE, "to": WHOLE, "reason": TEXT}),
    "heartbeat": (
        {"epoch": "one"},
        {"epoch": TEXT, "head": WHOLE, "tick": WHOLE, "run_state": TEXT, "timestamp": NUMBER},
    ),
    "snapshot": (
        {"seq": 0},
        {"seq": WHOLE, "part": WHOLE, "last": [1], "characters": [*LIST, [1], [{"character_id": 1.5}]]},
    ),
    "run_state": ({"state": "running"}, {"state": [*TEXT, MISSING], "reason": TEXT, "tick": WHOLE, "head": WHOLE}),
    "commands": ([], {}),
}


async def test_a_client_keeps_what_is_wrong_as_one_row_and_stays_live() -> None:
    store = EventStore()
    frames: asyncio.Queue[str] = asyncio.Queue()

    async def script(websocket: ServerConnection) -> None:
        async def send() -> None:
            while True:
                await websocket.send(await frames.get())

        await greet(websocket, heartbeat_s=60)
        sending = asyncio.create_task(send())
        await stay(websocket)
        sending.cancel()

    async with scripted(script) as url, AsyncExitStack() as closing:
        client = SimulationClient(url, sink=store.append)
        await client.open()
        closing.push_async_callback(client.close)
        seq, checked = 0, 0

        async def check(frame: dict[str, Any], sequenced: bool) -> None:
            nonlocal seq, checked
            if sequenced:
                seq += 1
                frame["seq"] = seq
            frames.put_nowait(json.dumps(frame))
            seq += 1
            frames.put_nowait(json.dumps({"type": "mark", "seq": seq, "data": seq}))
            checked += 1
            try:
                await eventually(lambda: client.position == ("one", seq))
            except AssertionError:
                raise AssertionError(f"stuck at {frame}: {client.state}, {client.position}") from None
            assert store.stats().errors == checked, frame
            assert client.state == "live", frame
            assert len(store.gaps()) == 0, frame

        for type, (good, bad) in TOLD.items():
            for _, data in spoilt(good, bad):
                await check({"type": type, "data": data, "timestamp": 1.0}, True)
        for type, (good, bad) in CONTROL.items():
            for _, data in spoilt(good, bad):
                await check({"type": type, "data": data}, False)
        for nonsense in ("a", 1, {"a": 1}, [{"name": 1}], [1]):
            await check({"type": "commands", "data": nonsense}, False)
        for field, frame in spoilt({"type": "event_notification", "data": {"event_type": "a"}}, ENVELOPE):
            number_as_id = field == "id" and isinstance(frame["id"], int)  # other servers number their messages
            number_as_text = field == "tick" and frame["tick"] == "7"
            if not number_as_id and not number_as_text and (field != "seq" or frame["seq"] is not None):
                await check(frame, False)
        assert set(store.errors()["code"]) - {1001} <= {1004}
        assert checked > 150


async def test_a_server_whose_greeting_makes_no_sense_is_named_as_such() -> None:
    async def script(websocket: ServerConnection) -> None:
        await websocket.send('{"type":"hello","data":{"epoch":7}}')
        await stay(websocket)

    async with scripted(script) as url:
        client = SimulationClient(url, timeout=5)
        with pytest.raises(ConnectFailed, match=r"does not understand.*same version"):
            await client.open()
        await client.close()
