"""The client's connection with a version of websockets with which the own frame reader was not tested."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.protocol import Event

from ..core.websockets_version import FragmentCount
from .frame_connection import FrameConnection

_logger = logging.getLogger("degentcivil_nb.client")


class ReceivedConnection(FrameConnection):
    """A connection that passes on what the library's own `recv()` gives, one frame at a time."""

    def __init__(self, protocol: ClientProtocol, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self._count = FragmentCount(protocol)
        self._receiving: asyncio.Task[None] | None = None

    def start(self, handler: Callable[[list[bytes], int], None]) -> None:
        """Pass frames, and their size, to `handler` from now on, beginning with the waiting ones."""
        self._receiving = asyncio.create_task(self._receive(handler))

    async def _receive(self, handler: Callable[[list[bytes], int], None]) -> None:
        try:
            while True:
                frame = await self.recv(decode=False)
                size, self._collected = self._collected, 0
                handler([frame], size)
        except ConnectionClosed:
            return
        except Exception:  # a bug here must not stay unnoticed; a new connection starts clean
            _logger.exception("frames could not be handled; the connection is cut")
            self.transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed and all that arrived before is passed on."""
        await super().wait_closed()
        if self._receiving is not None:
            await asyncio.wait((self._receiving,))

    # --- as the library does it ----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Note that something arrived; the library parses it."""
        self.last_data = self.loop.time()
        self._collected += len(data)
        ClientConnection.data_received(self, self._status_line.read(data))

    def process_event(self, event: Event) -> None:
        """Pass frames to the library, except those of a message in too many pieces."""
        if self._count.refuses(event):
            self.send_data()
        else:
            ClientConnection.process_event(self, event)

    def connection_lost(self, exc: Exception | None) -> None:
        """End as the library does."""
        ClientConnection.connection_lost(self, exc)
