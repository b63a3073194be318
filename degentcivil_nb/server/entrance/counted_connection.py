"""The connection of a server whose library does not limit the pieces of a message."""

from __future__ import annotations

from websockets.asyncio.server import ServerConnection
from websockets.protocol import Event
from websockets.server import ServerProtocol

from ...core.websockets_version import VERSION, FragmentCount


class CountedConnection(ServerConnection):
    """A connection that refuses a message in more than 4,096 pieces, as websockets 17.4 does by itself."""

    def __init__(self, protocol: ServerProtocol, *args: object, **options: object) -> None:
        super().__init__(protocol, *args, **options)  # type: ignore[arg-type]  # passed through
        self._count = FragmentCount(protocol)

    def process_event(self, event: Event) -> None:
        """Pass frames to the library, except those of a message in too many pieces."""
        if self._count.refuses(event):
            self.send_data()
        else:
            super().process_event(event)


def connection_class() -> type[ServerConnection]:
    """Return the class of a server's connections that goes with the installed version of websockets."""
    return ServerConnection if VERSION >= (17, 4) else CountedConnection
