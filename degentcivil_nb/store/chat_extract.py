"""Who said something to whom and when, without what was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import Raw, Struct
from msgspec.json import Decoder

from ..protocol.errors import WebSocketError
from ..protocol.json_text import FOREIGN, decode
from ..protocol.messages import MessageTypes
from .payloads import read_payload
from .pieces import Extract, Extracted, Numbered, Piece, used_words
from .selection import has_word
from .table import Array


def _make(piece: Piece) -> Extracted:
    view = piece.view()
    places = np.flatnonzero(has_word(view, "type", MessageTypes.CHAT_MESSAGE))
    if not len(places):
        return CHAT.empty()
    at, told = _told(piece.payloads(places))
    names = Numbered()
    codes = names.codes(name for receivers in told for name, _, _ in receivers)
    listed = np.array([listed for receivers in told for _, listed, _ in receivers], np.bool_)
    alone = np.array([alone for receivers in told for _, _, alone in receivers], np.bool_)
    counts = np.array([len(receivers) for receivers in told])
    rows = np.repeat(places, counts[at])
    ends = np.cumsum(counts[at])
    of = np.repeat((np.cumsum(counts) - counts)[at] - ends + counts[at], counts[at]) + np.arange(ends[-1])
    who, words = used_words(view.columns["character_id"][rows], view.dictionaries["character_id"].words)
    columns = {"place": rows, "time": view.columns["time"][rows], "character_id": who, "receiver": codes[of]}
    return Extracted(
        columns | {"listed": listed[of], "alone": alone[of]}, {"character_id": words, "receiver": names.words}
    )


class _Told(Struct, gc=False):
    receivers: Raw = Raw(b"null")


_decode_lines = Decoder(_Told).decode_lines
Receivers = list[tuple[str | None, bool, bool]]


def _told(payloads: Sequence[bytes]) -> tuple[Array, list[Receivers]]:
    """Return the receivers that messages name, each list of them once, and which list a message has."""
    known: dict[bytes, int] = {}
    try:
        read = _decode_lines(b"\n".join(payloads))
        if len(read) == len(payloads):
            at = [known.setdefault(bytes(one.receivers), len(known)) for one in read]
            return np.array(at), [_receivers(decode(Any, said)) for said in known]
    except (*FOREIGN, WebSocketError):
        pass  # decoded one by one below
    decoded = map(read_payload, payloads)
    told = [payload.get("receivers") if isinstance(payload, dict) else None for payload in decoded]
    return np.arange(len(told)), [*map(_receivers, told)]


def _receivers(said: Any) -> Receivers:
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
