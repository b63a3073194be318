"""The stays of a run read by pieces are those of its timeline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from degentcivil_nb.store import stay_pieces
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.store.schema import NAT, Ints, Mask
from degentcivil_nb.store.stay_pieces import OPEN, stays_where
from degentcivil_nb.store.timeline import ToldRows
from tests.support.random_town import town


@pytest.mark.parametrize("seed", range(12))
def test_all_stays_by_pieces_are_the_timeline(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stay_pieces, "TOGETHER", 16)
    store = town(seed)
    seen: list[Ints] = []

    def keep(begin: ToldRows, ends: Ints) -> Mask:
        seen.append(ends)
        return np.ones(len(ends), np.bool_)

    found = stays_where(store.pieces(23), keep)

    pd.testing.assert_frame_equal(found, store.timeline())
    pd.testing.assert_frame_equal(stays_where(store.pieces(23)), found)
    assert (np.concatenate(seen) != NAT).all()
    assert (np.concatenate(seen) == OPEN).sum() == found["end"].isna().sum()


@pytest.mark.parametrize("seed", range(12))
def test_stays_without_an_end_end_where_they_began_but_for_each_characters_last(seed: int) -> None:
    store = town(seed)
    whole = store.timeline()

    found = stays_where(store.pieces(23), lambda begin, _: np.ones(len(begin.rows), np.bool_), hidden_ends=True)

    last = whole.sort_values("start", kind="stable").groupby("character_id", observed=True).tail(1).index
    hidden = whole["end"].isna() & ~whole.index.isin(last)
    pd.testing.assert_series_equal(found["end"], whole["end"].mask(hidden, whole["start"]))


def test_a_run_without_events_has_no_stays() -> None:
    store = EventStore()

    found = stays_where(store.pieces(), lambda begin, _: np.ones(len(begin.rows), np.bool_))

    pd.testing.assert_frame_equal(found, store.timeline())
