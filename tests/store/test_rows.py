"""Questions that name rows: the same answers from memory, from disk, and from `events`, whatever was dropped."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from degentcivil_nb.protocol.messages import MessageTypes
from degentcivil_nb.recordings.long_store import LongStore
from degentcivil_nb.recordings.segment_reader import SegmentFolder
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.store.llm import LLM_TYPES
from tests.recordings.test_recording import told
from tests.store.test_model import STEPS, batches_of
from tests.support.recording_helpers import written

TYPES = ([MessageTypes.STATE_CHANGE], [MessageTypes.ERROR, MessageTypes.LLM_CALL], ["no such type"])


@settings(max_examples=15, deadline=None)
@given(STEPS, st.integers(1, 12), st.integers(0, 40), st.integers(0, 40))
def test_rows_answer_alike_in_memory_and_on_disk(steps: list[Any], segment: int, start: int, more: int) -> None:
    store, entries = told(batches_of(steps))
    with tempfile.TemporaryDirectory() as name:
        long = LongStore(SegmentFolder(written(Path(name) / "run", entries, close=True, segment_messages=segment)))
        stop = start + more
        events = store.events()
        for types in (None, *TYPES):
            rows = store.rows_of(types, start, stop)
            wanted = events if types is None else events[events["type"].isin(types)]
            assert list(rows) == [row for row in wanted.index if start <= row < stop]
            assert list(long.rows_of(types, start, stop)) == list(rows)
            assert list(long.rows_of(types)) == list(store.rows_of(types))
            pd.testing.assert_frame_equal(store.frame_of(rows), events.loc[list(rows)])
            pd.testing.assert_frame_equal(long.frame_of(rows), store.frame_of(rows), check_categorical=False)
        found = store.rows_where("tick >= 2 and new_state != 'MOVE'", start, stop)
        assert np.array_equal(long.rows_where("tick >= 2 and new_state != 'MOVE'", start, stop), found)
        assert found.tolist() == [
            row for row in store.events(where="tick >= 2 and new_state != 'MOVE'").index if start <= row < stop
        ]
        calls = store.rows_of(LLM_TYPES)
        pd.testing.assert_frame_equal(store.calls_of(calls), store.llm_calls())
        pd.testing.assert_frame_equal(long.calls_of(calls), store.llm_calls(), check_categorical=False)
        for row in range(len(store)):
            assert long.moment_of(row)[:1] == store.moment_of(row)[:1]
            assert long.moment_of(row).time == store.moment_of(row).time
        for tick in range(4):
            assert long.row_at(tick=tick) == store.row_at(tick=tick)
        if len(store):
            for time in events["time"].sample(3, replace=True, random_state=1):
                assert long.row_at(at=time) == store.row_at(at=time)


def test_rows_that_were_dropped_are_left_out() -> None:
    store = EventStore(max_rows=3)
    assert list(store.rows_of(None)) == []
    assert len(store.frame_of([1, 2])) == 0
    assert len(store.calls_of([])) == 0
    assert store.row_at(tick=3) is None
