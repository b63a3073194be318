"""A TCP proxy that misbehaves on request: toxiproxy's vocabulary, and cuts in the middle of a WebSocket frame.

    async with FaultProxy(server.port) as proxy:
        client = SimulationClient(f"ws://127.0.0.1:{proxy.port}")
        proxy.down.latency_s = 0.2        # from now on, towards the client
        proxy.up.black_hole(True)         # nothing reaches the server; it waits, as TCP would
        proxy.down.cut_in_frame(3)        # the third frame from now arrives by half, then a reset
        proxy.reset()                     # RST, now
        await proxy.disable()             # connection refused, until `enable()`

`down` is what the server sends to the client, `up` the other way. A fault holds for connections that are open and for
those to come. Whatever is counted in bytes or frames happens at exactly that byte, however TCP cuts the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Literal, Self

from degentcivil_nb.server.entrance.binding import stop_listening

CHUNK = 1 << 16
Ending = Literal["close", "reset"]


class FrameCounter:
    """Find the middle of the n-th WebSocket frame in a stream that begins with an HTTP head."""

    def __init__(self) -> None:
        self._in_head = True
        self._tail = b""
        self._header = b""
        self._payload_left = 0

    def feed(self, chunk: bytes) -> list[tuple[int, int]]:
        """Take a piece of the stream; list the frames whose header ends in it: (offset of its end, payload size)."""
        found = []
        at = 0
        if self._in_head:
            end = (self._tail + chunk).find(b"\r\n\r\n")
            if end < 0:
                self._tail = (self._tail + chunk)[-3:]
                return []
            at = end + 4 - len(self._tail)
            self._in_head = False
        while at < len(chunk):
            if self._payload_left:
                taken = min(self._payload_left, len(chunk) - at)
                self._payload_left -= taken
                at += taken
                continue
            self._header += chunk[at : at + 1]
            at += 1
            size = _payload_size(self._header)
            if size is not None:
                found.append((at, size))
                self._payload_left = size
                self._header = b""
        return found


def _payload_size(header: bytes) -> int | None:
    """Read the size in a frame's header with its mask (RFC 6455, 5.2); `None` while the header is incomplete."""
    if len(header) < 2:
        return None
    short = header[1] & 0x7F
    extended = {126: 2, 127: 8}.get(short, 0)
    mask = 4 if header[1] & 0x80 else 0
    if len(header) < 2 + extended + mask:
        return None
    return int.from_bytes(header[2 : 2 + extended], "big") if extended else short


@dataclass
class Direction:
    """What befalls one direction; set the fields at any time, `heal()` clears them."""

    latency_s: float = 0.0
    """Added to each piece, in order."""
    bytes_per_s: float | None = None
    """The bandwidth."""
    slice_bytes: int | None = None
    """Pass the stream on in pieces of that size, each a write of its own."""
    passed: int = 0
    """Bytes passed on so far, over all connections."""
    _open: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _bytes_left: int | None = None
    _frames_left: int | None = None
    _ending: Ending = "reset"

    def __post_init__(self) -> None:
        self._open.set()

    def black_hole(self, on: bool) -> None:
        """Let nothing through until it is turned off: what was sent meanwhile then arrives, as TCP resends it."""
        if on:
            self._open.clear()
        else:
            self._open.set()

    def limit_data(self, size: int, ending: Ending = "close") -> None:
        """Pass `size` more bytes in this direction, then end that connection; later ones are not limited."""
        self._bytes_left, self._ending = size, ending

    def cut_in_frame(self, number: int = 1, ending: Ending = "reset") -> None:
        """Pass `number - 1` more frames and half of the next one, then end that connection."""
        self._frames_left, self._ending = number, ending

    def heal(self) -> None:
        """Behave well from now on."""
        self.latency_s, self.bytes_per_s, self.slice_bytes = 0.0, None, None
        self._bytes_left = self._frames_left = None
        self._open.set()

    def _where_to_cut(self, chunk: bytes, frames: FrameCounter) -> int | None:
        cut: int | None = None
        for end, size in frames.feed(chunk):
            if self._frames_left is None:
                break
            self._frames_left -= 1
            if self._frames_left == 0:
                # with no payload to halve, the frame is cut inside its header
                middle = end + size // 2 if size > 1 else end - 1
                self._bytes_left, self._frames_left = middle, None
        if self._bytes_left is not None:
            if self._bytes_left <= len(chunk):
                cut, self._bytes_left = self._bytes_left, None
            else:
                self._bytes_left -= len(chunk)
        return cut


