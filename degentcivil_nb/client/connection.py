"""A connection that hands on what it receives as lists of frames, a few times a second or a few hundred."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import Event

COLLECT_S: Final = 0.005
"""How long frames are collected before they are handed on: far below what a person sees."""
COLLECT_BYTES: Final = 1 << 17
"""How many bytes are collected at most, plus one read: the loop's longest turn is some milliseconds."""
MAX_FRAGMENTS: Final = 4096

_logger = logging.getLogger("degentcivil_nb.client")


class FrameConnection(ClientConnection):
    """Receive without a coroutine a frame: half as fast again as `recv()` in a loop.

    The handler runs inside the loop's read callback, so nothing more is read before it returns: that is the
    backpressure. `recv()` gets nothing; pings, pongs, close frames and sending are the library's own.
    """

    def __init__(self, protocol: ClientProtocol, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self._frames: list[bytes] = []
        self._fragments: list[bytes] = []
        self._handler: Callable[[list[bytes], int], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._collected = 0
        self._next_turn = 0.0
        self.last_data = self.loop.time()
        """When anything last arrived, on the loop's clock."""

    @property
    def queue_depth(self) -> int:
        """Count the frames that wait to be handed on."""
        return len(self._frames)

    def start(self, handler: Callable[[list[bytes], int], None]) -> None:
        """Hand frames, and the bytes they took on the wire, to `handler` from now on, the waiting ones first."""
        self._handler = handler
        self._hand_on()

    def process_event(self, event: Event) -> None:
        """Collect data frames; leave the handshake and control frames to the library."""
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            if event.opcode is Opcode.CONT or not event.fin:
                self._assemble(event)
            else:
                self._frames.append(event.data)  # type: ignore[arg-type]  # bytes-like, which the decoder takes
        else:
            super().process_event(event)

    def _assemble(self, frame: Frame) -> None:
        fragments = self._fragments
        fragments.append(bytes(frame.data))
        if frame.fin:
            self._frames.append(b"".join(fragments))
            fragments.clear()
        elif len(fragments) == MAX_FRAGMENTS:  # the library bounds the bytes, not the pieces of them
            self.protocol.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
            self.send_data()

    def data_received(self, data: bytes) -> None:
        """Read, and hand on when enough was collected or its time has come."""
        super().data_received(data)
        self._collected += len(data)
        self.last_data = now = self.loop.time()
        if not self._frames or self._handler is None:
            return
        if self._collected >= COLLECT_BYTES or now >= self._next_turn:
            self._hand_on()
        elif self._timer is None:
            self._timer = self.loop.call_at(self._next_turn, self._hand_on)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on what arrived before the end, then end."""
        self._hand_on()
        super().connection_lost(exc)

    def _hand_on(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._handler is None or not self._frames:
            return
        frames, self._frames = self._frames, []
        size, self._collected = self._collected, 0
        try:
            self._handler(frames, size)
        except Exception:  # a bug of ours must not escape into the transport; a new connection starts clean
            _logger.exception("a list of frames could not be handled; the connection is cut")
            self.transport.abort()
        self._next_turn = self.loop.time() + COLLECT_S


async def keep_alive(
    connection: FrameConnection, interval: Callable[[], float], observe: Callable[[float], None]
) -> None:
    """Ping until the connection ends, and cut it when the peer is silent for two intervals (seconds).

    `observe` is given each round trip. Any data counts as life, so a slow pong behind a long queue does no harm.
    """
    loop = asyncio.get_running_loop()
    try:
        while True:
            seconds = interval()
            sent = loop.time()
            pong = await connection.ping()
            try:
                async with asyncio.timeout(seconds):
                    observe(await pong)
            except TimeoutError:
                if connection.last_data < sent:
                    _logger.info("no sign of life for %.1f s; the connection is cut", loop.time() - sent)
                    connection.transport.abort()
                    return
            await asyncio.sleep(max(0.0, sent + 0.8 * seconds - loop.time()))
    except ConnectionClosed:
        return
