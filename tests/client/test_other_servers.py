"""Servers other than ours: their restarts and messages lose no event, no character and no notice."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

import degentcivil_nb as dc
from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.codec import decode_frames
from degentcivil_nb.protocol.control_payloads import Gap, Hello, Resume, Resumed, Snapshot
from degentcivil_nb.protocol.errors import ConnectFailed
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.protocol.receiver import StreamReceiver
from degentcivil_nb.server.peers.v1_peer import SUBPROTOCOL
from tests.support.client_helpers import following, frame, greet, scripted, stay
from tests.support.dialect_servers import CHARACTERS, GameServer, GuideServer
from tests.support.waiting import eventually


def read(text: str | bytes) -> RawMessage:
    (message,) = decode_frames([text])
    return message


# --- their JSON ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["NaN", "-NaN", "nan", "Infinity", "-Infinity", "+Infinity", "inf", "-inf"])
def test_a_number_that_json_does_not_have_is_null(number: str) -> None:
    message = read(f'{{"type":"x","data":{{"a":[1,{number},{{"b": {number} }}],"NaN":"NaN, \\"{number}"}}}}')
    assert message.payload() == {"a": [1, None, {"b": None}], "NaN": f'NaN, "{number}'}


def test_all_else_stays_as_it_was_written() -> None:
    message = read('{"type":"x","data":{"n":NaN,"big":123456789012345678901234567890,"f":1.10,"t":"\\u00e9\\\\"}}')
    assert bytes(message.data) == b'{"n":null,"big":123456789012345678901234567890,"f":1.10,"t":"\\u00e9\\\\"}'


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ('"1970-01-01T00:01:00Z"', 60.0),
        ('"1970-01-01T01:01:00+01:00"', 60.0),
        ('"1970-01-01T00:01:00"', 60.0),  # without a zone it is UTC, whatever the machine's zone
        ('"1970-01-01 00:01:00.5"', 60.5),
        ('"1970-01-02"', 86400.0),
        ('"60.5"', 60.5),
        ("60", 60.0),
        ("null", None),
        ("NaN", None),
    ],
)
def test_a_time_is_read_in_each_usual_form(time: str, seconds: float | None) -> None:
    message = read(f'{{"type":"x","timestamp":{time}}}')
    assert (message.type, message.timestamp) == ("x", seconds)


def test_a_count_with_a_point_an_id_that_is_a_number_and_a_bom_are_read() -> None:
    message = read(b'\xef\xbb\xbf{"type":"x","tick":5.0,"seq":7.0,"id":12,"data":{"money":5.0}}')
    assert (message.tick, message.seq, message.id) == (5, 7, "12")
    assert bytes(message.data) == b'{"money":5.0}'
    assert read('\ufeff{"type":"x"}').type == "x"


@pytest.mark.parametrize("text", ["NaN", "[NaN]", '{"type":5,"tick":5}', '{"tick":5.5}', "\ufeff"])
def test_what_makes_no_sense_even_so_is_an_error_that_shows_it_as_it_came(text: str) -> None:
    message = read(text)
    assert message.type == "error" and message.payload()["code"] == 1001
    assert message.payload()["excerpt"] == text


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("tick", "5.5", "`tick` of a x is not a whole number from 0 on: 5.5; the key was left out and kept as"),
        ("tick", '"noon"', '`tick` of a x is not a whole number from 0 on: "noon"; the key was left out; the'),
        ("tick", "-1", "`tick` of a x is not a whole number from 0 on: -1"),
        ("tick", "true", "`tick` of a x"),
        ("timestamp", '"soon"', '`timestamp` of a x is not a time: "soon"'),
        ("timestamp", "[1]", "`timestamp` of a x is not a time: [1]"),
        ("seq", "0", "`seq` of a x is not a whole number from 1 on: 0"),
        ("id", '{"a":1}', '`id` of a x is not a text: {"a":1}'),
    ],
)
def test_an_odd_key_of_an_envelope_costs_itself_and_not_the_message(key: str, value: str, said: str) -> None:
    text = f'{{"type":"x","{key}":{value},"data":{{"money":NaN}}}}'
    for sent in (text, text.encode(), f'{{"type":"batch","data":[{text}]}}'):
        message, *errors = decode_frames([sent])
        assert (message.type, message.payload()) == ("x", {"money": None})
        assert message.sim_time == (float(value) if value in ("5.5", "-1") else None)
        assert [error.payload()["message"][: len(said)] for error in errors] == [said]


def test_numbers_written_as_text_are_numbers() -> None:
    message = read('{"type":"x","timestamp":"60.5","tick":" 5.0 ","id":5.0}')
    assert (message.timestamp, message.tick, message.id) == (60.5, 5, "5")


def test_one_message_of_a_batch_costs_none_of_its_neighbours() -> None:
    items = '{"type":"a","seq":1},{"type":"b","seq":2.0,"data":NaN},{"type":"c","seq":3,"timestamp":"1970-01-01"}'
    messages = decode_frames([f'{{"type":"batch","data":[{items}]}}'])
    assert [(message.type, message.seq) for message in messages] == [("a", 1), ("b", 2), ("c", 3)]


def test_reading_junk_takes_time_in_proportion_to_its_length() -> None:
    for piece in (b'\\"', b'"', b"NaN", b"-inf,", b"\\", b'"\\'):
        assert read(b'{"type":"x","data":[' + piece * 400_000).type == "error"


def test_a_town_with_a_nan_is_a_town() -> None:
    rows: list[Any] = [{**CHARACTERS[0], "money": float("nan")}, {**CHARACTERS[1], "health": np.inf}, None, 7]
    with GameServer(characters=rows) as server, dc.connect(server.url) as session:
        session.send("start")
        session.wait_for("character_update_llm", after=-1)
        town = session.characters()
        assert list(town.index) == ["Emma", "Li"] and list(town["age"]) == [31, 45]
        assert town["money"].isna().tolist() == [True, False]
        assert len(session.errors()) == 0


@pytest.mark.parametrize("listed", ["by id", "in an object"])
def test_characters_and_places_may_stand_in_an_object(listed: str) -> None:
    people = {"emma": {"money": 3, "state": "IDLE", "name": "Emma"}, "li": {"money": 4, "location": "Park"}, "n": 2}
    places = {"7": {"name": "Cafe", "x": 1}, "Park": {"x": 2}}
    rows = [{"character_id": key, **one} for key, one in people.items() if isinstance(one, dict)]
    with GuideServer() as server, dc.connect(server.url) as session:
        server.send("all_characters", people if listed == "by id" else {"characters": rows, "count": 2})
        server.send("all_buildings", places if listed == "by id" else {"buildings": list(places.values())})
        session.wait_for("all_buildings", after=-1)
        town = session.characters()
        assert list(town.index) == ["emma", "li"] and list(town["money"]) == [3, 4]
        assert town["state"].iloc[0] == "IDLE" and town["location"].iloc[1] == "Park"
        found = session.places()
        assert list(found["name"])[:1] == ["Cafe"] and len(found) == (2 if listed == "by id" else 1)
        assert len(session.errors()) == 0
        assert session.payload(0) == (people if listed == "by id" else {"characters": rows, "count": 2})


def test_a_character_is_told_by_whatever_names_it() -> None:
    people: list[Any] = [{"name": "Emma", "id": 4}, {"id": 5, "state": "MOVE"}, {"id": "li"}, {"character_id": 6}]
    with GuideServer() as server, dc.connect(server.url) as session:
        server.send("all_characters", people)
        session.wait_for("all_characters", after=-1)
        assert list(session.characters().index) == ["Emma", "5", "li", "6"]
        assert session.characters()["state"]["5"] == "MOVE"


def test_payloads_may_carry_iso_times_and_counts_with_a_point() -> None:
    now = "2026-01-31T12:00:05+00:00"
    with GuideServer() as server, dc.connect(server.url) as session:
        change = {"character_id": "emma", "new_state": "MOVE", "timestamp": now}
        call = {"character_id": "emma", "prompt_type": "PLAN", "prompt_tokens": 12.0, "completion_tokens": 3.0}
        for type, data in {
            "state_change": change,
            "event_notification": {"event_type": "trade", "data": {"price": 3}, "timestamp": now},
            "llm_call": call,
            "error": {"code": 1004.0, "message": "late"},
        }.items():
            server.send_text(json.dumps({"type": type, "data": data, "timestamp": now}))
        session.wait_for("error", after=-1)
        events = session.events()
        assert list(events["type"]) == ["state_change", "event_notification", "llm_call", "error"]
        assert {str(time) for time in events["time"]} == {"2026-01-31 12:00:05+00:00"}
        assert list(session.errors()["code"]) == [1004]
        assert list(session.llm_calls()["prompt_tokens"]) == [12]
        assert session.payload(int(events.index[0])) == change


# --- another version -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (2, "Install a newer degentcivil-nb here"),
        (7.0, "Install a newer degentcivil-nb here"),
        (0, "Install a newer degentcivil-nb where the simulation runs"),
        ("1.1", "version 1.1 of the protocol"),
    ],
)
async def test_a_greeting_of_another_version_is_refused_with_what_to_install(version: Any, says: str) -> None:
    async def script(websocket: ServerConnection) -> None:
        hello = {"epoch": ["not", "as", "in", "1"], "protocol": version, "server": {"name": "town", "version": "9.1"}}
        await websocket.send(frame("hello", hello))
        await stay(websocket)

    async with scripted(script) as url:
        client = SimulationClient(url)
        with pytest.raises(ConnectFailed, match=f"town 9.1.*{says}"):
            await client.open()
        await client.close()


# --- the same epoch, and not the same stream -------------------------------------------------------------------------


async def test_the_same_epoch_with_a_smaller_head_is_a_restart() -> None:
    asked: list[dict[str, Any]] = []

    async def before(websocket: ServerConnection) -> None:
        await greet(websocket)
        for seq in range(1, 6):
            await websocket.send(frame("old", seq, seq=seq))
        await websocket.recv()
        websocket.transport.abort()

    async def after(websocket: ServerConnection) -> None:
        await websocket.send(frame("hello", Hello("one", head=3)))
        asked.append(json.loads(await websocket.recv())["data"])
        await websocket.send(frame("resumed", Resumed("one", 3, 2)))
        await websocket.send(frame("snapshot", Snapshot(3)))
        for seq in range(2, 5):
            await websocket.send(frame("new", seq, seq=seq))
        await stay(websocket)

    async with scripted(before, after) as url, following(url) as (client, sink):
        await sink.until(lambda: len(sink.seqs) == 5)
        await client.send("go on")
        await sink.until(lambda: len(sink.of("new")) == 3)
        await eventually(lambda: client.state == "live")
        assert sink.gaps == [Gap("one", 6, None, "restart"), Gap("one", 1, 1, "window")]
        assert client.position == ("one", 4) and client.duplicates == 0
    assert [(one["history"], "epoch" in one, "seq" in one) for one in asked] == [(3, False, False)]


async def test_a_server_without_seqs_in_the_place_of_one_with_them_is_a_gap() -> None:
    async def ours(websocket: ServerConnection) -> None:
        await greet(websocket)
        await websocket.send(frame("x", 1, seq=1))
        await websocket.close(1012)

    async def the_guides(websocket: ServerConnection) -> None:
        await websocket.send('{"type":"x","data":2,"timestamp":5.0}')
        await stay(websocket)

    def choose(connection: ServerConnection, offered: Any) -> Subprotocol | None:
        return SUBPROTOCOL if not served and SUBPROTOCOL in offered else None

    served: list[ServerConnection] = []

    async def handle(websocket: ServerConnection) -> None:
        served.append(websocket)
        await (ours if len(served) == 1 else the_guides)(websocket)

    async with serve(handle, "127.0.0.1", 0, select_subprotocol=choose) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with following(f"ws://127.0.0.1:{port}") as (client, sink):
            await sink.until(lambda: len(sink.of("x")) == 2)
            assert sink.gaps == [Gap(None)]
            assert client.dialect == "guide" and client.run_state is None and client.tick is None


def test_a_restart_that_is_cut_before_its_answer_is_still_one() -> None:
    receiver = StreamReceiver(position=("one", 5))
    for _ in range(2):
        receiver.cut()
        receiver.accept(decode_frames([frame("hello", Hello("one", head=2))]))
        assert receiver.resume_request() == Resume(None, None, 2)
    assert receiver.gaps == 1 and receiver.position == ("one", 0)
    receiver.cut()
    receiver.accept(decode_frames([frame("hello", Hello("two", head=9))]))
    assert receiver.resume_request() == Resume("one", 0)


async def test_a_recorded_position_beyond_the_head_is_a_restart_too() -> None:
    async def script(websocket: ServerConnection) -> None:
        await greet(websocket, head=0)
        await websocket.send(frame("x", 1, seq=1))
        await stay(websocket)

    async with scripted(script) as url, following(url, position=("one", 50)) as (client, sink):
        await sink.until(lambda: sink.seqs == [1])
        assert sink.gaps == [Gap("one", 51, None, "restart")]
        assert client.state == "live"
