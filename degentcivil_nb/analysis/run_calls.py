"""All calls of language models of a run, put together from the extracts of its pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..core.json_answers import is_usual
from ..core.progress import Progress, following_cell
from ..store.call_extract import CALLS
from ..store.columns import Dictionary
from ..store.pieces import Extracted, Numbered, Piece, Pieces

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


def chosen_calls(
    pieces: Pieces, names: Sequence[str] | None, since: int | None, until: int | None, last: int | None
) -> pd.Series[Any]:
    """Tell by row which calls that pass filters are malformed, judged by all calls; NA without an answer.

    Times are in nanoseconds; `since` is inclusive, `until` exclusive.
    """
    with following_cell("looking through calls") as progress:
        calls = run_calls(watched(pieces.parts, progress), pieces.words, ("time",)).columns
    keep = np.ones(len(calls["row"]), np.bool_)
    if names is not None:
        keep &= np.isin(calls["character_id"], [pieces.words["character_id"].get(name, -2) for name in names])
    if since is not None:
        keep &= calls["time"] >= since
    if until is not None:
        keep &= calls["time"] < until
    places = np.flatnonzero(keep)
    if last is not None:
        places = places[max(0, len(places) - last) :]
    malformed = pd.arrays.BooleanArray(calls["malformed"][places], ~calls["answered"][places])
    return pd.Series(malformed, calls["row"][places])


def watched(parts: Sequence[Piece], progress: Progress) -> Iterator[tuple[int, Piece]]:
    """Yield numbered pieces, and say how far it is."""
    for number, part in enumerate(parts):
        yield number, part
        progress(number + 1, len(parts))


def _judged(kinds: Array, answers: npt.NDArray[np.bool_], json: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which answers should be JSON: those to kinds of prompts where that is usual."""
    size = int(kinds.max(initial=-1)) + 2  # the first one for calls without a kind
    of = np.bincount(kinds[answers] + 1, minlength=size)
    right = np.bincount(kinds[answers & json] + 1, minlength=size)
    pairs = enumerate(zip(of.tolist(), right.tolist(), strict=True))
    usual = np.array([is_usual(place or None, *pair) for place, pair in pairs], np.bool_)
    found: npt.NDArray[np.bool_] = answers & usual[kinds + 1]
    return found
