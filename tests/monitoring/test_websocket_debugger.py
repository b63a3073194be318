"""The traffic can be looked at: bounded, switched while things run, filtered, and without its secrets."""

from __future__ import annotations

import asyncio
import io
import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from degentcivil_nb.core.redaction import WITHHELD, redacted
from degentcivil_nb.monitoring.websocket_debugger import UNREADABLE, WebSocketDebugger
from degentcivil_nb.protocol.messages import WebSocketMessage
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from tests.support.waiting import eventually

SECRET = "s3cret-of-the-town"


async def test_the_guide_s_own_use(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "degentcivil_nb")
    debugger = WebSocketDebugger()
    await debugger.log_message("sent", WebSocketMessage("event_notification", 1))
    assert len(debugger.frames()) == 0
    debugger.enabled = True
    writing = asyncio.create_task(debugger.process_logs())
    await debugger.log_message("sent", WebSocketMessage("event_notification", {"price": 3}))
    await eventually(lambda: bool(caplog.records))
    writing.cancel()
    assert "event_notification" in caplog.text
    assert "price" in caplog.text


def test_it_is_switched_at_run_time_and_filtered_by_type_peer_and_direction() -> None:
    debugger = WebSocketDebugger(clock=lambda: 5.0)
    debugger.record("sent", b'{"type":"hello"}', "1")
    debugger.enabled = True
    debugger.record("sent", b'{"type":"hello"}', "1")
    debugger.record("received", '{"type":"resume"}', "1")
    debugger.record("sent", b'{"type":"batch","data":[]}', "2")
    debugger.enabled = False
    debugger.record("sent", b'{"type":"hello"}', "1")
    frame = debugger.frames()
    assert list(frame["type"]) == ["hello", "resume", "batch"]
    assert list(frame.columns) == ["time", "direction", "peer", "type", "bytes", "text"]
    assert frame["time"].iloc[0].timestamp() == 5.0
    assert list(debugger.frames(type="resume")["peer"]) == ["1"]
    assert list(debugger.frames(peer="2")["type"]) == ["batch"]
    assert list(debugger.frames(direction="sent", last=1)["type"]) == ["batch"]
    assert debugger.frames(type="nothing").empty
    debugger.clear()
    assert debugger.frames().empty


def test_it_is_bounded_in_frames_and_bytes() -> None:
    debugger = WebSocketDebugger(True, max_frames=10, max_bytes=1_000, max_frame_bytes=200)
    for number in range(100):
        debugger.record("sent", f'{{"type":"a","data":{number}}}', "1")
    assert debugger.statistics().frames == 10
    assert list(debugger.frames().index) == list(range(91, 101))
    debugger.record("sent", '{"type":"b","data":"' + "x" * 1_000_000 + '"}', "1")
    last = debugger.frames(last=1).iloc[0]
    assert (last["type"], last["bytes"], len(last["text"])) == ("b", 1_000_022, 201)
    for _ in range(20):
        debugger.record("sent", "y" * 500, "1")
    found = debugger.statistics()
    assert found.bytes <= 1_000
    assert found.recorded == 121
    assert found.dropped == found.recorded - found.frames


@pytest.mark.parametrize(
    "frame",
    [
        f"Authorization: Bearer {SECRET}",
        f'{{"type":"auth","data":{{"token":"{SECRET}"}}}}',
        f'{{"type":"auth","data":{{"Token" : "a\\"{SECRET}"}}}}',
        f'{{"type":"x","data":"{{\\"token\\": \\"{SECRET}\\"}}"}}',
        f'{{"type":"auth","api_key":"{SECRET}","password":"{SECRET}"}}',
        f"GET /?token={SECRET}&x=1",
        f"{{'token': '{SECRET}'}}",
        f'{{"headers":{{"authorization":"Bearer {SECRET}"}}}}',
        f"authorization=Basic {SECRET}",
    ],
)
def test_tokens_are_withheld_before_they_are_kept(frame: str) -> None:
    debugger = WebSocketDebugger(True)
    debugger.record("received", frame.encode(), "1")
    (text,) = debugger.frames()["text"]
    assert SECRET not in text
    assert WITHHELD in text
    assert SECRET not in repr(debugger._frames)


def test_a_secret_that_is_known_is_withheld_wherever_it_stands() -> None:
    debugger = WebSocketDebugger(True, secrets=[SECRET, ""])
    debugger.record("sent", f'{{"type":"event_notification","data":"he said {SECRET}"}}', "1")
    assert SECRET not in debugger.frames()["text"].iloc[0]


@pytest.mark.parametrize(
    "text", ['{"prompt_tokens":120,"token_count":3}', "the basic authorization of a trade", '{"token":null}']
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert redacted(text) == text


@given(st.binary(max_size=300))
def test_any_frame_can_be_kept_and_shown(frame: bytes) -> None:
    debugger = WebSocketDebugger(True)
    debugger.record("received", frame, "1")
    assert len(debugger.frames()) == 1


def test_a_frame_that_is_no_message_says_so() -> None:
    debugger = WebSocketDebugger(True)
    debugger.record("received", b"\xff\x00[[[[", "1")
    assert debugger.frames()["type"].iloc[0] == UNREADABLE


def test_masking_takes_no_quadratic_time() -> None:
    for hostile in (
        '"token":"' + '\\"' * 200_000,
        '\\"token\\"' * 20_000,
        "bearer " * 100_000,
        '"token"' + " " * 200_000,
    ):
        redacted(hostile)


async def test_frames_recorded_on_another_thread_are_written_and_what_is_left_out_is_said() -> None:
    stream = io.StringIO()
    debugger = WebSocketDebugger(True, max_frames=3, stream=stream)
    debugger.record("sent", '{"type":"first"}', "1")  # what is held already is written too
    writing = asyncio.create_task(debugger.process_logs())
    await eventually(lambda: "first" in stream.getvalue())

    def flood() -> None:
        for number in range(50):
            debugger.record("sent", f'{{"type":"n{number}"}}', "1")

    thread = threading.Thread(target=flood)
    thread.start()
    thread.join()  # this loop is blocked meanwhile
    await eventually(lambda: "n49" in stream.getvalue())
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert "(47 frames left out)" in stream.getvalue()
    assert not debugger._followers


async def test_it_records_the_real_server_s_traffic_in_both_directions() -> None:
    debugger = WebSocketDebugger(True)
    server = SimulationWebSocket("127.0.0.1", 0, traffic=debugger, heartbeat_s=0.05)
    await server.start()
    try:
        async with connect(server.url) as client:
            await client.send('{"type":"auth","data":{"token":"s3cret"}}')
            await eventually(lambda: set(debugger.frames()["direction"]) == {"sent", "received"})
    finally:
        await server.close()
    assert "s3cret" not in str(list(debugger.frames()["text"]))
    assert "auth" in set(debugger.frames(direction="received")["type"])
