"""The traffic itself, kept for a look: bounded, switched on and off while things run, and without its secrets."""

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
    """Hold what a debugger keeps and has let go."""

    frames: int
    bytes: int
    recorded: int
    dropped: int


class WebSocketDebugger:
    """Keep the last frames in both directions while `enabled`, which may be switched at any time, from any thread.

    It holds at most `max_frames` frames and `max_bytes` bytes of text; of one frame the first `max_frame_bytes`.
    Tokens, and the `secrets` themselves, are withheld before a frame is kept. `clock` is wall clock in seconds.
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
        """Whether frames are kept now."""
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
        """Keep a frame that was `"sent"` to or `"received"` from a peer, if this is enabled."""
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
        for loop, news in followers:
            try:
                loop.call_soon_threadsafe(news.set)
            except RuntimeError:  # that loop is closed, and whoever followed has gone with it
                self._followers.discard((loop, news))

    def frames(
        self,
        type: str | None = None,
        peer: str | None = None,
        direction: str | None = None,
        *,
        last: int | None = None,
    ) -> pd.DataFrame:
        """Give what is held, oldest first, one frame a row, of one type, peer and direction if they are given.

        The index is the frame's number. Columns: `time` (UTC), `direction`, `peer`, `type`, `bytes` (on the wire),
        `text`. `last` takes the last so many of those that fit.
        """
        import pandas as pd  # when asked: a server that nobody looks at does without

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
                "time": pd.to_datetime([frame.time for frame in wanted], unit="s", utc=True),
                "direction": [frame.direction for frame in wanted],
                "peer": [frame.peer for frame in wanted],
                "type": [frame.type for frame in wanted],
                "bytes": [frame.size for frame in wanted],
                "text": [frame.text for frame in wanted],
            },
            index=pd.Index([frame.number for frame in wanted], dtype="int64", name="frame"),
        )

    def clear(self) -> None:
        """Let go of what is held."""
        with self._lock:
            self._frames.clear()
            self._bytes = 0

    def statistics(self) -> TrafficStatistics:
        """Say how much is held, and how much has gone."""
        with self._lock:
            return TrafficStatistics(len(self._frames), self._bytes, self._recorded, self._recorded - len(self._frames))

    async def log_message(self, direction: str, message: Any) -> None:
        """Keep a message: text, bytes, a `WebSocketMessage`, or anything with a JSON form."""
        if self.enabled:
            self.record(direction, message if isinstance(message, (str, bytes)) else encode(message), "")

    async def process_logs(self) -> None:
        """Write the frames that are held and each that comes, until cancelled: to `stream`, else to the log at INFO.

        If frames come faster than they can be written, it says how many it left out.
        """
        news = asyncio.Event()
        follower = (asyncio.get_running_loop(), news)
        with self._lock:
            self._followers.add(follower)
            seen = 0
        try:
            while True:
                fresh = self._since(seen)
                if fresh and fresh[0].number > seen + 1 and seen:
                    self._write(f"({fresh[0].number - seen - 1} frames left out)")
                for frame in fresh:
                    self._write(f"{frame.direction} {frame.peer} {frame.type} {frame.size} B: {frame.text[:500]!r}")
                    seen = frame.number
                await news.wait()
                news.clear()
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
