"""What envelopes say beside type, time and tick: ids, causes, interventions, the model's own clock."""

from __future__ import annotations

import gc
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import Links, RawMessage
from degentcivil_nb.recordings.arrow_messages import LINKED_SCHEMA, SCHEMA, RecordedMessage, from_batch
from degentcivil_nb.recordings.export import export_recording
from degentcivil_nb.recordings.packed_messages import to_batch
from degentcivil_nb.recordings.segment_reader import SegmentFolder
from degentcivil_nb.simulation import SimulationProbe
from degentcivil_nb.store.event_store import EventStore
from tests.support.recording_helpers import written

COMMAND = {"client": {"id": "c1", "name": "Ada"}, "command_id": "x1"}
COLUMNS = ["event_id", "cause", "intervention", "sim_time"]


def moved(seq: int, **links: Any) -> RawMessage:
    data = {"character_id": "emma", "new_state": "MOVE"}
    return RawMessage("state_change", Raw(encode(data)), 1_000.0 + seq / 1_000, seq, seq, **links)


def linked_messages() -> list[RawMessage]:
    old = {"event_type": "trade", "id": 7, "cause": ["a", 5]}
    return [
        moved(1),
        moved(2, event_id="a"),
        moved(3, cause="a", sim_time=0.5),
        moved(4, event_id="b", cause=["a", "b"], intervention=COMMAND),
        RawMessage("event_notification", Raw(encode(old)), 1_005.0, 5),
        moved(6, event_id={"of": "another server"}, cause=True, sim_time="noon", intervention=[1]),
        RawMessage(
            "llm_call", Raw(encode({"prompt_type": "P", "id": "old", "cause": "b"})), 1_007.0, 7, event_id="new"
        ),
    ]


def store_of(messages: list[RawMessage], **options: Any) -> EventStore:
    store = EventStore(**options)
    for message in messages:
        store.append([message], 2_000.0, "e")
    return store


def told(frame: pd.DataFrame) -> list[list[Any]]:
    values = frame[COLUMNS].astype("object")
    return [[None if value is pd.NA else value for value in row] for row in values.to_numpy().tolist()]


EXPECTED: list[list[Any]] = [
    [None, None, None, None],
    ["a", None, None, None],
    [None, "a", None, 0.5],
    ["b", ["a", "b"], COMMAND, None],
    ["7", ["a", "5"], None, None],
    [None, None, None, None],
    ["new", "b", None, None],
]


def test_events_have_what_envelopes_say_and_payloads_of_older_versions() -> None:
    store = store_of(linked_messages())
    assert told(store.events()) == EXPECTED
    assert told(store.events("state_change", last=2)) == [EXPECTED[3], EXPECTED[5]]
    assert store.llm_calls()[["event_id", "cause"]].values.tolist() == [["new", "b"]]
    assert [event["cause"] for event in store.event_dicts(3, 5)] == [["a", "b"], ["a", "5"]]
    assert store.stats().malformed == 0, "keys of another server cost no message"


def test_links_in_a_frame_belong_to_the_caller() -> None:
    store = store_of(linked_messages())
    frame = store.events()
    frame.loc[1, "event_id"] = "mine"
    frame["cause"].to_list()[3].append("mine")
    frame["intervention"].to_list()[3]["client"] = "mine"
    frame["sim_time"] = frame["sim_time"].cumsum()
    assert told(store.events()) == EXPECTED


def test_links_arrive_between_two_questions_and_when_the_table_moves() -> None:
    store = store_of([moved(1)])
    assert told(store.events()) == [[None] * 4]
    for seq in range(2, 12_000):
        if seq % 1_000 == 0:
            links = store.events().dropna(subset="event_id")["event_id"]
            assert links.tolist() == [str(row + 1) for row in links.index] and len(links) == (seq - 1) // 3
        store.append([moved(seq, **({"event_id": str(seq)} if seq % 3 == 0 else {}))], 2_000.0, "e")
    assert store.rows_named(["9000", "9001"]) == {"9000": [8999]}


def test_rows_are_found_by_id_and_by_cause() -> None:
    store = store_of([*linked_messages(), moved(8, event_id="a")])
    assert store.rows_named(["a", "7", "nobody"]) == {"a": [1, 7], "7": [4]}
    assert store.rows_caused(["a", "b", "5", "nobody"]) == {"a": [2, 3, 4], "b": [3, 6], "5": [4]}


def test_conditions_name_links() -> None:
    store = store_of(linked_messages())

    def rows(where: str) -> list[int]:
        return store.events(where=where).index.to_list()

    assert rows("event_id == 'b'") == [3] and rows("cause == 'a'") == [2]
    assert rows("contains(cause, 'a')") == [2, 3, 4] and rows("sim_time >= 0.5") == [2]
    assert rows("intervention['command_id'] == 'x1'") == [3]
    assert rows("state == 'MOVE' and event_id in ['a', 'b']") == [1, 3]


