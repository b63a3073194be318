"""The client reads frames however they come: cut anywhere, in fragments, compressed, or against the rules."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from degentcivil_nb.client import connecting
from degentcivil_nb.client import frame_connection as connection_module
from degentcivil_nb.client.frame_connection import FrameConnection
from degentcivil_nb.client.received_connection import ReceivedConnection
from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.core.websockets_version import MAX_FRAGMENTS, OWN_READER
from degentcivil_nb.protocol.control_payloads import Hello, Resumed, Snapshot
from tests.support.client_helpers import SUBPROTOCOL, Collector, following, frame, greet, scripted, serving, stay
from tests.support.waiting import eventually

# --- frames ----------------------------------------------------------------------------------------------------------

EVENTS = [
    frame("event_notification", {"event_type": "x" * size}, seq=seq) for seq, size in enumerate((5, 90, 70_000), 1)
]


def raw(text: str, opcode: Opcode = Opcode.TEXT, fin: bool = True) -> bytes:
    return Frame(opcode, text.encode(), fin).serialize(mask=False)


async def write(websocket: ServerConnection, data: bytes) -> None:
    websocket.transport.write(data)
    await websocket.drain()


@contextlib.asynccontextmanager
async def segments(stream: bytes, step: int) -> AsyncIterator[str]:
    """Serve v1 and `stream` from a bare socket that writes `step` bytes at a time, and give the URL."""

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def write_cut(data: bytes) -> None:
            for at in range(0, len(data), step):
                writer.write(data[at : at + step])
                await writer.drain()
                await asyncio.sleep(0)  # so that each piece is a read of its own

        protocol = ServerProtocol(subprotocols=[SUBPROTOCOL])
        while not (events := protocol.events_received()):
            protocol.receive_data(await reader.read(1 << 16))
        request = events[0]
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        await write_cut(b"".join(protocol.data_to_send()) + raw(frame("hello", Hello("one"))))
        await reader.read(1 << 16)
        await write_cut(raw(frame("resumed", Resumed("one", 0, 1))) + raw(frame("snapshot", Snapshot(0))) + stream)
        while (await reader.read(1 << 16))[:1] not in (b"\x88", b""):  # pings, until it closes
            pass
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 50, 1000, 1 << 20])
async def test_the_handshake_and_frames_are_read_however_they_are_cut(step: int) -> None:
    expected = EVENTS[: 2 if step < 50 else 3]
    async with segments(b"".join(map(raw, expected)), step) as url, following(url) as (client, sink):
        await sink.until(lambda: len(sink.seqs) == len(expected))
        assert sink.seqs == list(range(1, len(expected) + 1))
        assert client.duplicates == 0 and sink.gaps == []


async def test_fragments_keep_their_place_among_whole_frames_and_pings_come_between() -> None:
    middle = EVENTS[1]
    stream = (
        raw(EVENTS[0])
        + raw(middle[:10], fin=False)
        + raw("ping", Opcode.PING)
        + raw(middle[10:30], Opcode.CONT, fin=False)
        + raw(middle[30:], Opcode.CONT)
        + raw(EVENTS[2])
    )

    async with segments(stream, 1000) as url, following(url) as (_, sink):
        await sink.until(lambda: len(sink.seqs) == 3)
        assert sink.seqs == [1, 2, 3] and sink.gaps == []


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (bytes([0x81, 0x80, 0, 0, 0, 0]), 1002),  # masked
        (bytes([0xF1, 0x01, 65]), 1002),  # reserved bits
        (bytes([0x81, 127]) + (1 << 62).to_bytes(8, "big"), 1009),
        (raw("a", fin=False) + raw("b"), 1002),  # a text frame between fragments
        (raw("", fin=False) + raw("", Opcode.CONT, fin=False) * 5000, 1009),
    ],
)
async def test_frames_that_break_the_rules_end_the_connection_with_the_rules_code(broken: bytes, code: int) -> None:
    told: list[int | None] = []

    async def script(websocket: ServerConnection) -> None:
        await greet(websocket)
        await write(websocket, raw(EVENTS[0]) + broken)
        await websocket.wait_closed()
        told.append(websocket.close_code)

    async with scripted(script, serving(stay)) as url, following(url) as (_, sink):
        await sink.until(lambda: sink.seqs == [1])
        await eventually(lambda: told)
    assert told == [code]


async def test_compressed_frames_are_the_library_s() -> None:
    async def then(websocket: ServerConnection) -> None:
        for text in EVENTS:
            await websocket.send(text)

    async with scripted(serving(then)) as url:
        sink = Collector()
        client = SimulationClient(url, sink=sink)
        client._connector._options["compression"] = "deflate"
        await client.open()
        assert client.websocket is not None and client.websocket.protocol.extensions
        await sink.until(lambda: sink.seqs == [1, 2, 3])
        await client.close()


async def test_a_burst_is_handed_on_in_few_lists_and_nothing_waits_long() -> None:
    stream = b"".join(raw(frame("x", 0, seq=seq)) for seq in range(1, 5001))

    async with segments(stream, 1 << 20) as url, following(url) as (_, sink):
        await sink.until(lambda: len(sink.seqs) == 5000)
        assert sink.calls < 100
        assert connection_module.COLLECT_S <= 0.02


@pytest.mark.parametrize("reader", [FrameConnection, ReceivedConnection])
async def test_a_message_in_too_many_pieces_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, reader: type[FrameConnection]
) -> None:
    if reader is FrameConnection and not OWN_READER:
        pytest.skip("the own reader is not used with this version of websockets")
    monkeypatch.setattr(connecting, "CONNECTION", reader)
    endless = raw("", fin=False) + raw("", Opcode.CONT, fin=False) * (MAX_FRAGMENTS + 10)
    codes: list[int | None] = []

    async def flood(websocket: ServerConnection) -> None:
        await greet(websocket)
        await write(websocket, endless)
        await websocket.wait_closed()
        codes.append(websocket.close_code)

    async with scripted(flood, serving(stay)) as url, following(url):
        await eventually(lambda: codes)
    assert codes == [CloseCode.MESSAGE_TOO_BIG]
