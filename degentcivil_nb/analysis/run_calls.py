"""All calls of language models of a run, put together from the extracts of its pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..core.json_answers import is_usual
from ..store.call_extract import CALLS
from ..store.columns import Dictionary
from ..store.pieces import Extracted, Numbered, Piece

Array = npt.NDArray[Any]


class RunCalls(NamedTuple):
    """The columns of calls, as the extract has them, with their `row`; `character_id` has the run's own codes.

    `judged` tells whether the answer should be JSON, and `malformed` whether it should be and is not.
    """

    columns: dict[str, Array]
    words: Mapping[str, Sequence[str]]
    pieces: list[tuple[int, Extracted]]
    """The extracts that have calls, with the numbers of their pieces."""


def run_calls(pieces: Iterable[tuple[int, Piece]], words: Mapping[str, Dictionary], names: Iterable[str]) -> RunCalls:
    """Return the calls in pieces, with the columns of some names."""
    known = words["character_id"]
    models, kinds = Numbered(), Numbered()
    found: list[tuple[int, Extracted]] = []
    rows: list[Array] = []
    codes: dict[str, list[Array]] = {name: [] for name in ("character_id", "model", "prompt_type")}
    for number, piece in pieces:
        calls = piece.extracted(CALLS)
        if len(calls):
            found.append((number, calls))
            rows.append(calls.columns["place"] + piece.first_row)
            codes["character_id"].append(calls.codes("character_id", known))
            codes["model"].append(models.among(calls, "model"))
            codes["prompt_type"].append(kinds.among(calls, "prompt_type"))
    empty = CALLS.empty()
    columns = {"row": np.concatenate([np.zeros(0, np.int64), *rows])}
    columns |= {name: np.concatenate([empty.columns[name], *several]) for name, several in codes.items()}
    for name in {*names, "answered", "json"}:
        columns[name] = np.concatenate([empty.columns[name], *(calls.columns[name] for _, calls in found)])
    columns["judged"] = _judged(columns["prompt_type"], columns["answered"], columns["json"])
    columns["malformed"] = columns["judged"] & ~columns["json"]
    return RunCalls(columns, {"character_id": known.words, "model": models.words, "prompt_type": kinds.words}, found)


def _judged(kinds: Array, answers: npt.NDArray[np.bool_], json: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which answers should be JSON: those to kinds of prompts where that is usual."""
    size = int(kinds.max(initial=-1)) + 2  # the first one for calls without a kind
    of = np.bincount(kinds[answers] + 1, minlength=size)
    right = np.bincount(kinds[answers & json] + 1, minlength=size)
    pairs = enumerate(zip(of.tolist(), right.tolist(), strict=True))
    usual = np.array([is_usual(place or None, *pair) for place, pair in pairs], np.bool_)
    found: npt.NDArray[np.bool_] = answers & usual[kinds + 1]
    return found
