"""Every dialect is recorded, killed, gone on with, compared and replayed alike (issue 10)."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings import packed_messages
from degentcivil_nb.recordings.arrow_messages import SCHEMA, RecordedMessage
from degentcivil_nb.recordings.packed_messages import to_batch
from degentcivil_nb.recordings.segment_reader import SegmentFolder
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.session.recording import Recording
from degentcivil_nb.simulation.probe import SimulationProbe
from tests.cli.test_cli import started
from tests.support.dialect_servers import GameServer, GuideServer
from tests.support.recording_helpers import assert_same_answers, entries_of, message_at, opened, read_back, written
from tests.support.waiting import until

PLACES: Any = [{"id": 1, "name": "Cafe"}, {"id": 2, "name": "Park"}]


class Source(Protocol):
    """A server that says one thing after another, in one dialect."""

    url: str

    def say(self, number: int) -> None: ...
    def tell_places(self) -> None: ...


class _V1:
    def __init__(self) -> None:
        self._probe = SimulationProbe(port=0)
        self.url = self._probe.url

    def say(self, number: int) -> None:
        self._probe.state_change(f"c{number % 3}", ("IDLE", "MOVE")[number % 2], "Park")
        self._probe.character_update(f"c{number % 3}", money=number)

    def tell_places(self) -> None:
        self._probe.publish("all_buildings", PLACES)

    def close(self) -> None:
        self._probe.close()


class _Guide:
    def __init__(self) -> None:
        self._server = GuideServer().__enter__()
        self.url = self._server.url

    def say(self, number: int) -> None:
        self._server.state_change(f"c{number % 3}", ("IDLE", "MOVE")[number % 2], "Park")
        self._server.send("character_update", {"character_id": f"c{number % 3}", "money": number})

    def tell_places(self) -> None:
        self._server.send("all_buildings", PLACES)

    def close(self) -> None:
        self._server.__exit__(None, None, None)


class _Game:
    def __init__(self) -> None:
        self._server = GameServer().__enter__()
        self.url = self._server.url

    def say(self, number: int) -> None:
        person = {"name": f"c{number % 3}", "money": number, "state": ("IDLE", "MOVE")[number % 2]}
        self._server.send("all_characters", [person])
        self._server.send("character_update_llm", {"latest_prompt": str(number), "latest_response": {"n": number}})

    def tell_places(self) -> None:
        self._server.send("all_buildings", PLACES)

    def close(self) -> None:
        self._server.__exit__(None, None, None)


@pytest.fixture(params=[_V1, _Guide, _Game], ids=["v1", "guide", "game"])
def source(request: pytest.FixtureRequest) -> Iterator[Source]:
    made = request.param()
    yield made
    made.close()


def hear(session: dc.Session, source: Source, numbers: range) -> None:
    """Have the source say things, of which each is two events, and wait until the session holds them."""
    held = len(session)
    for number in numbers:
        source.say(number)
    assert session._store.wait(lambda: len(session) >= held + 2 * len(numbers), 20)


def said(recording: Recording) -> list[tuple[str, Any]]:
    """Give what was said, whenever it was."""
    own = ("timestamp",)
    events = recording.events(payload=True)
    payloads = [
        {key: value for key, value in one.items() if key not in own} if isinstance(one, dict) else one
        for one in (recording.payload(row) for row in events.index)
    ]
    return list(zip(events["type"].astype("object"), payloads, strict=True))


def test_what_was_recorded_answers_as_the_session(source: Source, tmp_path: Path) -> None:
    with dc.connect(source.url, record=tmp_path / "run") as session:
        hear(session, source, range(7))
        session.stop_recording()
        recording = dc.open_recording(tmp_path / "run")
        assert recording.info()["state"] == "finished"
        assert_same_answers(session, recording)
        assert dc.compare(session, recording).same


def test_a_recording_that_begins_in_the_middle_knows_the_town(source: Source, tmp_path: Path) -> None:
    with dc.connect(source.url) as session:
        hear(session, source, range(4))
        session.record(tmp_path / "run")
        hear(session, source, range(4, 5))
        session.record(tmp_path / "run")  # gone on with
        hear(session, source, range(5, 6))
        session.stop_recording()
        recording = dc.open_recording(tmp_path / "run")
        found, expected = recording.characters().sort_index(), session.characters().sort_index()
        assert found["money"].tolist() == expected["money"].tolist()
        assert found["state"].astype("object").tolist() == expected["state"].astype("object").tolist()
        assert len(recording) == 4


def test_a_recording_that_begins_in_the_middle_knows_the_places(source: Source, tmp_path: Path) -> None:
    """Which servers tell once, to who connects: a map of the recording had none (issue 10)."""
    with dc.connect(source.url) as session:
        source.tell_places()
        assert session._store.wait(lambda: len(session.places()) > 0, 20)
        session.record(tmp_path / "run")
        hear(session, source, range(1))
        session.stop_recording()
        names = session.places()["name"].tolist()
    assert {"Cafe", "Park"} <= set(names)
    assert dc.open_recording(tmp_path / "run").places()["name"].tolist() == names
    with dc.start_replay(tmp_path / "run", speed=1e6) as replay, dc.connect(replay) as again:
        assert again._store.wait(lambda: len(again.places()) > 0, 20)
        assert again.places()["name"].tolist() == names


def test_a_session_goes_on_with_what_an_earlier_one_recorded(source: Source, tmp_path: Path) -> None:
    for first in (0, 3, 6):
        with dc.connect(source.url, record=tmp_path / "run", history=0) as session:
            hear(session, source, range(first, first + 3))
            session.stop_recording()
            assert_same_answers(session, dc.open_recording(tmp_path / "run"))
    recording = dc.open_recording(tmp_path / "run")
    assert recording.characters()["money"].astype(int).sum() == 6 + 7 + 8
    assert len(recording) == 18


@pytest.mark.skipif(sys.platform == "win32", reason="signals between processes are POSIX")
def test_what_a_kill_left_is_opened_and_gone_on_with(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "run"
    for number, end in enumerate((signal.SIGKILL, signal.SIGTERM)):
        with started("record", source.url, str(path), "--history", "0") as process:
            assert process.stderr is not None
            assert any("live" in line for line in process.stderr)
            for which in range(5):
                source.say(10 * number + which)
            until(lambda wanted=10 * number + 10: held(path) >= wanted)  # type: ignore[misc]
            process.send_signal(end)
            process.communicate(timeout=30)
        recording = opened(path)
        assert recording.info()["state"] == ("unfinished" if end == signal.SIGKILL else "finished")
        assert len(recording) == 10 * number + 10
    assert recording.problems == []
    assert len(dc.open_runs(tmp_path).sql("select * from events")) == 20


def held(path: Path) -> int:
    try:
        return SegmentFolder(path).rows
    except FileNotFoundError:
        return 0


def test_two_recordings_of_the_same_are_the_same(source: Source, tmp_path: Path) -> None:
    with dc.connect(source.url, record=tmp_path / "a") as one, dc.connect(source.url, record=tmp_path / "b") as other:
        hear(one, source, range(5))
        assert other._store.wait(lambda: len(other) == len(one), 20)
    found = dc.compare(dc.open_recording(tmp_path / "a"), dc.open_recording(tmp_path / "b"))
    assert found.same
    assert found.compared == 10


def test_a_replay_says_what_was_recorded(source: Source, tmp_path: Path) -> None:
    with dc.connect(source.url, record=tmp_path / "run") as session:
        hear(session, source, range(5))
    recording = dc.open_recording(tmp_path / "run")
    with dc.start_replay(tmp_path / "run", speed=1e6) as replay, dc.connect(replay, record=tmp_path / "again") as again:
        until(lambda: replay.run_state == "paused" and len(again) == len(recording))
        given = again.events()
    assert said(dc.open_recording(tmp_path / "again")) == said(recording)
    expected = recording.events()
    for name in ("type", "character_id", "state", "location", "tick", "time"):
        pd.testing.assert_series_equal(given[name].astype("object"), expected[name].astype("object"))


# --- as the old code left them ---------------------------------------------------------------------------------------


def old_words(codes: Any, words: dict[str | None, int]) -> Any:
    """Write an unknown epoch as recorders did before: null as a word of the dictionary."""
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(words), pa.string()))


def mixed(count: int) -> list[RecordedMessage]:
    """Give entries of which the second of two has no epoch."""
    return [
        RecordedMessage(entry.messages, entry.received, entry.epoch if place % 2 else None)
        for place, entry in enumerate(entries_of(count, 2))
    ]


@pytest.fixture
def left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[RecordedMessage]], Path]:
    def leave(entries: list[RecordedMessage]) -> Path:
        with monkeypatch.context() as patch:
            patch.setattr(packed_messages, "_words_column", old_words)
            assert to_batch(entries[:1], 0).column("epoch").dictionary.null_count == 1
            return written(tmp_path / "run", entries, close=False)

    return leave


@pytest.mark.parametrize("entries", [mixed(12), [e._replace(epoch=None) for e in entries_of(12, 3)]])
def test_what_the_old_code_left_open_is_read_gone_on_with_and_finished(
    left_open: Callable[[list[RecordedMessage]], Path], entries: list[RecordedMessage]
) -> None:
    folder = left_open(entries)
    assert len(opened(folder)) == 12
    assert len(dc.open_runs(folder.parent).sql("select * from events where epoch is null")) in (6, 12)
    writer = SegmentWriter(folder)
    writer.write([RecordedMessage([message_at(13)], 3_000.0, None)])
    writer.close()
    messages, held = read_back(folder)
    assert [message.seq for message in messages] == list(range(1, 14))
    assert held.problems == []
    assert [entry.epoch for entry in held.entries()][: len(entries)] == [entry.epoch for entry in entries]
    assert len(dc.open_recording(folder)) == 13
    assert len(dc.open_recording(folder, memory_rows=0).events()) == 13


def test_a_message_whose_type_is_null_is_no_message(tmp_path: Path) -> None:
    """Somebody hostile hides it as a word of the dictionary, where no count of nulls sees it."""
    batch = to_batch([RecordedMessage([RawMessage("x", Raw(b"1"))], 1.0, "e")], 0)
    place = SCHEMA.get_field_index("type")
    bad = batch.set_column(place, SCHEMA.field(place), old_words([0], {None: 0}).cast(SCHEMA.field(place).type))
    writer = SegmentWriter(tmp_path / "run")
    writer._add_batch(bad)
    writer.commit()
    writer.abandon()
    messages, held = read_back(tmp_path / "run")
    assert messages == []
    assert any("damaged" in str(problem) for problem in held.problems)
