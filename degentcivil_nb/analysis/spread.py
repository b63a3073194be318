"""The spread of something that was said or thought."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ..protocol.json_text import encode
from .presences import Presences, overlaps, presences


def text_in(value: Any) -> str:
    """Return what was said as a single text, for the search."""
    return value.casefold() if isinstance(value, str) else "" if value is None else encode(value).decode().casefold()


def spread_table(
    wanted: str, chat: pd.DataFrame, thoughts: pd.DataFrame, stays: Callable[[], pd.DataFrame]
) -> pd.DataFrame:
    """Return the characters that had a text, in the order of first having it, and from whom each may have it.

    The stays are read only if a character had it and heard it from no one.
    """
    said = [
        (row, speaker, receivers if isinstance(receivers, list) else [], content)
        for row, speaker, receivers, content in zip(
            chat.index.tolist(), chat["character_id"].astype("object"), chat["receivers"], chat["content"], strict=True
        )
    ]
    mused = zip(thoughts.index.tolist(), thoughts["character_id"].astype("object"), thoughts["text"], strict=True)
    events = sorted([*said, *((row, who, None, text) for row, who, text in mused)], key=lambda event: event[0])
    times = pd.concat([chat[["tick", "time"]], thoughts[["tick", "time"]]])
    moments = dict(zip(times.index.tolist(), times["time"].to_numpy("M8[ns]").astype(np.int64).tolist(), strict=True))
    there: list[Presences] = []
    first: dict[str, dict[str, Any]] = {}

    def note(who: Any, row: int, how: str, sources: list[str], content: Any) -> None:
        if isinstance(who, str) and who not in first:
            first[who] = {"character_id": who, "row": row, "how": how, "from": sources, "text": content}

    for row, who, receivers, content in events:
        if wanted not in text_in(content):
            continue
        met: list[str] = []
        if first and who not in first:
            there = there or [presences(stays())]
            met = _met_before(who, moments[row], first, there[0])
        note(who, row, "thought" if receivers is None else "said", met, content)
        for receiver in map(str, receivers or ()):
            note(receiver, row, "heard", [who] if isinstance(who, str) else [], content)
    found = list(first.values())
    rows = [one["row"] for one in found]
    return pd.DataFrame(
        {
            "character_id": pd.Series([one["character_id"] for one in found], dtype="str"),
            "row": pd.Series(rows, dtype="int64"),
            "tick": pd.Series(times["tick"].reindex(rows).array, dtype="Int64"),
            "time": pd.Series(times["time"].reindex(rows).array, dtype="datetime64[ns, UTC]"),
            "how": pd.Series([one["how"] for one in found], dtype="str"),
            "from": pd.Series([one["from"] for one in found], dtype="object"),
            "text": pd.Series([one["text"] for one in found], dtype="object"),
        }
    )


def _met_before(who: Any, moment: int, first: dict[str, dict[str, Any]], there: Presences) -> list[str]:
    """List the characters that had the text before and were in one place with a character up to a moment."""
    if not isinstance(who, str):
        return []
    code = int(there.people.get_indexer(pd.Index([who]))[0])
    met: set[str] = set()
    for mine, other in overlaps(there, code) if code >= 0 else ():
        before = (there.start[mine] <= moment) & (there.start[other] <= moment)
        met.update(there.people[np.unique(there.who[other[before]])])
    return [other for other in first if other != who and other in met]
