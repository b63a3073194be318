"""A comparison that skips what sums prove to be equal finds the same as one that looks at every event."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import pandas as pd
import pytest
from msgspec import Raw, structs

import degentcivil_nb as dc
from degentcivil_nb.analysis import compared_columns, equal_beginning
from degentcivil_nb.protocol.json_text import decode, encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.extract_record import record_of
from degentcivil_nb.recordings.segment_reader import SegmentFolder
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.store import sum_extract
from degentcivil_nb.store.pieces import Extracted
from degentcivil_nb.store.sum_extract import KINDS, joined_sums, powers
from tests.support.planted_runs import PlantedTown
from tests.support.recording_helpers import EPOCH

COMMAND: Final[dict[str, Any]] = {"client": {"id": "1", "name": "Ada"}, "command_id": "set-1"}


@pytest.fixture(autouse=True)
def short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ticks of few events have sums, and look at few segments first, so that a short run is a long one."""
    monkeypatch.setattr(sum_extract, "FEWEST", 1)
    monkeypatch.setattr(equal_beginning, "FIRST_PIECES", 2)


def messages(characters: int = 6, ticks: int = 150) -> list[RawMessage]:
    return [one for part in PlantedTown(7, characters=characters, ticks=ticks).parts() for one in part]


def later(told: list[RawMessage], seconds: float) -> list[RawMessage]:
    """Give the same messages at another time, with other latencies."""
    found = []
    for one in told:
        data = decode(dict[str, Any], bytes(one.data))
        if "latency_s" in data:
            data["latency_s"] += seconds
        found.append(structs.replace(one, timestamp=(one.timestamp or 0) + seconds, data=Raw(encode(data))))
    return found


def numbered(told: list[RawMessage]) -> list[RawMessage]:
    return [structs.replace(one, seq=seq) for seq, one in enumerate(told, 1)]


def changed_at(told: list[RawMessage], place: int) -> list[RawMessage]:
    """Let a command change a character at a place, and a state be another one soon after."""
    tick = told[place].tick
    made = RawMessage("character_update", Raw(b'{"character_id":"p1","money":9}'), told[place].timestamp, 0, tick)
    return numbered([*told[:place], structs.replace(made, intervention=COMMAND), *told[place:]])


def other_at(told: list[RawMessage], place: int) -> list[RawMessage]:
    place = next(at for at in range(place, len(told)) if told[at].type == "state_change")
    data = decode(dict[str, Any], bytes(told[place].data)) | {"new_state": "DANCE"}
    return [*told[:place], structs.replace(told[place], data=Raw(encode(data))), *told[place + 1 :]]


def without_some_ticks(told: list[RawMessage]) -> list[RawMessage]:
    return [structs.replace(one, tick=None if at % 7 == 3 else one.tick) for at, one in enumerate(told)]


def restarted(told: list[RawMessage], step: int) -> list[RawMessage]:
    """Let the counter of ticks fall back in the middle: by one, as threads may let it, or to the beginning."""
    half = len(told) // 2
    back = (told[half].tick or 0) - 1 if step > 1 else 1
    return [structs.replace(one, tick=(one.tick or 0) - (back if at >= half else 0)) for at, one in enumerate(told)]


def watched(told: list[RawMessage], place: int) -> list[RawMessage]:
    value = RawMessage("watch", Raw(b'{"name":"w","value":3}'), told[place].timestamp, 0, told[place].tick)
    return numbered([*told[:place], value, *told[place:]])


def recorded(folder: Path, told: list[RawMessage], segment: int) -> Path:
    writer = SegmentWriter(folder, run_id=folder.name, segment_messages=segment)
    for start in range(0, len(told), 20):
        writer.write([RecordedMessage(told[start : start + 20], 1e9 + start, EPOCH)])
        if writer.full:
            writer.seal()
    writer.close()
    return folder


def told_by(found: dc.Comparison) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(found):
        if field.name != "_still":
            yield field.name, getattr(found, field.name)


def assert_same(one: dc.Comparison, other: dc.Comparison) -> None:
    for (name, value), (_, expected) in zip(told_by(one), told_by(other), strict=True):
        if isinstance(expected, pd.DataFrame):
            pd.testing.assert_frame_equal(value, expected, obj=name)
        else:
            assert repr(value) == repr(expected), name
    assert repr(one) == repr(other)