class _Link:
    """One client's connection and the one to the server that carries it on."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.half_open = False

    def end(self, how: Ending, side: Literal["client", "server", "both"] = "both") -> None:
        self.half_open = side != "both"
        for name, writer in (("client", self.client), ("server", self.server)):
            if side in (name, "both"):
                _end(writer, how)


def _end(writer: asyncio.StreamWriter, how: Ending) -> None:
    if how == "close":
        writer.close()
        return
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing now sends RST
    writer.transport.abort()


class FaultProxy:
    """Stand between clients and the server at `host:port`, and do to their connections what a test asks for."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._upstream = (host, port)
        self.port = 0
        self.up = Direction()
        self.down = Direction()
        self.accepted = 0
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._links)

    async def __aenter__(self) -> Self:
        await self.enable()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disable()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- faults of the whole -----------------------------------------------------------------------------------

    async def enable(self) -> None:
        """Listen, on the same port as before."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=CHUNK)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def disable(self) -> None:
        """Refuse connections and reset those that are open."""
        listener, self._listener = self._listener, None
        if listener is not None:
            await stop_listening(listener.sockets)
            listener.close()
        self.reset()

    def reset(self, side: Literal["client", "server", "both"] = "both") -> None:
        """Reset every open connection; with one `side` only, the other never hears of it: half open."""
        for link in list(self._links):
            link.end("reset", side)

    def close(self) -> None:
        """Close every open connection in order (FIN, but no WebSocket close frame)."""
        for link in list(self._links):
            link.end("close")

    def heal(self) -> None:
        """Behave well from now on, in both directions."""
        self.up.heal()
        self.down.heal()

    async def until(self, *, accepted: int = 0, connections: int | None = None) -> None:
        """Wait (10 s at most) until that many were accepted since the start and, if given, exactly so many are open."""

        def reached() -> bool:
            return self.accepted >= accepted and connections in (None, len(self._links))

        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(reached)

    # --- carrying ----------------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._carry(reader, writer)
        except asyncio.CancelledError:  # by `__aexit__` only; Python 3.11's streams report a handler that was cancelled
            return
        finally:
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._upstream, limit=CHUNK)
        except OSError:
            _end(writer, "reset")
            return
        link = _Link(writer, server_writer)
        self._links.add(link)
        self.accepted += 1
        await self._tell()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, server_writer, self.up, link))
                group.create_task(self._pump(server_reader, writer, self.down, link))
        finally:
            link.end("close")
            self._links.discard(link)
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Direction, link: _Link
    ) -> None:
        frames = FrameCounter()
        try:
            while chunk := await reader.read(CHUNK):
                await asyncio.sleep(fault.latency_s)  # the fault itself
                await fault._open.wait()
                if link.half_open:
                    continue  # the side that is left talks to nobody
                cut = fault._where_to_cut(chunk, frames)
                await self._pass_on(chunk if cut is None else chunk[:cut], writer, fault)
                if cut is not None:
                    link.end(fault._ending)
                    return
            if not link.half_open and writer.can_write_eof() and not writer.is_closing():
                writer.write_eof()
        except OSError:  # either end may go at any time: that is what this program is for
            if not link.half_open:
                link.end("reset")

    async def _pass_on(self, chunk: bytes, writer: asyncio.StreamWriter, fault: Direction) -> None:
        size = fault.slice_bytes or len(chunk) or 1
        for at in range(0, len(chunk), size):
            piece = chunk[at : at + size]
            if fault.bytes_per_s:
                await asyncio.sleep(len(piece) / fault.bytes_per_s)  # the fault itself
            writer.write(piece)
            await writer.drain()
            fault.passed += len(piece)
            if fault.slice_bytes:
                await asyncio.sleep(0)  # the other side may read this piece before the next one
