"""The messages that characters said to each other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import pandas as pd

from ..core.counting import counted
from ..protocol.messages import MessageTypes
from .cells import cell_text
from .growing_table import LogPanel
from .packing import Kind

TURNS: Final = 20
"""How many turns before and after a message its conversation shows."""
LOOKED_AT: Final = 2_000
"""How many messages before and after one are searched for its conversation."""


class ChatTable(LogPanel):
    """A thousand messages at a time of all that are held: who said what to whom, and between which of them."""

    title: ClassVar[str] = "chat"
    talks: ClassVar[bool] = True
    kinds: ClassVar[Sequence[str] | None] = (MessageTypes.CHAT_MESSAGE,)
    empty: ClassVar[str] = "Nobody has said anything yet. Messages appear as the simulation tells of them."
    columns: ClassVar[dict[str, Kind]] = {
        "time": "time",
        "tick": "number",
        "between": "text",
        "character_id": "text",
        "to": "text",
        "content": "text",
        "channel": "text",
    }

    def conversation(self, key: str) -> dict[str, Any]:
        """Return what the same characters said to each other around a message, by turns, as the page shows a chain."""
        row = self.row_of(key)
        if row is None:
            raise KeyError(key)
        rows = self._reader.rows_of(self.kinds)
        place = bisect_left(rows, row)
        near = self.frame(rows[max(0, place - LOOKED_AT) : place + LOOKED_AT])
        who = str(near.at[row, "between"])
        said = near[near["between"].eq(who)]
        at = said.index.tolist().index(row)
        turns = said.iloc[max(0, at - TURNS) : at + TURNS + 1]
        speakers = list(dict.fromkeys(turns["character_id"].astype(object)))
        links = [
            [
                speakers.index(turn["character_id"]), int(number), _time(turn["time"]), _whole(turn["tick"]),
                "said" if number != row else "this one", cell_text(turn["character_id"]), "", turn["content"] or "",
            ]
            for number, turn in zip(turns.index.tolist(), turns.to_dict("records"), strict=True)
        ]  # fmt: skip
        left = len(said) - len(turns)
        notes = [f"{counted(left, 'more message')} of theirs, earlier or later."] if left else []
        return {"title": f"Conversation of {who or 'nobody named'}", "links": links, "notes": notes}

    def frame(self, rows: Sequence[int]) -> pd.DataFrame:
        """See `LogPanel`."""
        frame = self._reader.frame_of(rows)
        payloads = [self._reader.payload(int(row)) for row in frame.index]
        said: list[dict[str, Any]] = [payload if isinstance(payload, dict) else {} for payload in payloads]
        to = [_names(each.get("receivers")) for each in said]
        speakers = [None if pd.isna(who) else str(who) for who in frame["character_id"].astype(object)]
        between = [
            " · ".join(sorted({*names, *([who] if who else [])})) for names, who in zip(to, speakers, strict=True)
        ]
        more: dict[str, list[Any]] = {
            "between": between,
            "to": [", ".join(names) for names in to],
            "content": [cell_text(each.get("content")) for each in said],
            "channel": [cell_text(each.get("channel")) for each in said],
        }
        return frame.assign(**{name: pd.Series(v, index=frame.index, dtype=object) for name, v in more.items()})


def _time(value: Any) -> float | None:
    return None if pd.isna(value) else float(value.timestamp())


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def _names(receivers: Any) -> list[str]:
    if receivers is None:
        return []
    return [str(name) for name in receivers] if isinstance(receivers, list) else [str(receivers)]
