"""Changes of state, counted from the stays of characters."""

from __future__ import annotations

import numpy as np
import pandas as pd


def moves_of(stays: pd.DataFrame) -> pd.DataFrame:
    """Return each change of state in a timeline: `before`, `after` (codes of states) and `time`.

    A stay follows another of its character if it begins where that one ends; after a gap the state before is unknown.
    """
    table = pd.DataFrame({"after": stays["state"].cat.codes.astype("int64"), "time": stays["start"]})
    known = table.assign(end=stays["end"])
    earlier = known.groupby(stays["character_id"].cat.codes)[["after", "end"]].shift()
    moved = (earlier["end"] == table["time"]) & (earlier["after"] != table["after"])
    return table.assign(before=earlier["after"].fillna(-1).astype("int64"))[moved.to_numpy(bool)]


def move_table(moves: pd.DataFrame, states: pd.Index) -> pd.DataFrame:
    """Return the square table of counts: from-states as rows, to-states as columns, in order of appearance."""
    before, after = moves["before"].to_numpy(np.int64), moves["after"].to_numpy(np.int64)
    codes = np.unique(np.concatenate([before, after]))
    counts = np.zeros((len(codes), len(codes)), np.int64)
    np.add.at(counts, (np.searchsorted(codes, before), np.searchsorted(codes, after)), 1)
    names = states[codes].astype("str")
    return pd.DataFrame(counts, names.rename("from"), names.rename("to"))
