"""The messages that characters said to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd

from ..protocol.messages import MessageTypes
from .cells import cell_text
from .growing_table import LogPanel
from .packing import Kind


class ChatTable(LogPanel):
    """A thousand messages at a time of all that are held: who said what to whom, and between which of them."""

    title: ClassVar[str] = "chat"
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


def _names(receivers: Any) -> list[str]:
    if receivers is None:
        return []
    return [str(name) for name in receivers] if isinstance(receivers, list) else [str(receivers)]
