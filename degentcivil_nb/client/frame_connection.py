"""A connection that passes received frames on in lists, up to a few hundred times a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Event

from ..core.websockets_version import MAX_FRAGMENTS
from .status_line import StatusLine

COLLECT_S: Final = 0.005
"""How long frames are collected before they are passed on: too short for a person to notice."""
COLLECT_BYTES: Final = 1 << 18
"""How many bytes are collected at most, plus one read, so that one turn of the loop takes a few milliseconds."""
WHOLE_TEXT: Final = 0x81
"""The first byte of an unfragmented, uncompressed text frame (RFC 6455, 5.2)."""

_END_OF_HEAD: Final = b"\r\n\r\n"

_logger = logging.getLogger("degentcivil_nb.client")


class FrameConnection(ClientConnection):
    """A connection that receives twice as fast as `recv()` in a loop, by cutting whole text frames from each read.

    All else (the handshake, pings and pongs, close, fragments, compression, sending, and protocol violations) is left
    to the library, which always receives whole frames. The handler runs inside the loop's read callback, so nothing
    more is read before it returns: that is the backpressure. `recv()` returns nothing.
    """

    def __init__(self, protocol: ClientProtocol, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self._frames: list[bytes] = []
        self._fragments: list[bytes] = []
        self._handler: Callable[[list[bytes], int], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._collected = 0
        self._next_turn = 0.0
        self._status_line = StatusLine()
        self._read = self._read_head
        self._tail = bytearray()  # the incomplete rest: of the HTTP head, or of a frame
        self._wanted = 0  # bytes that `_tail` needs before it can be parsed
        self.last_data = self.loop.time()
        """When data last arrived, on the loop's clock."""

    @property
    def queue_depth(self) -> int:
        """Return the number of frames that wait to be passed on."""
        return len(self._frames)

    def start(self, handler: Callable[[list[bytes], int], None]) -> None:
        """Pass frames, and their size on the wire, to `handler` from now on, beginning with the waiting ones."""
        self._handler = handler
        self._pass_on()

    # --- from the transport --------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse data, and pass frames on when enough were collected or it is time."""
        self._read(data)
        self._collected += len(data)
        self.last_data = now = self.loop.time()
        if not self._frames or self._handler is None:
            return
        if self._collected >= COLLECT_BYTES or now >= self._next_turn:
            self._pass_on()
        elif self._timer is None:
            self._timer = self.loop.call_at(self._next_turn, self._pass_on)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on what arrived before the end, then end."""
        self._pass_on()
        super().connection_lost(exc)

    def process_event(self, event: Event) -> None:
        """Collect the data frames that the library parses; leave handshake and control frames to it."""
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            if event.opcode is Opcode.CONT or not event.fin:
                self._assemble(event)
            else:
                self._frames.append(bytes(event.data))
        else:
            super().process_event(event)

    def _assemble(self, frame: Frame) -> None:
        fragments = self._fragments
        fragments.append(bytes(frame.data))
        if frame.fin:
            self._frames.append(b"".join(fragments))
            fragments.clear()
        elif len(fragments) == MAX_FRAGMENTS:  # the library limits the bytes, but not the number of fragments
            self.protocol.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
            self.send_data()

    # --- the three parsers, used one after another -------------------------------------------------------------------

    def _read_head(self, data: bytes) -> None:
        """Pass the head of the response to the library, and choose the parser for what follows."""
        data = self._status_line.read(data)
        before = len(self._tail)
        self._tail += data
        end = self._tail.find(_END_OF_HEAD)
        rest = b"" if end < 0 else data[end + len(_END_OF_HEAD) - before :]
        super().data_received(data[: len(data) - len(rest)])
        if end < 0:
            del self._tail[:-3]
            return
        self._tail.clear()
        protocol = self.protocol
        whole = protocol.state is OPEN and not protocol.extensions and not protocol.debug
        self._read = self._read_whole if whole else super().data_received
        if rest:
            self._read(rest)

    def _read_whole(self, data: bytes) -> None:
        """Cut out whole text frames; pass all others to the library, and everything once the connection is closing."""
        if self._tail:
            self._tail += data
            if len(self._tail) < self._wanted:
                return
            data = bytes(self._tail)
            self._tail.clear()
        protocol = self.protocol
        limit = protocol.max_message_size or 1 << 62
        append = self._frames.append
        whole_text = WHOLE_TEXT if protocol.current_size is None else -1  # not allowed between fragments
        at, end = 0, len(data)
        while at < end:
            size, start = (data[at + 1], at + 2) if at + 2 <= end else (0, at + 2)
            if size > 125:
                start += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : start], "big") if size <= 127 else limit + 1
            stop = start + size
            if size > limit:  # or masked, which is forbidden for a server
                self._leave_to_library(data[at:])
                return
            if stop > end:
                self._wanted = stop - at if start <= end else start - at
                break
            if data[at] == whole_text:
                append(data[start:stop])
            else:
                super().data_received(data[at:stop])
                if protocol.state is not OPEN:
                    self._leave_to_library(data[stop:])
                    return
                whole_text = WHOLE_TEXT if protocol.current_size is None else -1
            at = stop
        self._tail += data[at:]

    def _leave_to_library(self, data: bytes) -> None:
        self._read = super().data_received
        if data:
            self._read(data)

    # --- to the handler ------------------------------------------------------------------------------------------

    def _pass_on(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._handler is None or not self._frames:
            return
        frames, self._frames = self._frames, []
        size, self._collected = self._collected, 0
        try:
            self._handler(frames, size)
        except Exception:  # a bug here must not reach the transport; a new connection starts clean
            _logger.exception("frames could not be handled; the connection is cut")
            self.transport.abort()
        self._next_turn = self.loop.time() + COLLECT_S


async def keep_alive(
    connection: FrameConnection,
    interval: Callable[[], float],
    patience: Callable[[], float],
    observe: Callable[[float], None],
) -> None:
    """Ping at every interval until the connection ends, and cut it when nothing arrived for the length of `patience`.

    Both are in seconds; `observe` is called with each round trip that takes less than an interval. Any data counts as a
    sign of life, so a slow pong behind a long queue does no harm.
    """
    loop = asyncio.get_running_loop()
    try:
        while True:
            seconds = interval()
            sent = loop.time()
            try:
                async with asyncio.timeout(seconds):
                    observe(await (await connection.ping()))
            except TimeoutError:
                silent = loop.time() - connection.last_data
                if silent >= patience():
                    _logger.info("nothing arrived for %.1f s; the connection is cut", silent)
                    connection.transport.abort()
                    return
            await asyncio.sleep(max(0.0, sent + 0.8 * seconds - loop.time()))
    except ConnectionClosed:
        return
    except Exception:  # without pings a lost peer would not be noticed; a new connection starts clean
        _logger.exception("pinging failed; the connection is cut")
        connection.transport.abort()
