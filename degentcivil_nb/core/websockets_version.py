"""The installed version of websockets, and what older ones lack: any version from 15.0 on may be installed."""

from __future__ import annotations

from typing import Final

from websockets.frames import DATA_OPCODES, CloseCode, Frame
from websockets.protocol import OPEN, Event, Protocol
from websockets.version import version

VERSION: Final = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
"""Major and minor version."""
OWN_READER: Final = (17, 4) <= VERSION < (18,)
"""Whether the client's own reader of frames was tested with this version; if not, the library's `recv` is used."""
MAX_FRAGMENTS: Final = 4096
"""How many pieces a message may have. The library limits their bytes, and from 17.4 on their number too."""
IN_SEND: Final = "send_in_progress" if VERSION >= (16,) else "fragmented_send_waiter"
"""The attribute of a connection that is set while it sends a message in pieces."""


class FragmentCount:
    """A count of the pieces of the message that is being received; too many end the connection with 1009."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._pieces = 0

    def refuses(self, event: Event) -> bool:
        """Count one event; return `True` if it is a piece beyond the limit or follows one, and must not be kept."""
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            return False
        self._pieces = 0 if event.fin else self._pieces + 1
        if self._pieces < MAX_FRAGMENTS:
            return False
        if self._protocol.state is OPEN:
            self._protocol.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        return True
