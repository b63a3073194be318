"""The columns that a store made of lists of messages, joined and translated to the words of another store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from ..core.event_columns import PAYLOAD_WORDS
from ..store.columns import Dictionary
from ..store.ingested import ColumnWords, Ingested
from ..store.schema import NOWHERE, Codes
from ..store.table import Array, Batch

WORDS: Final = ("type", *PAYLOAD_WORDS)
"""The columns whose words are translated. Each list has one epoch, and sources of time are the same everywhere."""
FILLS: Final = dict.fromkeys(WORDS, -1)
"""The values of columns that a list lacks; 0 for all other columns."""
UNKNOWN: Final = -2


class Translation:
    """The codes of another store's words in the words of this one.

    Words are numbered as they appear in the messages, as if these had been read again. So a recording that begins in
    the middle of a run has no words that occurred only before.
    """

    def __init__(self, theirs: Mapping[str, Dictionary], mine: Mapping[str, Dictionary]) -> None:
        self.theirs = theirs
        self._mine = mine
        # by the other store's code; the last entry is for the code -1, no word
        self._codes: dict[str, Codes] = {name: np.array([-1], np.int32) for name in WORDS}

    def learn(self, name: str, codes: Array, rows: Array | None = None) -> None:
        """Number the new words of a column, in the order of the codes, or of their rows."""
        words, known = self.theirs[name].words, self._codes[name]
        if len(known) <= len(words):
            more = np.full(len(words) + 1 - len(known), UNKNOWN, np.int32)
            known = self._codes[name] = np.concatenate([known[:-1], more, known[-1:]])
        if (known[codes] == UNKNOWN).any():
            inorder = codes if rows is None else codes[np.argsort(rows, kind="stable")]
            new, first = np.unique(inorder[known[inorder] == UNKNOWN], return_index=True)
            for code in new[np.argsort(first)].tolist():
                known[code] = self._mine[name][words[code]]

    def __call__(self, name: str, codes: Array) -> Codes:
        """Translate codes of words that were learned."""
        translated: Codes = self._codes[name][codes]
        return translated


def put_together(parts: Sequence[Ingested], epoch: int, translate: Translation) -> Ingested:
    """Return the columns that a store made of lists of one epoch as of a single list, in another store's words."""
    starts = np.cumsum([0, *[part.batch.size for part in parts]]).tolist()
    size = starts.pop()
    places = [slice(start, start + part.batch.size) for start, part in zip(starts, parts, strict=True)]
    names = dict.fromkeys(name for part in parts for name in part.batch.columns)
    columns: dict[str, Any] = {
        name: _column(name, parts, places, size) for name in names if name not in ("epoch", "time_source")
    }
    columns["epoch"] = np.int32(epoch)
    columns["time_source"] = _mask([part.batch.columns["time_source"] for part in parts], places, size)
    masks = {name: _mask([part.batch.masks[name] for part in parts], places, size) for name in ("seq", "tick")}
    previous = None
    told = [
        (start, *states)
        for start, part in zip(starts, parts, strict=True)
        if (states := part.previous_states()) is not None
    ]
    if told:
        at = np.concatenate([rows + start for start, rows, _ in told])
        before = np.concatenate([codes for _, _, codes in told])
        translate.learn("state", np.concatenate([before, columns["state"]]), np.concatenate([at, np.arange(size)]))
        previous = ColumnWords("state", at, [], translate("state", before))
    for name in WORDS:
        if name in columns:
            translate.learn(name, columns[name])
            columns[name] = translate(name, columns[name])
    found = Ingested(
        batch=Batch(size, columns, masks),
        payloads=b"",
        lengths=np.concatenate([part.lengths for part in parts]),
        seqs=columns["seq"],
        words={},
        previous=previous,
    )
    if "code" in columns:
        masks["code"] = _mask([part.batch.masks.get("code", np.True_) for part in parts], places, size)
        found.codes = (columns["code"], masks["code"])
    _add_rows(found, starts, parts)
    return found


def _column(name: str, parts: Sequence[Ingested], places: list[slice], size: int) -> Array:
    values = [part.batch.columns.get(name) for part in parts]
    column = np.full(size, FILLS.get(name, 0), np.int32 if name in WORDS else np.int64)
    for place, value in zip(places, values, strict=True):
        if value is not None:
            column[place] = value
    return column


def _mask(values: list[Any], places: list[slice], size: int) -> Array:
    if all(value is NOWHERE for value in values):
        return NOWHERE
    mask = np.zeros(size, np.bool_)
    for place, value in zip(places, values, strict=True):
        mask[place] = value
    return mask


def _add_rows(found: Ingested, starts: list[int], parts: Sequence[Ingested]) -> None:
    """Add the entries about single rows, such as updates, with translated characters."""
    who = found.batch.columns.get("character_id")
    for start, part in zip(starts, parts, strict=True):
        if part.updates and who is not None:
            rows = np.array(part.updates.rows) + start
            found.updates.add(rows.tolist(), who[rows].tolist(), part.updates.attributes)
        found.places += [(start + row, places) for row, places in part.places]
        found.calls += [(start + row, call) for row, call in part.calls]
        found.links += [(start + row, links) for row, links in part.links]
