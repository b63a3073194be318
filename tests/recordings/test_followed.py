"""What a session's store made of messages is recorded as if the messages had been read again."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from degentcivil_nb.recordings import recorder as recording
from degentcivil_nb.recordings.column_store import ColumnStore
from degentcivil_nb.recordings.recorder import Recorder
from degentcivil_nb.session.recording import Recording
from degentcivil_nb.store.event_store import EventStore
from tests.store.test_model import STEPS, batches_of
from tests.support.recording_helpers import EPOCH, assert_same_answers
from tests.support.sizes import examples


@settings(max_examples=examples(20), deadline=None)
@given(STEPS, st.integers(1, 12))
def test_what_was_taken_from_the_store_is_answered_as_by_it(steps: list[Any], segment: int) -> None:
    store = EventStore()
    before, recording.PACKED = recording.PACKED, 1  # type: ignore[misc]  # every list is packed with what was taken
    try:
        with tempfile.TemporaryDirectory() as name:
            recorder = Recorder(Path(name) / "run", segment_messages=segment)
            for number, batch in enumerate(filter(None, batches_of(steps))):
                taken = store.take(batch, 1_500.0 + number, EPOCH)
                recorder.put(list(batch), 1_500.0 + number, EPOCH, taken)
            recorder.close()
            with Recording(Path(name) / "run") as found:
                assert isinstance(found._store, ColumnStore)
                assert_same_answers(store, found)
                assert found._store.names == store.names
                for column in ("state", "location", "character_id", "type"):
                    assert found._store.words[column].words == store.words[column].words
    finally:
        recording.PACKED = before  # type: ignore[misc]
