"""What a session's store made of messages is recorded as if the messages had been read again."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings import recorder as recording
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.column_store import ColumnStore
from degentcivil_nb.recordings.packed_messages import pack, to_batch
from degentcivil_nb.recordings.recorder import Recorder
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.session.recording import Recording
from degentcivil_nb.store.event_store import EventStore
from tests.store.test_model import STEPS, batches_of
from tests.support.planted_runs import Held
from tests.support.recording_helpers import EPOCH, assert_same_answers, message_at
from tests.support.sizes import examples


@settings(max_examples=examples(20), deadline=None)
@given(STEPS, st.integers(1, 12), st.sampled_from([1, 256]))
def test_what_was_taken_from_the_store_is_answered_as_by_it(steps: list[Any], segment: int, packed: int) -> None:
    store = EventStore()
    before, recording.PACKED = recording.PACKED, packed  # type: ignore[misc]  # 1: every list is packed
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


@pytest.mark.parametrize(
    "kinds", (["own"], ["own", "state_change", "other"], ["x" * 300 + "a", "own", "x" * 300 + "b"])
)
def test_messages_packed_with_a_stores_columns_are_the_same_batch_as_without(kinds: list[str]) -> None:
    def told(seq: int, kind: str) -> RawMessage:
        said = message_at(seq)
        return said if kind == said.type else RawMessage(kind, Raw(b"{}"), 1.0, seq)

    store = EventStore()
    store.append([told(1, "earlier"), told(2, "other")], 1.0, EPOCH)
    messages = [told(seq, kinds[seq % len(kinds)]) for seq in range(3, 30)]
    taken = store.take(messages, 2.0, EPOCH)
    assert taken
    packs = [pack([RecordedMessage(messages, 2.0, EPOCH, with_store)]) for with_store in (taken, ())]
    together, apart = (to_batch([one, one], 0) for one in packs)
    assert together.equals(apart)
    assert together.column("type").to_pylist() == [message.type for message in messages] * 2


def test_a_recording_of_the_rest_of_a_run_has_only_its_own_words(tmp_path: Path) -> None:
    store = EventStore()
    store.append([RawMessage("party", Raw(b"{}"), 1.0, 1), message_at(2)], 1.0, EPOCH)
    rest = [message_at(seq) for seq in range(9, 3, -1)]
    taken = store.take(rest, 2.0, EPOCH)
    assert taken
    for number, entry in enumerate((RecordedMessage(rest, 2.0, EPOCH, taken), RecordedMessage(rest, 2.0, EPOCH))):
        writer = SegmentWriter(tmp_path / str(number))
        writer.write([entry])
        writer.close()
    told, read = (Recording(tmp_path / str(number)) for number in (0, 1))
    for name, words in read._store.words.items():
        assert told._store.words[name].words == words.words
    assert "party" not in told.events()["type"].cat.categories
    pd.testing.assert_frame_equal(told.events(), read.events())


def test_a_character_that_comes_back_has_none_of_its_earlier_attributes(tmp_path: Path) -> None:
    def told(seq: int, type: str, **data: Any) -> RawMessage:
        return RawMessage(type, Raw(encode({"character_id": "emma", **data})), float(seq), seq)

    messages = [
        told(1, "character_update", name="Emma", money=3),
        told(2, "character_left"),
        told(3, "state_change", new_state="MOVE"),
        told(4, "character_update", money=5),
        told(5, "character_left"),
        told(6, "character_left"),
        told(7, "character_update", mood="calm"),
    ]
    store = EventStore()
    taken = store.take(messages, 1.0, EPOCH)
    assert taken
    writer = SegmentWriter(tmp_path / "run")
    writer.write([RecordedMessage(messages, 1.0, EPOCH, taken)])
    writer.close()
    with Recording(tmp_path / "run") as found:
        assert found.characters().loc["emma"].to_dict()["mood"] == "calm"
        assert found.characters().loc["emma"].dropna().get("money") is None
        for row in range(7):
            pd.testing.assert_frame_equal(found.characters(row=row), Held(store).characters(row=row))
