"""The snapshot of the characters that new clients are sent."""

from __future__ import annotations

import json
from typing import Any

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import WebSocketMessage
from degentcivil_nb.server.stream.snapshot import SnapshotBuilder


def apply(present: SnapshotBuilder, type: str, data: Any, timestamp: float = 1.0) -> str | None:
    return present.apply(type, encode(WebSocketMessage(type, data, timestamp)))


def characters(present: SnapshotBuilder, **options: Any) -> dict[str, dict[str, Any]]:
    frames = [json.loads(frame)["data"] for frame in present.snapshot(7, options.pop("max_bytes", 1 << 20), **options)]
    assert [frame["part"] for frame in frames] == list(range(len(frames)))
    assert [frame["last"] for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert {frame["seq"] for frame in frames} == {7}
    return {entry.pop("character_id"): entry for frame in frames for entry in frame["characters"]}


def test_an_empty_town_has_one_empty_part() -> None:
    assert characters(SnapshotBuilder()) == {}


def test_states_locations_and_attributes_are_merged() -> None:
    present = SnapshotBuilder()
    assert apply(present, "character_update", {"character_id": "emma", "money": 3, "mood": "calm"}, 1.0) == "emma"
    assert (
        apply(present, "state_change", {"character_id": "emma", "new_state": "MOVE", "location": "Park"}, 2.0) == "emma"
    )
    apply(present, "state_change", {"character_id": "emma", "new_state": "MOVE", "location": None}, 3.0)
    apply(present, "character_update", {"character_id": "emma", "money": 5}, 4.0)
    assert characters(present) == {
        "emma": {
            "state": "MOVE",
            "location": "Park",
            "since": 2.0,
            "last_seen": 4.0,
            "attributes": {"money": 5, "mood": "calm"},
        }
    }


def test_numbers_name_characters_too() -> None:
    present = SnapshotBuilder()
    assert apply(present, "state_change", {"character_id": 7, "new_state": "IDLE"}) == "7"
    assert list(characters(present)) == ["7"]


def test_the_games_lists_are_read_by_name() -> None:
    present = SnapshotBuilder()
    apply(present, "all_characters", [{"name": "Emma", "x": 1, "state": "WORK"}, {"no": "name"}])
    assert characters(present)["Emma"]["state"] == "WORK"
    assert characters(present)["Emma"]["attributes"] == {"name": "Emma", "x": 1}


def test_other_messages_only_say_whose_they_are() -> None:
    present = SnapshotBuilder()
    assert apply(present, "llm_call", {"character_id": "emma", "prompt": "?"}) == "emma"
    assert apply(present, "note", {"character_id": True}) is None
    assert apply(present, "note", [1, 2]) is None
    assert apply(present, "state_change", {"character_id": "emma"}) is None
    assert apply(present, "state_change", "nonsense") is None
    assert len(present) == 0


def test_a_snapshot_is_cut_into_parts() -> None:
    present = SnapshotBuilder()
    for number in range(100):
        apply(present, "character_update", {"character_id": f"c{number}", "bio": "x" * 200})
    frames = list(present.snapshot(1, 2_000))
    assert len(frames) > 10
    assert max(map(len, frames)) <= 2_000
    assert len(characters(present, max_bytes=2_000)) == 100


def test_a_character_too_large_for_a_frame_says_so() -> None:
    present = SnapshotBuilder()
    apply(present, "state_change", {"character_id": "emma", "new_state": "MOVE"})
    apply(present, "character_update", {"character_id": "emma", "bio": "x" * 5_000})
    emma = characters(present, max_bytes=2_000)["emma"]
    assert emma["state"] == "MOVE"
    assert emma["attributes"]["truncated"] is True


def test_a_snapshot_can_be_of_some_only() -> None:
    present = SnapshotBuilder()
    for name in ("emma", "liam"):
        apply(present, "state_change", {"character_id": name, "new_state": "MOVE"})
    assert list(characters(present, only={"emma"})) == ["emma"]


def test_a_snapshot_has_the_places_as_they_were_told_last() -> None:
    present = SnapshotBuilder()
    apply(present, "all_buildings", [{"id": 1, "name": "Cafe"}, {"name": "Park"}, {"about": "nothing"}])
    apply(present, "all_buildings", [{"id": 1, "name": "Bar"}])
    apply(present, "state_change", {"character_id": "emma", "new_state": "MOVE"})
    (frame,) = present.snapshot(1, 2_000)
    assert json.loads(frame)["data"]["places"] == [{"id": 1, "name": "Bar"}, {"name": "Park"}]
    apply(present, "all_buildings", [{"name": f"p{number}", "about": "x" * 200} for number in range(50)])
    frames = list(present.snapshot(1, 2_000))
    assert max(map(len, frames)) <= 2_000
    assert sum(len(json.loads(frame)["data"].get("places", ())) for frame in frames) == 52
