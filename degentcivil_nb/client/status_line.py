"""The status line of an HTTP/1.0 response, as small web servers and old gateways send it."""

from __future__ import annotations

from typing import Final

_OLD: Final = b"HTTP/1.0 "
_UPGRADED: Final = b"101"


class StatusLine:
    """The start of a response: a refusal in HTTP/1.0 is passed on as one in HTTP/1.1, which is all the library reads.

    Otherwise its status and its `Retry-After` would be lost. The rest of both versions is the same (RFC 9112, 2.3);
    only an upgrade needs HTTP/1.1 (RFC 9110, 7.8).
    """

    def __init__(self) -> None:
        self._start = b""
        self._read = False

    def read(self, data: bytes) -> bytes:
        """Return what may be passed on: nothing while the status is incomplete."""
        if self._read:
            return data
        self._start += data
        version, status = self._start[: len(_OLD)], self._start[len(_OLD) :][: len(_UPGRADED)]
        if _OLD.startswith(version) and len(status) < len(_UPGRADED):
            return b""
        self._read = True
        if version == _OLD and status != _UPGRADED:
            return b"HTTP/1.1 " + self._start[len(_OLD) :]
        return self._start
