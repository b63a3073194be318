"""One `dc.connect` for servers that never heard of v1: what they say fills the same tables."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from websockets import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

import degentcivil_nb as dc
from tests.support.dialect_servers import GameServer, GuideServer
from tests.support.waiting import until

PATIENCE_S = 10


def soon(session: dc.Session, holds: Callable[[], bool]) -> bool:
    """Wait on the store's own changes until something holds."""
    return session._store.wait(holds, PATIENCE_S)


def holds(session: dc.Session, events: int) -> bool:
    return len(session) == events


def test_degentcivils_own_server_fills_characters_places_and_llm_calls() -> None:
    with GameServer() as server, dc.connect(server.url, timeout=5) as session:
        assert session.metrics()["dialect"] == "unknown"
        assert session.metrics()["connection"] == "live"
        session.send("start")
        session.wait_for("character_update_llm", after=-1, timeout=PATIENCE_S)
        characters = session.characters()
        assert list(characters.index) == ["Emma", "Li"]
        assert characters.loc["Emma", "state"] == "IDLE"
        assert characters.loc["Li", "money"] == 40
        assert list(session.places()["name"]) == ["Cafe", "Park"]
        calls = session.llm_calls()
        assert list(calls["prompt_type"]) == ["PLAN"]
        assert calls["character_id"].isna().all()
        assert calls["response"].iloc[0] == {"plan": ["paint", "eat"]}
        events = session.events()
        assert list(events["type"]) == ["all_buildings", "all_characters", "character_update_llm"]
        assert set(events["time_source"]) == {"received"}
        assert events["seq"].isna().all()
        assert session.metrics()["dialect"] == "game"
        assert "game dialect" in repr(session)


def test_a_server_written_after_the_guide_fills_events_and_characters() -> None:
    with GuideServer() as server, dc.connect(server.url, timeout=5) as session:
        server.send("character_update", {"character_id": "emma", "money": 12})
        server.state_change("emma", "MOVE", "Park")
        server.send("event_notification", {"event_type": "trade", "data": {"price": 3}, "timestamp": 1.5})
        server.send("error", {"code": 1004, "message": "planner failed"})
        server.heartbeat()
        session.wait_for("error", after=-1, timeout=PATIENCE_S)
        emma = session.characters().loc["emma"]
        assert (emma["state"], emma["location"], emma["money"]) == ("MOVE", "Park", 12)
        assert set(session.events()["time_source"]) == {"sent"}
        assert list(session.events(where='data["price"] == 3')["event_type"]) == ["trade"]
        assert list(session.errors()["code"]) == [1004]
        assert session.metrics()["dialect"] == "guide"


def test_a_reconnect_in_a_dialect_without_seq_is_a_gap_without_bounds() -> None:
    with GuideServer() as server, dc.connect(server.url, timeout=5) as session:
        server.state_change("emma", "MOVE")
        session.wait_for("state_change", after=-1, timeout=PATIENCE_S)
        server.drop()
        assert soon(session, lambda: session._store.stats().gaps == 1)
        gap = session.gaps().iloc[0]
        assert gap["reason"] == "unknown"
        assert session.gaps()["from_seq"].isna().all()


@pytest.mark.parametrize("dated", [False, True], ids=["game", "guide"])
def test_what_a_server_says_at_once_after_a_reconnect_stands_behind_the_gap(dated: bool, tmp_path: Path) -> None:
    greeted = 0

    def greet(peer: ServerConnection) -> None:
        nonlocal greeted
        greeted += 1
        for name in ("emma", "noah"):
            message = {"type": "character_update", "data": {"character_id": name, "round": greeted}}
            peer.send(json.dumps({**message, "timestamp": 1_800_000_000.0 + greeted} if dated else message))
        with suppress(ConnectionClosed):
            peer.recv()  # until the test says to hang up, or does so itself

    with serve(greet, "localhost", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"ws://localhost:{server.socket.getsockname()[1]}"
            with dc.connect(url, record=tmp_path / "run", timeout=5) as session:
                for held in (2, 4):
                    assert soon(session, partial(holds, session, held))
                    session.send("next")
                assert soon(session, partial(holds, session, 6))
                assert session.gaps()["row"].tolist() == [2, 4]
                assert session.gaps()["reason"].tolist() == ["unknown", "unknown"]
        finally:
            server.shutdown()
            thread.join()
    with dc.open_recording(tmp_path / "run") as recording:
        assert recording.gaps()["row"].tolist() == [2, 4]


def test_a_server_without_commands_says_so() -> None:
    with GameServer() as server, dc.connect(server.url, timeout=5) as session:
        with pytest.raises(dc.CommandError, match="no commands"):
            session.pause()
        assert session.commands().empty


def test_malformed_frames_are_rows_in_errors_and_nothing_else_happens() -> None:
    with GuideServer() as server, dc.connect(server.url, timeout=5) as session:
        for text in ("{", "[1]", '{"type": 3}', '{"type":"state_change","data":{"new_state":5}}', "[" * 50_000):
            server.send_text(text)
        server.state_change("emma", "MOVE")
        session.wait_for("state_change", where="character_id == 'emma'", after=-1, timeout=PATIENCE_S)
        assert list(session.errors()["code"]) == [1001] * 5
        assert session.metrics()["connection"] == "live"
        assert session.metrics()["reconnects"] == 0


def test_lists_that_the_games_server_sends_as_python_text_are_read_when_they_are_asked_for() -> None:
    emotions = "[{'emotion': 'joy', 'change': 2, 'explanation': 'why'}]"
    call = {"latest_prompt_type": "EMOTION", "latest_prompt": "?", "latest_response": {"emotions": emotions}}
    with GameServer() as server, dc.connect(server.url, timeout=5) as session:
        session.send("start")
        session.wait_for("character_update_llm", after=-1, timeout=PATIENCE_S)
        server.send("character_update_llm", call)
        assert soon(session, partial(holds, session, 4))
        read = session.llm_calls()["response"].iloc[-1]
        assert read == {"emotions": [{"emotion": "joy", "change": 2, "explanation": "why"}]}
        assert session.payload(3) == call  # nothing was changed on the way in


def test_a_start_that_leads_to_nothing_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def nothing(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                socket.recv()

    with serve(nothing, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        with dc.connect(f"ws://127.0.0.1:{port}/ws", timeout=5) as session:
            assert "nothing has followed" not in repr(session)
            session._unanswered.patience_s = 0.05
            session.send("start")
            until(lambda: "a second 'start' does nothing" in repr(session))
            assert "nothing has followed 'start'" in session._status.health()[0]
            assert any("nothing has followed" in line for _, line in session._journal.lines())
            panel = session.panel.characters()
            assert "silent until session.send('start')" in panel.whole().body["empty"]
            assert "if the run is paused, step or resume it" in panel.whole().body["empty"]
            panel.close()
        server.shutdown()
        thread.join()


def test_an_empty_table_of_characters_says_why_that_is() -> None:
    with GameServer(characters=[]) as server, dc.connect(server.url, timeout=5) as session:
        session.send("start")
        session.wait_for("character_update_llm", after=-1, timeout=PATIENCE_S)
        panel = session.panel.characters()
        update = panel.whole()
        assert "without saying whose they are" in update.body["empty"]
        assert session._unanswered.sentence() is None
        panel.close()
