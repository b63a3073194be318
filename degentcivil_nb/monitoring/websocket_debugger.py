"""A bounded record of the traffic, switched on and off at any time, without secrets."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from ..core.redaction import redacted
from ..protocol.codec import decode_raw
from ..protocol.errors import WebSocketError
from ..protocol.json_text import encode

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("degentcivil_nb.traffic")

UNREADABLE = "(unreadable)"


class _Frame(NamedTuple):
    number: int
    time: float
    direction: str
    peer: str
    type: str
    size: int
    text: str


class TrafficStatistics(NamedTuple):
    """How many frames a debugger holds, and how many it recorded and dropped."""

    frames: int
    bytes: int
    recorded: int
    dropped: int


class WebSocketDebugger:
    """A record of the last frames in both directions while `enabled`, which may be set at any time from any thread.

    It holds at most `max_frames` frames and `max_bytes` bytes of text; of each frame the first `max_frame_bytes`.
    Tokens and the `secrets` are withheld before a frame is stored. `clock` is wall clock in seconds.
    """

    def __init__(
        self,
        enabled: bool = False,
        *,
        max_frames: int = 10_000,
        max_bytes: int = 16 << 20,
        max_frame_bytes: int = 64 << 10,
        secrets: Iterable[str] = (),
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.enabled = enabled
        """Whether frames are recorded now."""
        self.max_frames = max_frames
        self.max_bytes = max_bytes
        self.max_frame_bytes = max_frame_bytes
        self._secrets = tuple(secrets)
        self._stream = stream
        self._clock = clock
        self._frames: deque[_Frame] = deque()
        self._bytes = 0
        self._recorded = 0
        self._lock = threading.Lock()
        self._followers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def record(self, direction: str, frame: bytes | str, peer: str) -> None:
        """Record a frame that was `"sent"` to or `"received"` from a peer, if this is enabled."""
        if not self.enabled:
            return
        text = frame if isinstance(frame, str) else bytes(frame).decode("utf-8", "backslashreplace")
        text = redacted(text, self._secrets)
        size = len(frame)
        if len(text) > self.max_frame_bytes:
            text = f"{text[: self.max_frame_bytes]}…"
        with self._lock:
            self._recorded += 1
            kept = _Frame(self._recorded, self._clock(), direction, peer, _type_of(frame), size, text)
            self._frames.append(kept)
            self._bytes += len(text)
            while self._frames and (len(self._frames) > self.max_frames or self._bytes > self.max_bytes):
                self._bytes -= len(self._frames.popleft().text)
            followers = list(self._followers)
        for loop, changed in followers:
            try:
                loop.call_soon_threadsafe(changed.set)
            except RuntimeError:  # that loop is closed, and its follower with it
                self._followers.discard((loop, changed))

    def frames(
        self,
        type: str | None = None,
        peer: str | None = None,
        direction: str | None = None,
        *,
        last: int | None = None,
    ) -> pd.DataFrame:
        """Return the recorded frames, oldest first, one a row, of the given type, peer and direction.

        The index is the frame's number. Columns: `time` (UTC), `direction`, `peer`, `type`, `bytes` (on the wire),
        `text`. `last` limits the result to so many of the most recent matching frames.
        """
        import pandas as pd  # imported here: most servers never call this and run without pandas

        with self._lock:
            held = list(self._frames)
        wanted = [
            frame
            for frame in held
            if type in (None, frame.type) and peer in (None, frame.peer) and direction in (None, frame.direction)
        ]
        if last is not None:
            wanted = wanted[max(0, len(wanted) - last) :]
        return pd.DataFrame(
            {
                "time": pd.to_datetime([frame.time for frame in wanted], unit="s", utc=True).as_unit("ns"),
                "direction": pd.array([frame.direction for frame in wanted], dtype="str"),
                "peer": pd.array([frame.peer for frame in wanted], dtype="str"),
                "type": pd.array([frame.type for frame in wanted], dtype="str"),
                "bytes": pd.array([frame.size for frame in wanted], dtype="int64"),
                "text": [frame.text for frame in wanted],
            },
            index=pd.Index([frame.number for frame in wanted], dtype="int64", name="frame"),
        )

    def clear(self) -> None:
        """Drop all recorded frames."""
        with self._lock:
            self._frames.clear()
            self._bytes = 0

    def statistics(self) -> TrafficStatistics:
        """Return how many frames are held and were dropped."""
        with self._lock:
            return TrafficStatistics(len(self._frames), self._bytes, self._recorded, self._recorded - len(self._frames))

    async def log_message(self, direction: str, message: Any) -> None:
        """Record a message: text, bytes, a `WebSocketMessage`, or anything with a JSON form."""
        if self.enabled:
            self.record(direction, message if isinstance(message, (str, bytes)) else encode(message), "")

    async def process_logs(self) -> None:
        """Write the recorded frames and each new one, until cancelled: to `stream`, else to the log at INFO.

        If frames arrive faster than they can be written, the number left out is written instead.
        """
        changed = asyncio.Event()
        follower = (asyncio.get_running_loop(), changed)
        with self._lock:
            self._followers.add(follower)
            written = 0
        try:
            while True:
                unwritten = self._since(written)
                if unwritten and unwritten[0].number > written + 1 and written:
                    self._write(f"({unwritten[0].number - written - 1} frames left out)")
                for frame in unwritten:
                    self._write(f"{frame.direction} {frame.peer} {frame.type} {frame.size} B: {frame.text[:500]!r}")
                    written = frame.number
                await changed.wait()
                changed.clear()
        finally:
            with self._lock:
                self._followers.discard(follower)

    def _since(self, number: int) -> list[_Frame]:
        with self._lock:
            return [frame for frame in self._frames if frame.number > number]

    def _write(self, line: str) -> None:
        if self._stream is None:
            log.info("%s", line)
        else:
            self._stream.write(f"{line}\n")


def _type_of(frame: bytes | str) -> str:
    try:
        return decode_raw(frame).type[:100]
    except WebSocketError:
        return UNREADABLE
