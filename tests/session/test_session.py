"""Sessions with a real town over a socket: questions, waiting, callbacks, commands, closing."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pandas as pd
import psutil
import pytest

import degentcivil_nb as dc
from tests.support.stepped_town import SteppedTown
from tests.support.waiting import until


@pytest.fixture(scope="module")
def server() -> Iterator[dc.LocalServer]:
    with dc.start_local_server(characters=6, tick_s=0.02) as server:
        yield server


@pytest.fixture
def session(server: dc.LocalServer) -> Iterator[dc.Session]:
    with dc.connect(server) as session:
        yield session
        if session._client.run_state == "paused":
            session.resume()


def test_connect_returns_with_the_town_already_known(session: dc.Session) -> None:
    characters = session.characters()
    assert len(characters) == 6
    assert {"state", "location", "name", "money", "since", "last_seen"} <= set(characters.columns)


def test_the_repr_says_how_the_session_is(server: dc.LocalServer, session: dc.Session) -> None:
    text = repr(session)
    assert server.url in text
    assert "live" in text
    assert "6 characters" in text


def test_metrics_have_the_names_of_the_api(session: dc.Session) -> None:
    expected = """
        connection dialect run_state tick epoch head uptime_s silent_s messages_received messages_sent bytes_received
        bytes_sent messages_per_s latency_p50_s latency_p95_s lag_s reconnects gaps missing duplicates errors
        evicted queue_depth memory_bytes circuit recording checkpoint_age_s message_age_s
    """
    metrics = session.metrics()
    assert list(metrics.index) == expected.split()
    assert metrics["connection"] == "live"
    assert metrics["dialect"] == "v1"
    assert metrics["circuit"] == "closed"
    assert metrics["gaps"] == 0


def test_pause_returns_when_the_store_holds_everything_up_to_the_stop(session: dc.Session) -> None:
    assert session.pause() == "paused"
    count, tick = len(session), session.metrics()["tick"]
    with pytest.raises(TimeoutError):
        session.wait_for(timeout=0.3)
    assert len(session) == count
    assert session.step(3) == "paused"
    assert session.metrics()["tick"] == tick + 3
    assert session.resume() == "running"


def test_the_tick_after_a_step_is_the_one_it_stopped_at(session: dc.Session) -> None:
    session.pause()
    for _ in range(20):  # the answer to a step may overtake the word on the run
        before = session.metrics()["tick"]
        session.step(1)
        assert session.metrics()["tick"] == before + 1
    session.resume()


def test_an_injected_event_is_found_by_its_payload(session: dc.Session) -> None:
    row = session._store.next_row - 1
    session.inject_event("festival", {"price": 3}, character_id="emma")
    event = session.wait_for("event_notification", where='data["price"] == 3 and event_type == "festival"', after=row)
    assert event["character_id"] == "emma"
    assert session.payload(event["row"])["data"] == {"price": 3}


def test_waiting_for_what_does_not_come_says_what_was_waited_for(session: dc.Session) -> None:
    warned = pytest.warns(UserWarning, match="no event of type 'volcano' was seen so far")
    with pytest.raises(TimeoutError, match="no volcano where code == 7 within"), warned:
        session.wait_for("volcano", where="code == 7", timeout=0.05)


def test_a_mistake_in_a_condition_points_at_the_character(session: dc.Session) -> None:
    with pytest.raises(ValueError, match=r"\^"):
        session.wait_for(where="state == (", timeout=1)


def test_waiting_knows_the_attributes_of_the_character(session: dc.Session) -> None:
    assert session.wait_for("state_change", where="money >= 0 and len(name) > 0", timeout=20)["character_id"]


def test_callbacks_come_in_order_and_an_exception_in_one_stops_nothing(session: dc.Session) -> None:
    seen: list[int] = []
    enough = threading.Event()

    def remember(event: dict[str, Any]) -> None:
        seen.append(event["row"])
        if len(seen) >= 5:
            enough.set()

    def fail(event: dict[str, Any]) -> None:
        raise RuntimeError("the user's own mistake")

    bad, good = session.on(None, fail), session.on(None, remember)
    assert enough.wait(20)
    good.remove()
    bad.remove()
    assert seen == sorted(seen)
    assert bad.errors >= 5
    assert isinstance(bad.last_error, RuntimeError)
    assert good.errors == good.dropped == 0


def test_a_command_that_fails_raises_with_the_servers_code(session: dc.Session) -> None:
    with pytest.raises(dc.CommandError) as caught:
        session.command("no_such_command")
    assert caught.value.code == 1101
    with pytest.raises(dc.CommandError) as caught:
        session.command("step", ticks="many")
    assert caught.value.code == 1102


def test_the_commands_are_listed_with_their_arguments(session: dc.Session) -> None:
    commands = session.commands()
    assert list(commands.columns) == ["name", "role", "arguments", "signature", "anytime", "doc"]
    assert {"pause", "resume", "step", "inject_event", "inspect"} <= set(commands["name"])


def test_setting_an_attribute_is_itself_an_event(session: dc.Session) -> None:
    row = session._store.next_row - 1
    session.set_attribute("emma", "money", 1234)
    session.wait_for("character_update", where='character_id == "emma" and money == 1234', after=row)
    assert session.inspect("emma")


def test_what_is_given_is_the_callers_own(session: dc.Session) -> None:
    session.pause()
    for ask in (session.events, session.characters, session.rates, session.timeline):
        before, frame = ask(), ask()
        for name in list(frame.columns):
            frame[name] = None
        pd.testing.assert_frame_equal(ask(), before)
    events = session.events()
    events.loc[events.index[0], "tick"] = 10**6
    assert session.events()["tick"].max() < 10**6
    assert session.characters()["last_seen"].notna().all()
    session.resume()


def test_figures_are_drawn_from_the_answers(session: dc.Session) -> None:
    session.wait_for("state_change", timeout=20)
    for figure in (
        session.plot.rates(),
        session.plot.errors(),
        session.plot.timeline(),
        session.plot.transitions(),
    ):
        assert type(figure).__name__ == "Figure"


def test_a_name_in_use_closes_the_session_that_had_it(server: dc.LocalServer) -> None:
    first = dc.connect(server, name="mine")
    with dc.connect(server, name="mine") as second:
        assert first.metrics()["connection"] == "closed"
        assert second.metrics()["connection"] == "live"


def test_a_closed_session_still_answers_and_closing_again_does_nothing(server: dc.LocalServer) -> None:
    session = dc.connect(server)
    session.close()
    session.close()
    assert len(session.characters()) == 6
    assert bool(session)
    with pytest.raises(RuntimeError, match="closed"):
        session.on(None, print)


def test_sessions_leave_no_thread_and_no_descriptor(server: dc.LocalServer) -> None:
    process = psutil.Process()
    dc.connect(server).close()
    gc.collect()
    threads, descriptors = threading.active_count(), process.num_fds()
    for _ in range(5):
        with dc.connect(server) as session:
            session.on(None, lambda event: None)
    gc.collect()
    assert threading.active_count() == threads
    until(lambda: process.num_fds() <= descriptors)  # the server, here too, lets go of its end a moment later


@pytest.mark.parametrize(
    ("url", "kind", "hint"),
    [
        ("http://localhost:8765", ValueError, "ws://"),
        ("ws://127.0.0.1:9", ConnectionError, "Start the simulation"),
    ],
)
def test_a_url_that_leads_nowhere_says_what_to_try(url: str, kind: type[Exception], hint: str) -> None:
    with pytest.raises(kind, match=hint):
        dc.connect(url, timeout=2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_closed_sessions(session: dc.Session) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if session._closed and len(session) >= 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert session.metrics()["connection"] == "live"


def test_filters_keep_the_rest_away_without_calling_it_lost(server: dc.LocalServer) -> None:
    with dc.connect(server, types=["state_change"]) as session:
        session.wait_for("state_change", timeout=20)
        session.pause()
        assert set(session.events()["type"].dropna()) == {"state_change"}
        assert session.gaps().empty
        session.resume()


def test_events_since_and_until_are_a_half_open_interval(session: dc.Session) -> None:
    session.pause()
    events = session.events()
    middle = events["time"].sort_values().iloc[len(events) // 2]
    early, late = session.events(until=middle), session.events(since=middle)
    assert len(early) + len(late) == len(events)
    assert (early["time"] < middle).all()
    assert isinstance(middle, pd.Timestamp)
    session.resume()


@pytest.mark.parametrize("target", [None, 8765, object()])
def test_what_has_no_url_is_nothing_to_connect_to(target: Any) -> None:
    with pytest.raises(ValueError, match=r"cannot be connected to.*ws://localhost:8765"):
        dc.connect(target)


def test_a_negative_history_is_a_mistake(server: dc.LocalServer) -> None:
    with pytest.raises(ValueError, match="zero or more"):
        dc.connect(server, history=-1)


def test_one_type_and_one_character_need_no_list(server: dc.LocalServer) -> None:
    with dc.connect(server, types="event_notification", characters="emma", history=0) as session:
        server.inject_event("market_day", {"bread": 3}, character_id="emma")
        event = session.wait_for(where="event_type == 'market_day'", after=-1, timeout=10)
        assert event["character_id"] == "emma"
        assert set(session.events()["type"]) == {"event_notification"}


def test_waiting_on_a_closed_session_says_so_at_once(server: dc.LocalServer) -> None:
    session = dc.connect(server, history=10)
    first = session.wait_for(timeout=10)
    threading.Timer(0.2, session.close).start()
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match="closed"):
        session.wait_for(where="event_type == 'never'", timeout=30)
    assert time.monotonic() - begun < 10
    assert session.wait_for(after=first["row"] - 1)["row"] == first["row"], "what is held is still found"


def test_only_what_can_be_called_is_taken_as_a_callback(session: dc.Session, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TypeError, match="not 'print'"):
        session.on("state_change", "print")  # type: ignore[arg-type]
    handle = session.on(("state_change", "error"), lambda _: 1 / 0)
    assert session._store.wait(lambda: handle.errors > 0, 10), "asked anew with each event that comes"
    handle.remove()
    assert "a callback on state_change, error raised" in caplog.text


def test_a_closed_session_does_not_complain_of_a_connection_that_came_back() -> None:
    with SteppedTown() as town, dc.connect(town.probe) as session:
        town.probe.restart_server()
        until(lambda: session.metrics()["reconnects"] == 1 and session.metrics()["connection"] == "live")
        lost = session._client.last_error
        assert lost
        session.close()
        assert "closed" in repr(session) and lost not in repr(session)


def test_the_event_log_shows_the_gap_that_a_restart_leaves() -> None:
    with dc.start_local_server(characters=3, tick_s=0.02) as server, dc.connect(server) as session:
        session.wait_for(timeout=20)
        server.inject_fault("restart")
        assert session._store.wait(lambda: session._store.stats().gaps > 0, 20)
        session.wait_for(timeout=20)
        panel = session.panel.events()
        update = panel.snapshot()
        assert any(key.startswith("gap before") for key in update.body["add"]["keys"])
        panel.close()
