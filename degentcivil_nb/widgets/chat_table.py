"""The messages that characters said to each other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Final

import pandas as pd

from ..core.counting import counted
from ..protocol.messages import MessageTypes
from .cells import cell_text
from .chosen_rows import ChosenRows
from .conversations import Conversations, said_of
from .packing import Kind

TURNS: Final = 20
"""How many turns before and after a message its conversation shows."""
LOOKED_AT: Final = 2_000
"""How many messages before and after one are searched for its conversation."""


class ChatTable(ChosenRows):
    """All messages held, a thousand at a time: who said what to whom, and in which conversation."""

    title: ClassVar[str] = "chat"
    script: ClassVar[str] = "chat"
    choice: ClassVar[str] = "talk"
    talks: ClassVar[bool] = True
    kinds: ClassVar[Sequence[str] | None] = (MessageTypes.CHAT_MESSAGE,)
    empty: ClassVar[str] = (
        "Nobody has said anything yet. Messages appear when the simulation publishes them: probe.said(…)."
    )
    columns: ClassVar[dict[str, Kind]] = {
        "time": "time",
        "tick": "number",
        "character_id": "text",
        "to": "text",
        "content": "text",
        "channel": "text",
        "between": "text",
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
        if len(near) < len(rows):
            notes.append(f"Looked for in {len(near):,} messages around it, of {len(rows):,} in all.")
        return {"title": f"Conversation of {who or 'nobody named'}", "links": links, "notes": notes}

    def frame(self, rows: Sequence[int]) -> pd.DataFrame:
        """See `LogPanel`."""
        return said_of(self._reader, self._reader.frame_of(rows))

    # --- the list of conversations ------------------------------------------------------------------------------

    @cached_property
    def _talks(self) -> Conversations:
        return Conversations(self._reader)

    def read(self) -> int:
        """See `ChosenRows`."""
        return self._talks.read

    def read_to(self) -> tuple[int, int]:
        """See `ChosenRows`: messages are read once."""
        return 0, self._talks.read_to

    def read_on(self) -> int:
        """See `ChosenRows`."""
        return self._talks.catch_up()

    def rows_chosen(self, chosen: str) -> list[int]:
        """See `ChosenRows`: the messages of one conversation."""
        return self._talks.rows(chosen)

    def listed(self) -> dict[str, Any]:
        """See `ChosenRows`: the conversations up to the moment shown."""
        until = None if self.moment is None else self.moment.row
        return {"talks": {**self._talks.told(until), "chosen": self._chosen}}


def _time(value: Any) -> float | None:
    return None if pd.isna(value) else float(value.timestamp())


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)
