"""The cursor: moved by tick, time or row, the same for sessions and recordings, and questions do not notice it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.session.recording import open_recording
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.widgets.cursor import Cursor


def store_of(*events: tuple[int | None, float], rows: int = 1_000) -> EventStore:
    """Make a store of events, each with a tick and seconds since 1970."""
    store = EventStore(max_rows=rows)
    for seq, (tick, time) in enumerate(events, start=1):
        data = Raw(encode({"character_id": "emma", "new_state": "MOVE"}))
        store.append([RawMessage("state_change", data, time, seq, tick)], time, "e")
    return store


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Give one run three ways: live, recorded and read into memory, recorded and read from disk."""
    path = tmp_path_factory.mktemp("runs") / "saved"
    with (
        dc.start_local_server(seed=1, tick_s=0.01, paused=True) as server,
        dc.connect(server, history=100_000) as session,
    ):
        session.step(30)
        session.save(Path(path))
        with open_recording(path) as recording, open_recording(path, memory_rows=1) as long:
            yield {"session": session, "recording": recording, "long": long}


@pytest.mark.parametrize("name", ["session", "recording", "long"])
def test_the_cursor_stands_where_questions_about_the_past_look(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    events = run.events()
    before = run.characters()
    for tick in (1, 12, 30):
        moment = run.at(tick=tick)
        assert moment["row"] == events.index[events["tick"] <= tick][-1]
        assert moment["tick"] == tick
        assert moment["time"] == events["time"].loc[moment["row"]]
        pd.testing.assert_frame_equal(run.characters(tick=tick), run.characters(row=moment["row"]))
    row = int(events.index[len(events) // 2])
    assert run.at(row=row)["row"] == row
    time = events["time"].loc[row]
    assert run.at(time=time)["row"] == events.index[events["time"] <= time][-1]
    assert run.at() == run.at(time=time), "without an argument it stays"
    pd.testing.assert_frame_equal(run.characters(), before)
    run.back_to_live()
    assert run.at() is None
    assert run.selected == {"character_id": None, "row": None, "tick": None, "time": None}


@pytest.mark.parametrize("name", ["session", "recording", "long"])
def test_a_moment_outside_of_the_run_is_refused_in_one_sentence(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    last = int(run.events().index[-1])
    for asked, words in (
        ({"tick": 31}, "tick 31 has not come; the run is at tick 30"),
        ({"tick": -1}, "tick -1 is before the events held, which begin at tick 0; give a later tick"),
        ({"row": last + 1}, f"row {last + 1:,} is not held; give one from 0 to {last:,}"),
        ({"row": -1}, "row -1 is not held"),
        ({"time": "2001-01-01"}, "'2001-01-01' is before the oldest event held, which is of 20"),
        ({"time": "2200-01-01"}, "'2200-01-01' is after the newest event, which is of 20"),
        ({"tick": 1, "row": 1}, "at() takes one of tick, time and row, not tick and row"),
        ({"tick": 1.5}, "a tick must be a whole number, not 1.5"),
        ({"time": "soon"}, "'soon' is not a time"),
    ):
        with pytest.raises(ValueError) as refused:
            run.at(**asked)
        assert words in str(refused.value), asked
        assert "\n" not in str(refused.value)
    assert run.at() is None, "the cursor did not move"


def test_a_run_without_events_or_ticks_and_one_that_dropped_its_oldest() -> None:
    with pytest.raises(ValueError, match="there is no event yet"):
        Cursor(EventStore()).at(row=0)
    without = Cursor(store_of((None, 1000.0), (None, 1001.0)))
    with pytest.raises(ValueError, match="name no tick; give a time or a row"):
        without.at(tick=0)
    moment = without.at(time=1000.5)
    assert moment is not None
    assert (moment["row"], moment["tick"]) == (0, None)
    few = Cursor(store_of(*((tick, 1000.0 + tick) for tick in range(50)), rows=10))
    with pytest.raises(ValueError, match="tick 3 is before the events held, which begin at tick 40"):
        few.at(tick=3)
    some = Cursor(store_of((1, 1000.0), (None, 1001.0)))
    last = some.at(row=1)
    assert last is not None
    assert last["tick"] == 1, "the last tick that was named"


def test_what_was_selected_says_when_and_changes_are_told_once() -> None:
    cursor = Cursor(store_of((1, 1000.0), (2, 1001.0), (3, 1002.0)))
    told: list[int] = []
    cursor.listen(lambda: told.append(cursor.version))
    cursor.select("emma")
    assert cursor.selected == {
        "character_id": "emma", "row": None, "tick": 3, "time": pd.Timestamp(1002, unit="s", tz="UTC"),
    }  # fmt: skip
    cursor.select("emma", row=1)
    assert (cursor.selected["row"], cursor.selected["tick"]) == (1, 2)
    cursor.at(tick=1)
    cursor.select(5)
    assert (cursor.selected["character_id"], cursor.selected["tick"]) == ("5", 1)
    cursor.at(tick=1)
    cursor.select()
    cursor.select()
    assert cursor.selected["character_id"] is None
    assert told == [1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="row 9 is not held"):
        cursor.select("emma", row=9)
