"""Meetings of crowds, of some of a crowd, and of senders whose times go back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from msgspec import Raw

from degentcivil_nb.analysis import meetings
from degentcivil_nb.analysis.presences import crossings, overlaps, presences
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.session.recording import open_recording
from degentcivil_nb.store import stay_pieces
from degentcivil_nb.store.event_store import EventStore
from tests.support.planted_runs import Held
from tests.support.random_town import town
from tests.support.run_helpers import write_recording


def moved(*told: tuple[float, str, str]) -> EventStore:
    """Return a store of moves: a time, a character, a place."""
    store = EventStore()
    messages = [
        RawMessage(
            "state_change",
            Raw(encode({"character_id": who, "new_state": "A", "location": place})),
            1_000.0 + time,
            number,
            number,
        )
        for number, (time, who, place) in enumerate(told, 1)
    ]
    store.append(messages, 2_000.0, "e")
    return store


def going_back(seed: int) -> EventStore:
    """Return moves of four characters of which some were sent with an earlier time."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.integers(0, 4, 40)) - np.where(rng.random(40) < 0.1, rng.integers(0, 30, 40), 0)
    return moved(*((float(time), f"c{rng.integers(4)}", f"p{rng.integers(2)}") for time in times))


def test_of_many_characters_in_a_crowd_those_that_come_last_have_their_meetings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The limit is for the meetings that were asked for, not for those of the whole crowd."""
    monkeypatch.setattr(meetings, "MOST", 50_000)
    crowd = Held(moved(*((float(number), f"c{number}", "hall") for number in range(500))))
    asked = [f"c{number}" for number in range(190, 500)]
    late = crowd.meetings(asked, "c499")
    assert set(late["other"]) == {"c499"} and set(late["character_id"]) == set(asked[:-1])
    with pytest.warns(UserWarning, match="only the first 50,000 meetings"):
        found = crowd.meetings(asked)
    assert len(found) == 50_000 and set(found["character_id"]) <= set(asked)


def test_no_more_pairs_are_made_than_are_listed() -> None:
    there = presences(moved(*((float(n % 7), f"c{n % 60}", "hall") for n in range(60))).timeline())
    some, all_of_them = there.who < 30, np.ones(len(there), np.bool_)
    everything = crossings(there, 10_000, some, all_of_them)
    assert len(everything.first) == 30 * 29 // 2 + 30 * 30 and not everything.cut
    first = crossings(there, 100, some, all_of_them)
    assert 100 <= len(first.first) < 100 + len(there) and first.cut
    begun, of_all = (np.sort(there.start[pairs.second])[:100] for pairs in (first, everything))
    assert begun.tolist() == of_all.tolist(), "those that began first"


@pytest.mark.parametrize("seed", range(8))
def test_one_character_has_the_same_meetings_as_in_the_table_of_all_if_times_go_back(seed: int) -> None:
    run = Held(going_back(seed))
    met, mine = run.meetings(), run.meetings("c0")
    of_all = met[(met["character_id"] == "c0") | (met["other"] == "c0")]
    assert len(mine) == len(of_all) > 0
    assert sorted(mine["start"]) == sorted(of_all["start"])
    assert not (pd.concat([met["end"], mine["end"]]) < pd.concat([met["start"], mine["start"]])).any()


@pytest.mark.parametrize("seed", range(8))
def test_all_that_overlap_a_character_are_found_if_times_go_back(seed: int) -> None:
    there = presences(going_back(seed).timeline())
    everyone = range(len(there))
    expected = {
        (one, other)
        for one in everyone
        for other in everyone
        if there.who[one] == 0 != there.who[other] and there.where[one] == there.where[other]
        if max(there.start[one], there.start[other]) < min(there.stop[one], there.stop[other])
    }
    found = [pair for both in overlaps(there, 0) for pair in zip(*(side.tolist() for side in both), strict=True)]
    assert sorted(found) == sorted(expected)


def test_a_place_is_known_while_an_earlier_stay_goes_on() -> None:
    """One who was told of late has a stay within another; after it the first one goes on."""
    there = presences(moved((10.0, "a", "Cafe"), (5.0, "a", "Park"), (20.0, "a", "Home")).timeline())
    times = (np.array([4, 6, 12, 21]) + 1_000) * 1_000_000_000
    assert [*there.places[there.place_at(0, times)[1:]]] == ["Park", "Park", "Home"]
    assert there.place_at(0, times)[0] == -1


def pairs(met: pd.DataFrame) -> list[tuple[object, ...]]:
    """Return meetings without the order of the two."""
    ends = met["end"].fillna(pd.Timestamp.max.tz_localize("UTC"))
    people = [tuple(sorted(two)) for two in zip(met["character_id"], met["other"], strict=True)]
    return sorted(zip(people, met["location"].fillna(""), met["start"], ends, met["how"], strict=True))


@pytest.mark.parametrize("goes_back", [0.02, 0.0])
@pytest.mark.parametrize("seed", range(10))
def test_some_characters_have_the_same_meetings_as_in_the_table_of_all(
    seed: int, goes_back: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stay_pieces, "TOGETHER", 16)
    run = Held(town(seed, goes_back))
    met = run.meetings()
    for names, others in (["c0"], None), (["c1", "c2"], None), (["c0"], ["c1", "c3"]), (None, ["c4"]):
        mine = run.meetings(names, others)
        either = met["character_id"].isin(names or met["character_id"]) & met["other"].isin(others or met["other"])
        turned = met["other"].isin(names or met["other"]) & met["character_id"].isin(others or met["character_id"])
        assert pairs(mine) == pairs(met[either | turned]), (names, others)
        assert mine["start"].is_monotonic_increasing
        middle = met["start"].median()
        later = run.meetings(names, others, since=middle)
        assert pairs(later) == pairs(mine[~(mine["end"] < middle)])
        earlier = run.meetings(names, others, until=middle)
        assert pairs(earlier) == pairs(mine[mine["start"] < middle])


def test_a_meeting_that_reaches_into_a_time_is_told_whole() -> None:
    store = EventStore()
    times = iter(range(1, 21))
    changes = [
        RawMessage(
            "state_change",
            Raw(encode({"character_id": who, "new_state": f"s{time}", "location": "cafe" if time < 19 else "park"})),
            1_000.0 + time,
            time,
        )
        for who, time in zip(["emma", "liam"] * 10, times, strict=True)
    ]
    store.append(changes, 2_000.0, "e")
    run = Held(store)
    (whole,) = run.meetings("emma", "liam").query("location == 'cafe'").to_dict("records")
    for since, until in ((1_007, None), (1_013, None), (None, 1_003), (1_008, 1_009)):
        for asked in ((None, None), ("emma", None), ("emma", "liam")):
            (met,) = run.meetings(*asked, since=since, until=until).query("location == 'cafe'").to_dict("records")
            assert met == whole, (since, until, asked)


def test_a_run_that_is_known_by_a_snapshot_alone_has_stays_and_meetings(tmp_path: Path) -> None:
    present: list[dict[str, object]] = [
        {"character_id": who, "state": "IDLE", "location": "Park", "attributes": {}} for who in ("emma", "liam")
    ]
    snapshot = RawMessage("snapshot", Raw(encode({"seq": 0, "characters": present})), 1_000.0)
    store = EventStore()
    store.append([snapshot], 1_000.0, "one")
    with open_recording(write_recording(tmp_path / "run", [snapshot])) as recording:
        for run in (Held(store), recording):
            assert len(run.meetings()) == len(run.meetings("emma")) == 1
        pd.testing.assert_frame_equal(recording.timeline(), store.timeline())
        assert len(recording.timeline()) == 2