WAYS: Final[dict[str, Callable[[list[RawMessage]], list[RawMessage]]]] = {
    "the same": lambda told: told,
    "another end": lambda told: other_at(told, len(told) - 9),
    "another middle": lambda told: other_at(told, len(told) // 2),
    "another beginning": lambda told: other_at(told, 3),
    "a command": lambda told: changed_at(told, len(told) // 2),
    "a command and what followed": lambda told: other_at(changed_at(told, len(told) // 3), len(told) // 2),
    "a command after a difference": lambda told: changed_at(other_at(told, len(told) // 3), len(told) // 2),
    "a watch": lambda told: other_at(watched(told, len(told) // 3), len(told) // 2),
    "one that goes on": lambda told: told[: len(told) // 2],
    "two that are swapped": lambda told: numbered([*told[:50], told[51], told[50], *told[52:]]),
}


@pytest.mark.parametrize("leave_out", (True, False))
@pytest.mark.parametrize("kind", ("plain", "restarted", "a tick late", "without some ticks"))
@pytest.mark.parametrize("way", WAYS)
def test_what_is_skipped_changes_no_answer(
    way: str, kind: str, leave_out: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = messages()
    if kind == "restarted":
        told = restarted(told, 2)
    elif kind == "a tick late":
        told = restarted(told, 1)
    elif kind == "without some ticks":
        told = without_some_ticks(told)
    a = dc.open_recording(recorded(tmp_path / "a", told, 80))
    b = dc.open_recording(recorded(tmp_path / "b", later(WAYS[way](told), 50.0), 120))
    skipping = dc.compare(a, b, ignore_interventions=leave_out)
    back = dc.compare(b, a, ignore_interventions=leave_out)
    monkeypatch.setattr(compared_columns, "equal_beginnings", lambda *_, **__: None)
    assert_same(skipping, dc.compare(a, b, ignore_interventions=leave_out))
    assert_same(back, dc.compare(b, a, ignore_interventions=leave_out))


def test_what_is_the_same_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = messages()
    a = dc.open_recording(recorded(tmp_path / "a", told, 80))
    b = dc.open_recording(recorded(tmp_path / "b", later(other_at(told, len(told) - 9), 50.0), 120))
    both = equal_beginning.equal_beginnings(a._store, b._store, until_changed=True)
    assert both is not None
    assert both[0].rows == both[1].rows >= len(told) - 30
    assert sum(both[0].counts["type"].values()) == both[0].rows == int(both[0].sizes.sum())


def nothing_counted() -> Extracted:
    return KINDS.empty()


def seven_counted() -> Extracted:
    one = {"type": 0, "character_id": 0, "count": 7, "first": 0, "last": 0}
    return Extracted(
        {name: np.array([value]) for name, value in one.items()}, {"type": ["chat"], "character_id": ["p1"]}
    )


@pytest.mark.parametrize("forged", (nothing_counted, seven_counted))
def test_counts_of_other_events_than_a_segment_has_are_not_believed(
    forged: Callable[[], Extracted], tmp_path: Path
) -> None:
    told = messages()
    folders = recorded(tmp_path / "a", told, 80), recorded(tmp_path / "b", later(told, 50.0), 80)
    expected = dc.compare(*map(dc.open_recording, folders))
    segments = SegmentFolder(folders[0]).segments
    (folders[0] / "kinds.extract").write_bytes(b"".join(record_of(KINDS, one.stats, forged()) for one in segments))
    assert_same(dc.compare(*map(dc.open_recording, folders)), expected)


def test_a_latency_that_is_compared_is_no_equal_beginning(tmp_path: Path) -> None:
    told = messages()
    a = dc.open_recording(recorded(tmp_path / "a", told, 80))
    b = dc.open_recording(recorded(tmp_path / "b", later(told, 50.0), 80))
    assert dc.compare(a, b).divergence is None
    found = dc.compare(a, b, ignore=()).divergence
    assert found is not None and found.differs == ["payload['latency_s']"]


def test_the_sum_of_a_tick_follows_from_those_of_its_parts() -> None:
    chance = Random(3)
    hashes = np.array([chance.getrandbits(64) for _ in range(900)], np.uint64)
    whole = (hashes * powers(900)).sum(dtype=np.uint64)
    cuts = [0, 1, 17, 17, 300, 899, 900]
    parts = [hashes[low:high] for low, high in pairwise(cuts)]
    sums = np.array([(part * powers(900)[: len(part)]).sum(dtype=np.uint64) for part in parts], np.uint64)
    counts = np.array([len(part) for part in parts])
    assert joined_sums(sums, counts, np.array([0])).tolist() == [whole]
