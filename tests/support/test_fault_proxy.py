"""The fault proxy does what it says, at the byte it says: other proofs stand on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError

from tests.support.fault_proxy import FaultProxy, FrameCounter

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


class Echo:
    """A server of bytes that answers what it is sent, and remembers how its connections ended."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        how = "closed"
        try:
            while chunk := await reader.read(1 << 16):
                self.received += chunk
                writer.write(chunk)
                await writer.drain()
        except ConnectionResetError:
            how = "reset"
        finally:
            writer.close()
            self.ended.put_nowait(how)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    echo.port = server.sockets[0].getsockname()[1]
    yield echo
    server.close()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(echo.port) as proxy:
        yield proxy


async def dial(proxy: FaultProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    already = proxy.accepted
    pair = await asyncio.open_connection("127.0.0.1", proxy.port)
    await proxy.until(accepted=already + 1)
    return pair


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    writer.write(text)
    async with asyncio.timeout(5):
        return await reader.readexactly(len(text))


async def test_without_a_fault_bytes_pass_unchanged_both_ways(proxy: FaultProxy, echo: Echo) -> None:
    reader, writer = await dial(proxy)
    sent = bytes(range(256)) * 2000
    assert await ask(reader, writer, sent) == sent
    assert (proxy.up.passed, proxy.down.passed) == (len(sent), len(sent))
    writer.close()
    assert await echo.ended.get() == "closed"
    await proxy.until(connections=0)


async def test_reset_is_a_reset_on_both_sides(proxy: FaultProxy, echo: Echo) -> None:
    reader, writer = await dial(proxy)
    await ask(reader, writer, b"hello")
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    assert await echo.ended.get() == "reset"
    writer.close()


async def test_close_is_an_ordinary_end(proxy: FaultProxy, echo: Echo) -> None:
    reader, writer = await dial(proxy)
    await ask(reader, writer, b"hello")
    proxy.close()
    assert await reader.read() == b""
    assert await echo.ended.get() == "closed"
    writer.close()


async def test_a_reset_of_one_side_leaves_the_other_half_open(proxy: FaultProxy, echo: Echo) -> None:
    reader, writer = await dial(proxy)
    await ask(reader, writer, b"hello")
    proxy.reset("client")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    other_reader, other_writer = await dial(proxy)
    assert await ask(other_reader, other_writer, b"again") == b"again"
    assert echo.ended.empty(), "the server must not hear of it"
    assert proxy.connections == 2
    for each in (writer, other_writer):
        each.close()


async def test_a_black_hole_holds_everything_until_it_heals(proxy: FaultProxy, echo: Echo) -> None:
    reader, writer = await dial(proxy)
    await ask(reader, writer, b"one")
    proxy.up.black_hole(True)
    writer.write(b"two")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await reader.readexactly(3)
    assert bytes(echo.received) == b"one"
    proxy.heal()
    assert await reader.readexactly(3) == b"two"
    writer.close()


async def test_limit_data_ends_the_connection_at_exactly_that_byte(proxy: FaultProxy, echo: Echo) -> None:
    reader, writer = await dial(proxy)
    proxy.up.limit_data(7)
    writer.write(b"0123456789")
    assert await echo.ended.get() == "closed"
    assert bytes(echo.received) == b"0123456"
    writer.close()
    reader, writer = await dial(proxy)
    assert await ask(reader, writer, b"0123456789") == b"0123456789", "later connections are not limited"
    writer.close()


async def test_the_slicer_passes_pieces_of_its_size(proxy: FaultProxy) -> None:
    reader, writer = await dial(proxy)
    proxy.down.slice_bytes = 1
    writer.write(b"0123456789")
    pieces: list[bytes] = []
    while len(b"".join(pieces)) < 10:
        pieces.append(await reader.read(100))
    assert b"".join(pieces) == b"0123456789"
    assert len(pieces) > 1
    writer.close()


@pytest.mark.parametrize(("fault", "value"), [("latency_s", 0.05), ("bytes_per_s", 100.0)])
async def test_latency_and_bandwidth_take_their_time(proxy: FaultProxy, fault: str, value: float) -> None:
    reader, writer = await dial(proxy)
    setattr(proxy.down, fault, value)
    loop = asyncio.get_running_loop()
    start = loop.time()
    await ask(reader, writer, b"01234")
    assert loop.time() - start >= 0.045
    writer.close()


async def test_disabled_it_refuses_and_enabled_it_is_back_on_its_port(proxy: FaultProxy) -> None:
    port = proxy.port
    await proxy.disable()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await proxy.enable()
    assert proxy.port == port
    reader, writer = await dial(proxy)
    assert await ask(reader, writer, b"back") == b"back"
    writer.close()


async def test_a_cut_in_a_frame_leaves_a_websocket_client_with_half_of_it() -> None:
    async def talk(connection: ServerConnection) -> None:
        for number in range(10):
            await connection.send(f"message {number} " + "x" * 300)
        await connection.wait_closed()

    async with serve(talk, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with FaultProxy(port) as proxy:
            proxy.down.cut_in_frame(3)
            received = []
            async with connect(proxy.url, compression=None) as client:
                with pytest.raises(ConnectionClosedError):
                    while True:
                        received.append(await client.recv())
            assert [message[:9] for message in received] == ["message 0", "message 1"]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 300, 70_000])
def test_frames_are_found_however_the_stream_is_cut(step: int, size: int) -> None:
    frame = encode_frame(b"y" * size, mask=False) + encode_frame(b"z" * size, mask=True)
    stream = HEAD + frame
    counter = FrameCounter()
    ends = []
    for at in range(0, len(stream), step):
        ends += [(at + end, found) for end, found in counter.feed(stream[at : at + step])]
    header = len(encode_frame(b"y" * size, mask=False)) - size
    first = len(HEAD) + header
    assert ends == [(first, size), (first + size + header + 4, size)]


def encode_frame(payload: bytes, *, mask: bool) -> bytes:
    size = len(payload)
    flag = 0x80 if mask else 0
    if size < 126:
        length = bytes([flag | size])
    elif size < 1 << 16:
        length = bytes([flag | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([flag | 127]) + size.to_bytes(8, "big")
    return b"\x81" + length + (b"\0\0\0\0" if mask else b"") + payload
