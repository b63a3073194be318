"""Comparison of two runs: equal ones, a first difference, different lengths, gaps, hostile names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import degentcivil_nb as dc
from degentcivil_nb.analysis import alignment, differences
from degentcivil_nb.protocol.control_payloads import Gap
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.column_store import ColumnStore
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.store.schema import Ints
from tests.support.planted_runs import Held, PlantedTown
from tests.support.run_helpers import HOSTILE, record_town, told, write_recording


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dc.Recording]:
    folder = tmp_path_factory.mktemp("runs")
    paths = {
        "one": record_town(folder / "one", seed=1),
        "again": record_town(folder / "again", seed=1),
        "longer": record_town(folder / "longer", seed=1, ticks=50),
        "other": record_town(folder / "other", seed=2),
    }
    return {name: dc.open_recording(path) for name, path in paths.items()}


def test_the_same_seed_gives_the_same_run(runs: dict[str, dc.Recording]) -> None:
    found = dc.compare(runs["one"], runs["again"])
    assert found.same
    assert found.divergence is None
    assert found.compared == len(runs["one"])
    assert (found.counts["difference"] == 0).all()
    assert not found.characters()["differs"].any()
    assert found.attributes.empty
    assert "are the same (aligned by tick)" in repr(found)


def test_a_run_that_goes_on_longer_is_the_same_as_far_as_both_go(runs: dict[str, dc.Recording]) -> None:
    found = dc.compare(runs["one"], runs["longer"])
    assert found.divergence is None
    assert not found.same
    assert (found.only_a, found.only_b) == (0, len(runs["longer"]) - len(runs["one"]))
    assert found.counts["difference"].sum() == found.only_b


def test_another_seed_differs_in_character_after_character(runs: dict[str, dc.Recording]) -> None:
    found = dc.compare(runs["one"], runs["other"])
    assert found.divergence is not None
    assert set(found.characters().index) == set(runs["one"].characters().index) | set(runs["other"].characters().index)
    assert found.characters()["differs"].all()
    money = found.attributes.query("character_id == 'emma' and attribute == 'money'")
    assert money["a"].item() == runs["one"].characters().loc["emma", "money"]
    assert found.rates["a"]["state_change"] > 0


def made(path: Path, texts: list[str], **more: object) -> dc.Recording:
    messages: list[RawMessage] = [
        told("event_notification", {"event_type": text, "timestamp": number * 1.5, **more}, seq=number, timestamp=5.0)
        for number, text in enumerate(texts, 1)
        if text
    ]
    return dc.open_recording(write_recording(path, messages))


def test_the_first_event_that_differs_is_found_whatever_the_clock_said(tmp_path: Path) -> None:
    a = made(tmp_path / "a", ["x"] * 20_000)
    b = made(tmp_path / "b", [*["x"] * 19_990, HOSTILE, *["x"] * 9], latency_s=2)
    heard: list[tuple[int, int]] = []
    found = dc.compare(a, b, progress=lambda done, total: heard.append((done, total)))
    assert found.divergence is not None and found.divergence.b is not None
    assert found.divergence.place == 19_990
    assert found.divergence.differs == ["payload['event_type']"]
    assert found.divergence.b["payload"]["event_type"] == HOSTILE
    assert heard[0] == (8_192, 20_000)
    assert all(line.isprintable() for line in repr(found).splitlines())


def test_positions_that_one_lacks_are_not_compared(tmp_path: Path) -> None:
    whole = made(tmp_path / "a", ["x", "y", "z"])
    holed = made(tmp_path / "b", ["x", "", "z"])
    found = dc.compare(whole, holed)
    assert found.divergence is None
    assert (found.compared, found.only_a, found.only_b) == (2, 1, 0)


def test_without_positions_events_are_compared_in_order(tmp_path: Path) -> None:
    messages = [told("a", 1), told("gap", Gap(None)), told("b", 2)]
    one = dc.open_recording(write_recording(tmp_path / "one", messages))
    other = dc.open_recording(write_recording(tmp_path / "two", [messages[0], told("b", 3)]))
    found = dc.compare(one, other)
    assert found.aligned_by == "order"
    assert found.divergence is not None
    assert (found.divergence.place, found.divergence.differs) == (1, ["payload"])
    assert found.gaps == (1, 0)
    assert "were not compared" in repr(found)


def test_a_recording_that_is_read_from_disk_is_compared_as_well(tmp_path: Path) -> None:
    made(tmp_path / "a", ["x"] * 50)
    made(tmp_path / "b", [*["x"] * 40, "y", *["x"] * 9])
    a, b = (dc.Recording(tmp_path / name, memory_rows=10) for name in "ab")
    assert not a.in_memory
    found = dc.compare(a, b)
    assert found.divergence is not None
    assert (found.divergence.place, found.divergence.differs) == (40, ["payload['event_type']"])
    assert dc.compare(a, dc.open_recording(tmp_path / "a")).same


def test_empty_runs_and_characters_of_one_side_only(tmp_path: Path) -> None:
    empty = dc.open_recording(write_recording(tmp_path / "empty", [told("gap", Gap(None))]))
    lone = made(tmp_path / "lone", ["x"], character_id=HOSTILE)
    assert dc.compare(empty, empty).same
    found = dc.compare(empty, lone)
    assert (found.only_a, found.only_b) == (0, 1)
    assert repr(found)


def test_a_live_session_is_compared_with_its_recording(tmp_path: Path) -> None:
    with (
        dc.start_local_server(characters=3, tick_s=0.005, paused=True) as server,
        dc.connect(server, record=tmp_path / "run") as session,
    ):
        session.step(10)
        session.stop_recording()
        assert dc.compare(session, dc.open_recording(tmp_path / "run")).same


def test_runs_that_have_nothing_in_common_are_not_called_the_same() -> None:
    run, other = (PlantedTown(1, characters=characters, ticks=20).run() for characters in (6, 3))
    nothing = Held(EventStore())
    for pair in ((run, nothing), (nothing, run)):
        found = dc.compare(*pair)
        assert not found.same
        assert "no event of one has a counterpart in the other" in repr(found)
        assert found.sizes()["difference"].iloc[:1].isna().item()
        assert "%" not in repr(found)
    assert "nothing was compared: neither has an event" in repr(dc.compare(nothing, nothing))
    assert "of the events differ" in repr(dc.compare(run, other))


def test_few_large_payloads_are_held_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Payloads are taken by their size, not only by their number."""
    monkeypatch.setattr(differences, "MOST_BYTES", 10_000)
    taken: list[int] = []
    one, other = (made(tmp_path / name, ["x"] * 9_000) for name in ("one", "other"))
    assert isinstance(one._store, ColumnStore)
    take = one._store.payload_array

    def counted(rows: Ints) -> Any:
        taken.append(len(rows))
        return take(rows)

    monkeypatch.setattr(one._store, "payload_array", counted)
    assert dc.compare(one, other).same
    assert sum(taken) == 9_000 and taken[0] == 8_192 and max(taken[1:]) < 200


def test_runs_are_paired_alike_in_one_go_and_some_ticks_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    towns = [PlantedTown(seed, characters=6, ticks=40, fault=("gap",)) for seed in (1, 1, 2)]
    one, again, other = (town.run() for town in towns)
    whole = dc.compare(one, other, repeats=again)
    monkeypatch.setattr(alignment, "STRETCH", 7)
    monkeypatch.setattr(differences, "MANY", 10)
    parts = dc.compare(one, other, repeats=again)
    assert repr(parts) == repr(whole) and parts.divergence == whole.divergence
    assert parts.sizes().equals(whole.sizes()) and parts.per_tick.equals(whole.per_tick)
    assert parts._differing.equals(whole._differing) and len(whole._differing)


def test_a_damaged_segment_is_compared_without_its_events(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    one, other = (made(folder, ["x"] * 50) for folder in folders)
    store = one._store
    assert isinstance(store, ColumnStore)
    rows = np.arange(50)
    assert store.payload_array(rows).to_pylist() == store.take_payloads(rows.tolist())
    store.instead = other._store
    assert store.payload_array(rows).to_pylist() == other._store.take_payloads(rows.tolist())
    assert dc.compare(one, other).same
