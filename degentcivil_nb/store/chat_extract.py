"""Who said something to whom and when, without what was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct
from msgspec.json import Decoder

from ..protocol.json_text import FOREIGN
from ..protocol.messages import MessageTypes
from .payloads import read_payload
from .pieces import Extract, Extracted, Numbered, Piece, used_words
from .selection import has_word


def _make(piece: Piece) -> Extracted:
    view = piece.view()
    places = np.flatnonzero(has_word(view, "type", MessageTypes.CHAT_MESSAGE))
    if not len(places):
        return CHAT.empty()
    told = [_receivers(said) for said in _told(piece.payloads(places))]
    names = Numbered()
    codes = names.codes(name for receivers in told for name, _, _ in receivers)
    listed = np.array([listed for receivers in told for _, listed, _ in receivers], np.bool_)
    alone = np.array([alone for receivers in told for _, _, alone in receivers], np.bool_)
    at = np.repeat(places, [len(receivers) for receivers in told])
    who, words = used_words(view.columns["character_id"][at], view.dictionaries["character_id"].words)
    columns = {"place": at, "time": view.columns["time"][at], "character_id": who, "receiver": codes}
    return Extracted(columns | {"listed": listed, "alone": alone}, {"character_id": words, "receiver": names.words})


class _Told(Struct):
    receivers: Any = None


_decode_lines = Decoder(_Told).decode_lines


def _told(payloads: Sequence[bytes]) -> list[Any]:
    """Return what messages say about their receivers."""
    try:
        read = _decode_lines(b"\n".join(payloads))
        if len(read) == len(payloads):
            return [one.receivers for one in read]
    except FOREIGN:
        pass  # decoded one by one below
    decoded = map(read_payload, payloads)
    return [payload.get("receivers") if isinstance(payload, dict) else None for payload in decoded]


def _receivers(said: Any) -> list[tuple[str | None, bool, bool]]:
    """Return the receivers of a message, for each whether it is in a list, and whether it is a name and the only one.

    A message without a receiver has one that is `None`.
    """
    if isinstance(said, list):
        alone = len(said) == 1 and isinstance(said[0], str | int)
        return [(str(name), True, alone) for name in said] or [(None, False, False)]
    return [(str(said), False, True)] if isinstance(said, str | int) else [(None, False, False)]


CHAT: Final = Extract(
    "chat",
    1,
    {
        "place": "i8",
        "time": "i8",
        **dict.fromkeys(("character_id", "receiver"), "i4"),
        **dict.fromkeys(("listed", "alone"), "?"),
    },
    frozenset(("character_id", "receiver")),
    _make,
    (MessageTypes.CHAT_MESSAGE,),
)
"""A row for each receiver of each message, or one without a receiver; `time` in nanoseconds since 1970."""
