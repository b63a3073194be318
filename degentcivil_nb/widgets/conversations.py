"""The conversations of a run: who talked with whom, collected from its messages in short turns."""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import Any, Final

import pandas as pd

from ..protocol.messages import MessageTypes
from .cells import cell_text, payloads_of
from .interfaces import PanelReader

PIECE: Final = 500
TURN_S: Final = 0.03
"""The time that one turn may take: a long run is read over several."""
SHOWN: Final = 200
"""The most conversations that are listed, the newest first."""
PAUSE_TICKS: Final = 30
"""The ticks without a message after which a meeting is over."""
LONG: Final = 30
"""The number of messages without such a pause from which on a meeting that still goes on is marked as endless."""


class Conversations:
    """The rows of each group of characters that talks, and the turns of its last meeting."""

    def __init__(self, reader: PanelReader) -> None:
        self._reader = reader
        self.read_to = 0
        """The row up to which all messages were read."""
        self._rows: dict[str, list[int]] = {}
        self._meeting: dict[str, tuple[int, int]] = {}  # the last tick, and the messages up to it without a pause
        self.read = 0

    def catch_up(self) -> int:
        """Read more messages for a moment, and return how many were read."""
        end = time.perf_counter() + TURN_S
        while time.perf_counter() < end:
            rows = self._reader.rows_of((MessageTypes.CHAT_MESSAGE,), self.read_to)[:PIECE]
            if not len(rows):
                break
            frame = said_of(self._reader, self._reader.frame_of(rows))
            for row, between, tick in zip(frame.index.tolist(), frame["between"], frame["tick"], strict=True):
                self._rows.setdefault(between, []).append(row)
                if pd.isna(tick):
                    continue
                last, turns = self._meeting.get(between, (int(tick), 0))
                self._meeting[between] = int(tick), (turns if int(tick) - last <= PAUSE_TICKS else 0) + 1
            self.read_to = int(rows[-1]) + 1
            self.read += len(rows)
        return self.read

    def rows(self, between: str) -> list[int]:
        """Return the rows of the messages between these characters."""
        return self._rows.get(between, [])

    def told(self, until: int | None) -> dict[str, Any]:
        """Return the conversations up to a row, the newest first: characters, messages, the last one and its length."""
        counts = {who: len(rows) if until is None else bisect_right(rows, until) for who, rows in self._rows.items()}
        lasts = {who: self._rows[who][count - 1] for who, count in counts.items() if count}
        newest = sorted(lasts, key=lambda who: -lasts[who])[:SHOWN]
        tick = self._tick_of(self._reader.next_row - 1) if until is None and newest else None
        listed = []
        for who in newest:
            last, turns = self._meeting.get(who, (0, 0))
            endless = tick is not None and turns >= LONG and tick - last <= PAUSE_TICKS
            listed.append([who, counts[who], lasts[who], self._tick_of(lasts[who]), turns if endless else 0])
        return {"listed": listed, "all": len(lasts)}

    def _tick_of(self, row: int) -> int | None:
        return self._reader.moment_of(row).tick


def said_of(reader: PanelReader, frame: pd.DataFrame) -> pd.DataFrame:
    """Add to rows of messages their conversation, receivers, text and channel."""
    payloads = payloads_of(reader, frame.index.tolist())
    said: list[dict[str, Any]] = [payload if isinstance(payload, dict) else {} for payload in payloads]
    to = [_names(each.get("receivers")) for each in said]
    speakers = [None if pd.isna(who) else str(who) for who in frame["character_id"].astype(object)]
    names = [sorted({*each, *([who] if who else [])}) for each, who in zip(to, speakers, strict=True)]
    more: dict[str, list[Any]] = {
        "names": names,
        "between": [" · ".join(each) for each in names],
        "to": [", ".join(each) for each in to],
        "content": [cell_text(each.get("content")) for each in said],
        "channel": [cell_text(each.get("channel")) for each in said],
    }
    return frame.assign(**{name: pd.Series(told, frame.index, dtype=object) for name, told in more.items()})


def _names(receivers: Any) -> list[str]:
    if receivers is None:
        return []
    return [str(name) for name in receivers] if isinstance(receivers, list) else [str(receivers)]