def test_evicted_rows_take_their_links_along() -> None:
    store = EventStore(max_rows=5_000)
    for start in range(0, 40_000, 1_000):
        rows = range(start + 1, start + 1_001)
        linked = [moved(seq, event_id=f"i{seq}", cause=f"i{seq - 1}", sim_time=seq) for seq in rows]
        store.append(linked, 2_000.0, "e")
    frame = store.events()
    assert len(frame) == 5_000 and frame["event_id"].iloc[[0, -1]].to_list() == ["i35001", "i40000"]
    assert store.rows_named(["i35000", "i35001"]) == {"i35001": [35_000]}
    assert store.parts.links.memory_bytes < 5_000 * 200


def test_events_without_links_cost_nothing_for_them() -> None:
    count = 100_000
    store = EventStore(max_rows=count)
    for start in range(0, count, 1_000):
        rows = range(start + 1, start + 1_001)
        store.append([moved(seq, event_id="x" if seq == 7 else None) for seq in rows], 2_000.0, "e")
    gc.collect()
    stats = store.stats()
    assert (stats.memory_bytes - stats.payload_bytes) / count <= 48


def test_a_recording_keeps_links_and_is_written_as_before_without_any(tmp_path: Path) -> None:
    messages = linked_messages()
    entries = [RecordedMessage([message], 2_000.0, "e") for message in messages]
    assert to_batch([RecordedMessage([messages[0]], 2_000.0, "e")], 0).schema == SCHEMA
    batch = to_batch(entries, 0)
    assert batch.schema == LINKED_SCHEMA
    read = [message for entry in from_batch(batch) for message in entry.messages]
    assert [message.links() for message in read] == [message.links() for message in messages]
    for name, close in (("open", False), ("sealed", True)):
        written(tmp_path / name, entries, close=close)
        with pytest.warns(dc.RecordingWarning) if not close else _nothing():
            recording = dc.open_recording(tmp_path / name)
        assert told(recording.events())[: len(messages)] == EXPECTED
        again = store_of([])
        for entry in SegmentFolder(tmp_path / name).entries():
            again.append(list(entry.messages), entry.received, entry.epoch)
        assert told(again.events())[: len(messages)] == EXPECTED
    long = dc.open_recording(tmp_path / "sealed", memory_rows=1)
    assert not long.in_memory and told(long.events()) == EXPECTED
    assert long._store.rows_caused(["a"]) == {"a": [2, 3, 4]}
    runs = dc.open_runs(tmp_path)
    found = runs.sql("select event_id, cause, intervention, sim_time from events where run = 'sealed' order by row")
    ids: Any = found["event_id"].astype("object")
    assert ids.where(ids.notna(), None).to_list() == [row[0] for row in EXPECTED]
    assert found["cause"].to_list()[2:5] == ["a", '["a","b"]', '["a","5"]']
    export_recording(tmp_path / "sealed", tmp_path / "out.parquet")
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert table["cause"].to_list()[2:4] == ["a", '["a","b"]'] and np.isclose(table["sim_time"][2], 0.5)


def test_a_session_a_copy_a_replay_and_sql_tell_the_same_links(tmp_path: Path) -> None:
    with SimulationProbe(port=0) as probe, dc.connect(probe, record=tmp_path / "live") as session:
        plan = probe.thought("emma", "plan", "walk")
        walk = probe.state_change("emma", "MOVE", cause=plan, id=True)
        probe.checkpoint(0.25)
        probe.event("met", cause=[plan, walk])
        probe.flush()
        session.wait_for("event_notification", after=-1)
        want = told(session.events())
        assert want == [[plan, None, None, None], [walk, plan, None, None], [want[2][0], [plan, walk], None, 0.25]]
        assert session.sql("select cause from events where cause is not null")["cause"].to_list() == [
            plan,
            f'["{plan}", "{walk}"]',
        ]
        session.save(tmp_path / "copy")
    for name in ("live", "copy"):
        assert told(dc.open_recording(tmp_path / name).events()) == want
    with dc.start_replay(tmp_path / "copy", speed=1e6) as replay, dc.connect(replay) as watching:
        watching.wait_for("event_notification", after=-1)
        assert told(watching.events()) == want


@pytest.mark.parametrize("column", ["seq", "tick", "code", "sim_time"])
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin"])
def test_cumulative_functions_work_and_change_nothing(column: str, name: str) -> None:
    store = store_of([*linked_messages(), RawMessage("weather", Raw(b"1"), 1_008.0)])
    before = store.events()
    own = before.copy(deep=True).astype({column: str(before[column].dtype)})
    kind = pd.api.types.pandas_dtype(before[column].dtype)
    plain = pd.Series(own[column].to_list(), own.index, kind, name=column)
    pd.testing.assert_series_equal(getattr(store.events()[column], name)(), getattr(plain, name)())
    pd.testing.assert_frame_equal(store.events(), before)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(before)), before)


def test_links_of_a_wrong_shape_are_no_links() -> None:
    assert moved(1, event_id=[], cause=[[], {}], sim_time=10**400, intervention="x").links() == Links()
    assert moved(1, event_id=5, cause=[1, None, "b"], sim_time=2).links() == Links(2.0, "5", ["1", "b"])


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...
