"""Playback of a recording: due messages are published as they were recorded, and skipped ones are declared."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..protocol.codec import malformed
from ..protocol.control_payloads import Gap, Snapshot
from ..protocol.errors import WebSocketError
from ..protocol.json_text import FOREIGN, decode
from ..protocol.messages import ORDERED_CONTROL, MessageTypes, RawMessage, WebSocketMessage
from ..recordings.index import SegmentSummary
from ..server.simulation_websocket import SimulationWebSocket
from ..server.stream.snapshot import SnapshotBuilder
from .breakpoints import ReplayBreakpoints
from .seek_index import SeekTarget, TapeItem
from .tape import Playhead, ReplayState, SeekResult, Tape

_AHEAD: Final = 2_000
_TURN: Final = 500
_PATIENCE_BYTES: Final = 4 << 20
"""The bytes after which the player waits for clients, so that a fast replay does not outrun them."""
_PATIENCE_S: Final = 1.0
TOLD_EVERY_S: Final = 1.0
LONGEST_S: Final = 8.0
"""The longest time for a command, which clients give up after ten seconds."""
_MAX_LOST: Final = 1 << 40
_sound = msgspec.json.Decoder(Raw).decode


class Player:
    """A player of a tape to a server, from the playhead on. All methods run on the server's loop, one at a time."""

    def __init__(
        self,
        tape: Tape,
        server: SimulationWebSocket,
        head: Playhead,
        say_shortened: Callable[[float], None],
        later: Callable[[float, Callable[[], None]], Any],
    ) -> None:
        self.state = ReplayState(server.feed.present)
        self.breakpoints = ReplayBreakpoints(server, self.state, later)
        self.head = head
        self._tape = tape
        self._say_shortened = say_shortened
        self._server = server
        self._ahead: deque[TapeItem] = deque()
        self._told_bytes = 0
        self._reading: asyncio.Task[None] | None = None
        self._winding: asyncio.Task[SeekResult] | None = None

    async def close(self) -> None:
        """Stop reading."""
        self._tape.close()
        at_work = [task for task in (self._reading, self._winding) if task is not None]
        await asyncio.gather(*at_work, return_exceptions=True)

    async def has_more(self) -> bool:
        """Read ahead if necessary; return whether there is more."""
        if not self._ahead:
            self._ahead.extend(await asyncio.to_thread(self._tape.read, _AHEAD))
        return bool(self._ahead)

    async def play(self, is_interrupted: Callable[[], bool]) -> float | None:
        """Publish the messages that are due, up to a breakpoint; return the seconds to the next, `None` at the end."""
        told = 0
        while await self.has_more():
            if self.breakpoints.met_before(self._ahead[0].message.tick):
                return 0
            left_out = self.head.left_out_s
            wait = self.head.wait_s(self._ahead[0].moment)
            if self.head.left_out_s > left_out:
                self._say_shortened(self.head.left_out_s - left_out)
            if wait > 0:
                return wait
            await self._tell_next()
            told += 1
            if self.breakpoints.met:
                return 0
            if told >= _TURN or is_interrupted():
                await asyncio.sleep(0)
                return 0
        return 0 if self.breakpoints.met_at_end() else None

    async def step(self, ticks: int) -> int:
        """Publish the messages of that many ticks at once, or, without ticks, that many events, up to a breakpoint.

        Returns how many ticks or events there were; one that a breakpoint cut short counts too.
        """
        left = ticks
        begun = self.state.tick
        while await self.has_more():
            item = self._ahead[0]
            upto = (
                item.message.tick
                if begun is None or item.message.tick is None
                else min(item.message.tick, begun + left + 1)
            )
            if self.breakpoints.met_before(upto):
                left -= (self.state.tick or 0) - (begun or 0)
                break
            tick = item.message.tick
            if self._tape.last_tick is None:
                cost = int(item.message.type not in ORDERED_CONTROL)
            elif tick is None or tick == begun:
                cost = 0
            else:  # ticks that start over, as in another run, count as one
                cost = tick - begun if begun is not None and tick > begun else 1
            if cost > left:
                if begun is not None and self._tape.last_tick is not None:
                    self.state.tick = begun + left
                break
            left -= cost
            begun = begun if tick is None else tick
            await self._tell_next()
            if self.breakpoints.met:
                break
        else:
            self.breakpoints.met_at_end()
        self.head.set_moment(self.state.moment)
        return ticks - left

    # --- going elsewhere --------------------------------------------------------------------------------------------

    async def seek(self, target: SeekTarget, back: bool, progress: Callable[[int, int], None]) -> None:
        """Go to a target; declare the messages in between as a gap, and publish a snapshot there.

        `progress` is called each second with the number of messages read. Raises `WebSocketError` 1104 if a recording
        without an index must be read first, and that takes too long; reading continues then.
        """
        beginning = await self._beginning(target, back, progress)
        state = ReplayState(SnapshotBuilder()) if back or beginning is not None else self.state.branch()
        wind = self._winding = asyncio.create_task(
            asyncio.to_thread(self._tape.advance, state, target, list(self._ahead), beginning)
        )
        while not await _is_done(wind):
            progress(self._tape.events_read, self._tape.folder.messages)
        skipped, ahead = wind.result()
        self._ahead = deque(ahead)
        if skipped or back:
            self.state.become(state)
            # going back uses a seq of its own: what follows is not a continuation
            self._server.history.append_lost(self._server.epoch, 1 if back else skipped, "seek")
            self._show_present()
            self.breakpoints.start_over()

    async def _beginning(
        self, target: SeekTarget, back: bool, progress: Callable[[int, int], None]
    ) -> SegmentSummary | None:
        """Return where to start reading; the recording may have to be read first to find out."""
        seek_index, total = self._tape.seek_index, self._tape.folder.messages
        begun = asyncio.get_running_loop().time()
        while True:
            try:
                return await asyncio.to_thread(self._tape.begin_at, target, back)
            except LookupError:
                pass
            if self._reading is None:
                self._reading = asyncio.create_task(asyncio.to_thread(seek_index.read_on, target))
            while not await _is_done(self._reading):
                done = seek_index.index.messages
                progress(done, total)
                if asyncio.get_running_loop().time() - begun >= LONGEST_S:
                    raise WebSocketError(
                        WebSocketError.TIMEOUT,
                        f"the recording is being read for the first time, {done:,} of {total:,} messages by now; "
                        "seek again later",
                    )
            reading, self._reading = self._reading, None
            reading.result()

    # --- publishing ---------------------------------------------------------------------------------------------------

    async def _tell_next(self) -> None:
        self._tell(self._ahead.popleft())
        if self._told_bytes > _PATIENCE_BYTES:
            self._told_bytes = 0
            await self._server.caught_up(_PATIENCE_S)

    def _tell(self, item: TapeItem) -> None:
        message = item.message
        self.state.note(item)
        if message.type == MessageTypes.GAP:
            self._lose(message)
        elif message.type == MessageTypes.SNAPSHOT:
            if self.state.snapshot(message):
                self._show_present()
                self.breakpoints.hold_back(item.epoch, decode(Snapshot, message.data))
        elif message.type not in ORDERED_CONTROL:  # the state of the recorded run; the replay has a state of its own
            self.breakpoints.seed_before(item.epoch, message.seq)
            self._publish(item)
        self._told_bytes += len(message.data) + 200

    def _publish(self, item: TapeItem) -> None:
        message = item.message
        tick = message.tick if message.tick is not None and message.tick >= 0 else None
        when = item.moment if message.timestamp is None else message.timestamp
        try:
            _sound(message.data)
            self.breakpoints.tell(
                WebSocketMessage(message.type, message.data, when, None, tick, message.id, *message.links())
            )
        except (WebSocketError, *FOREIGN) as error:  # a recording from another program may hold anything
            bad = malformed(bytes(message.data), error)
            self.breakpoints.tell(WebSocketMessage(bad.type, bad.data, when, None, tick))

    def _lose(self, message: RawMessage) -> None:
        """Declare a gap of the recording in this stream."""
        try:
            gap = decode(Gap, message.data)
        except WebSocketError:
            gap = Gap(None, reason="unreadable")
        known = gap.start is not None and gap.end is not None and 0 <= gap.end - gap.start < _MAX_LOST
        if known:
            assert gap.start is not None and gap.end is not None
            self._server.history.append_lost(self._server.epoch, gap.end - gap.start + 1, gap.reason)
        else:
            self._server.history.append_lost(self._server.epoch, 1, f"{gap.reason}, of unknown size")

    def _show_present(self) -> None:
        history = self._server.history
        for frame in self.state.present.snapshot(history.head, self._server.max_message_bytes):
            history.append_control(frame, MessageTypes.SNAPSHOT)


async def _is_done(task: asyncio.Task[Any]) -> bool:
    """Wait for a task, until it is done or progress is due; return whether it is done."""
    await asyncio.wait({task}, timeout=TOLD_EVERY_S)
    return task.done()
