"""Commands of a session: what has taken effect is in the store, and what cannot be done is refused at once."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pytest

import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe
from tests.support.waiting import until

PATIENCE_S = 20


@contextmanager
def simulated(probe: SimulationProbe, tick_s: float = 0.001) -> Iterator[threading.Event]:
    """Run a simulation that publishes on a thread of its own, a tick each `tick_s`, until the block ends."""
    ended = threading.Event()

    def live() -> None:
        tick = 0
        while not ended.is_set():
            for one in range(20):
                probe.character_update(f"c{one}", tick=tick)
            ended.wait(tick_s)
            probe.checkpoint(tick)
            tick += 1

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield ended
    finally:
        ended.set()
        probe.finish()
        thread.join()


class SlowRun:
    """A simulation whose ticks last until the test lets them end."""

    def __init__(self, probe: SimulationProbe) -> None:
        self.probe = probe
        self.tick = 0
        self._go_on = threading.Semaphore(0)
        self._reached = threading.Semaphore(0)
        self._ended = False
        self._thread = threading.Thread(target=self._live, name="slow-run", daemon=True)
        self._thread.start()
        assert self._reached.acquire(timeout=PATIENCE_S)

    def _live(self) -> None:
        while not self._ended:
            self._reached.release()
            self.probe.checkpoint(self.tick)
            self._go_on.acquire()
            self.tick += 1

    def let_end(self, ticks: int = 1) -> None:
        """Let the tick under way end, and as many as follow."""
        for _ in range(ticks):
            self._go_on.release()
            assert self._reached.acquire(timeout=PATIENCE_S)

    def stop(self) -> None:
        self._ended = True
        self.probe.finish()
        self._go_on.release()
        self._thread.join(PATIENCE_S)


@pytest.fixture
def slow(probe: SimulationProbe) -> Iterator[SlowRun]:
    run = SlowRun(probe)
    yield run
    run.stop()


@pytest.fixture
def probe() -> Iterator[SimulationProbe]:
    with SimulationProbe(port=0) as probe:
        yield probe


# --- what has taken effect is in the store -----------------------------------------------------------------------


def test_an_injected_event_is_in_the_store_when_the_call_returns_each_time(probe: SimulationProbe) -> None:
    with simulated(probe), dc.connect(probe) as session:
        for number in range(500):
            row = session.inject_event("storm", {"number": number})
            assert row is not None
            assert row == session.events(event_type="storm").index[-1]
            assert session.payload(row)["data"] == {"number": number}


def test_a_set_attribute_gives_the_row_of_its_own_update(probe: SimulationProbe) -> None:
    probe.attributes(lambda character_id, name, value: None)
    with simulated(probe), dc.connect(probe) as session:
        for number in range(100):
            row = session.set_attribute("c3", "money", number)
            assert row is not None
            assert session.payload(row) == {"money": number, "character_id": "c3"}
            assert session.characters().loc["c3", "money"] == number


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("inject_state_change", {"character_id": "c1", "new_state": "DRAW"}),
        ("inject_character_update", {"character_id": "c1", "attributes": {"mood": "calm"}}),
        ("inject_error", {"code": 1004, "message": "on purpose", "character_id": "c1"}),
        ("inject_event", {"event_type": "storm", "character_id": "c1"}),
    ],
)
def test_every_injection_names_its_row(probe: SimulationProbe, name: str, arguments: dict[str, Any]) -> None:
    with simulated(probe), dc.connect(probe) as session:
        for _ in range(20):
            row = session.command(name, **arguments)["row"]
            assert session.events().loc[row, "character_id"] == "c1"


def test_what_a_command_of_ones_own_publishes_is_there_too(probe: SimulationProbe) -> None:
    @probe.command
    def give_money(amount: int) -> int:
        probe.event("gift", {"amount": amount})
        return amount

    with simulated(probe), dc.connect(probe) as session:
        for amount in range(200):
            assert session.command("give_money", amount=amount) == amount
            assert session.payload(session.events(event_type="gift").index[-1])["data"] == {"amount": amount}


def test_an_event_that_a_filter_keeps_away_has_no_row(probe: SimulationProbe) -> None:
    with simulated(probe), dc.connect(probe, types="state_change") as session:
        assert session.inject_event("storm") is None


# --- ticks that last -----------------------------------------------------------------------------------------------


def state_of(session: dc.Session) -> object:
    return session.metrics()["run_state"]


def background(call: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001 — whatever it was is what the test looks at
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def test_a_pause_that_is_not_reached_in_time_stays_wanted(slow: SlowRun) -> None:
    with dc.connect(slow.probe) as session:
        assert session.pause(timeout=0.2) == "pausing"
        assert session.pause(timeout=pd.Timedelta("0.1s")) == "pausing"
        until(lambda: state_of(session) == "pausing")
        slow.let_end()
        until(lambda: state_of(session) == "paused")
        assert session.pause() == "paused"
        assert session.resume() == "running"


def test_resume_takes_back_a_pause_without_waiting_for_the_tick(slow: SlowRun) -> None:
    with dc.connect(slow.probe) as session:
        assert session.pause(timeout=0.1) == "pausing"
        assert session.resume(timeout=5) == "running"
        assert session.resume(timeout=5) == "running", "what runs goes on"
        slow.let_end(2)
        assert session.events().empty
        assert slow.probe.run_state == "running"


def test_a_step_waits_as_long_as_its_ticks_take(slow: SlowRun) -> None:
    with dc.connect(slow.probe) as session:
        pausing = background(lambda: session.pause(timeout=None))
        until(lambda: state_of(session) == "pausing")
        slow.let_end()
        assert pausing.result(PATIENCE_S) == "paused"
        with pytest.raises(dc.CommandError, match="0 of 3 ticks") as caught:
            session.step(3, timeout=0.2)
        assert caught.value.code == 1104
        until(lambda: state_of(session) == "running")
        slow.let_end(3)
        until(lambda: state_of(session) == "paused")
        stepping = background(lambda: session.step(2))
        until(lambda: state_of(session) == "running")
        slow.let_end(2)
        assert stepping.result(PATIENCE_S) == "paused"
        assert session.metrics()["tick"] == slow.tick == 6


def test_a_change_of_speed_does_not_wait_for_the_tick() -> None:
    with SimulationProbe(port=0, tick_s=0.001) as probe:
        run = SlowRun(probe)
        with dc.connect(probe) as session:
            state = session.set_speed(4, timeout=5)
            assert state == "running"
            assert "4" in repr(state)
            assert session.command("set_speed", factor=2.5)["speed"] == 2.5
        run.stop()


def test_a_command_waits_for_the_end_of_the_tick_and_gives_up_only_when_asked(slow: SlowRun) -> None:
    done: list[int] = []

    @slow.probe.command
    def note(number: int) -> int:
        done.append(number)
        return number

    with dc.connect(slow.probe) as session:
        until(lambda: "note" in set(session.commands()["name"]))
        with pytest.raises(dc.CommandError) as caught:
            session.command("note", number=1, timeout=0.3)
        assert caught.value.code == 1104
        patient = background(lambda: session.command("note", arguments={"number": 2}))
        until(lambda: slow.probe.server._dispatch.statistics().pending == 1)
        slow.let_end(2)
        assert patient.result(PATIENCE_S) == 2
    assert done == [2], "what was given up was not done"


def test_commands_offered_anytime_answer_while_the_tick_lasts(slow: SlowRun) -> None:
    seen: list[str] = []

    @slow.probe.inspector(anytime=True)
    def describe(character_id: str) -> dict[str, str]:
        seen.append(threading.current_thread().name)
        return {"id": character_id}

    @slow.probe.command(anytime=True)
    async def slowly(text: str) -> str:
        await asyncio.sleep(0)  # a coroutine that gives way once
        return text.upper()

    @slow.probe.command(anytime=True)
    def broken() -> None:
        raise ZeroDivisionError("no")

    with dc.connect(slow.probe) as session:
        until(lambda: "broken" in set(session.commands()["name"]))
        assert session.inspect("emma", timeout=5) == {"id": "emma"}
        assert session.command("slowly", text="yes", timeout=5) == "YES"
        with pytest.raises(dc.CommandError, match="ZeroDivisionError"):
            session.command("broken", timeout=5)
    assert seen == ["degentcivil-anytime"]


def test_an_interrupt_withdraws_what_was_not_begun(slow: SlowRun) -> None:
    done: list[int] = []

    @slow.probe.command
    def note() -> None:
        done.append(1)

    with dc.connect(slow.probe) as session:
        until(lambda: "note" in set(session.commands()["name"]))
        timer = threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            session.command("note")
        until(lambda: slow.probe.server._dispatch.statistics().pending == 0)
        slow.let_end(2)
    assert done == []


def test_an_interrupt_in_a_step_pauses_the_run(slow: SlowRun) -> None:
    with dc.connect(slow.probe) as session:
        session.pause(timeout=0.1)
        until(lambda: state_of(session) == "pausing")
        slow.let_end()
        until(lambda: state_of(session) == "paused")
        timer = threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            session.step(1000)
        until(lambda: state_of(session) == "pausing")
        slow.let_end()
        until(lambda: state_of(session) == "paused")
        assert session.resume() == "running"


@pytest.mark.parametrize("timeout", [True, -1, "30", float("nan"), [1]])
def test_what_is_no_timeout_is_refused(slow: SlowRun, timeout: Any) -> None:
    with dc.connect(slow.probe) as session, pytest.raises(ValueError, match="timeout is a number of seconds, or None"):
        session.pause(timeout=timeout)


# --- what cannot be done is refused at once ----------------------------------------------------------------------


def refused(call: Callable[[], Any], reason: str) -> None:
    began = time.monotonic()
    with pytest.raises(dc.CommandError, match=reason) as caught:
        call()
    assert caught.value.code == 1105
    assert time.monotonic() - began < 2


def every_command(session: dc.Session) -> list[Callable[[], Any]]:
    return [
        session.pause,
        session.resume,
        session.step,
        lambda: session.set_speed(2),
        lambda: session.inject_event("storm"),
        lambda: session.command("inject_error", code=1, message="x"),
    ]


def test_every_command_on_a_finished_run_is_refused_at_once(probe: SimulationProbe) -> None:
    with dc.connect(probe) as session:
        probe.checkpoint(0)
        probe.finish()
        until(lambda: state_of(session) == "finished")
        for call in every_command(session):
            refused(call, "the run is over")


def test_every_command_on_a_run_whose_server_has_ended_is_refused_at_once() -> None:
    server = dc.start_local_server(tick_s=0.01)
    with dc.connect(server) as session:
        server.stop()
        until(lambda: session.metrics()["connection"] != "live")
        for call in every_command(session):
            refused(call, "the run is finished")


def test_every_command_on_a_run_whose_thread_has_ended_is_refused_at_once(probe: SimulationProbe) -> None:
    thread = threading.Thread(target=probe.checkpoint, name="my-town")
    thread.start()
    thread.join()
    with dc.connect(probe) as session:
        for call in every_command(session):
            refused(call, "'my-town' that called checkpoint.. has ended")


def test_who_waits_while_the_thread_ends_is_told(probe: SimulationProbe) -> None:
    read_until = threading.Event()

    def live() -> None:
        probe.checkpoint(0)
        read_until.wait(PATIENCE_S)

    thread = threading.Thread(target=live)
    thread.start()
    with dc.connect(probe) as session:
        until(lambda: session.metrics()["tick"] == 0)
        waiting = background(lambda: session.pause(timeout=None))
        until(lambda: state_of(session) == "pausing")
        read_until.set()
        with pytest.raises(dc.CommandError, match="has ended, after tick 0"):
            waiting.result(PATIENCE_S)
        until(lambda: state_of(session) == "running")
    thread.join()


def test_every_command_from_the_simulations_own_thread_is_refused_at_once(probe: SimulationProbe) -> None:
    with dc.connect(probe) as session:
        probe.checkpoint(0)
        for call in every_command(session):
            if call == session.resume:
                assert call() == "running"  # nobody waits: a cell whose stop was interrupted goes on with it
            else:
                refused(call, "the thread that calls checkpoint|no pace that could be changed")


async def test_every_command_from_the_simulations_own_loop_is_refused_at_once(probe: SimulationProbe) -> None:
    with dc.connect(probe) as session:
        await probe.acheckpoint(0)
        for call in every_command(session):
            if call == session.resume:
                assert call() == "running"  # nobody waits: a cell whose stop was interrupted goes on with it
            else:
                refused(call, "the thread that calls checkpoint|no pace that could be changed")


def test_a_command_from_inside_a_handler_is_refused_at_once(probe: SimulationProbe) -> None:
    with simulated(probe), dc.connect(probe) as session:

        @probe.command
        def nested() -> str:
            try:
                return session.pause()
            except dc.CommandError as error:
                return str(error)

        until(lambda: "nested" in set(session.commands()["name"]))
        assert "which carries commands out" in session.command("nested")


# --- names that nobody has ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def town() -> Iterator[dc.Session]:
    with dc.start_local_server(characters=6, tick_s=0.01, seed=1) as server, dc.connect(server) as session:
        yield session


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("inspect", {}),
        ("set_attribute", {"name": "money", "value": 3}),
        ("inject_event", {"event_type": "storm"}),
        ("inject_state_change", {"new_state": "DRAW"}),
        ("inject_character_update", {"attributes": {"money": 3}}),
        ("inject_error", {"code": 1004, "message": "on purpose"}),
        ("give_money", {"amount": 3}),
    ],
)
def test_a_character_that_does_not_exist_is_refused_with_the_nearest_name(
    town: dc.Session, name: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(dc.CommandError, match="there is no character 'emmma'; did you mean 'emma'") as caught:
        town.command(name, arguments={"character_id": "emmma", **arguments})
    assert caught.value.code in (1102, 1004)
    assert not (town.events()["character_id"] == "emmma").any()


def test_a_simulation_without_an_inspector_knows_its_characters_from_what_it_told(probe: SimulationProbe) -> None:
    with simulated(probe), dc.connect(probe) as session:
        until(lambda: len(session))
        with pytest.raises(dc.CommandError, match=r"there is no character 'c99'; did you mean 'c[0-9]+'"):
            session.inject_event("storm", character_id="c99")
        assert session.inject_event("storm", character_id="c9") is not None


def test_a_character_that_was_just_told_of_is_known(probe: SimulationProbe) -> None:
    with simulated(probe), dc.connect(probe) as session:

        @probe.command
        def add(character_id: str) -> None:
            probe.character_update(character_id, born=True)

        until(lambda: "add" in set(session.commands()["name"]))
        for number in range(20):
            session.command("add", character_id=f"new{number}")
            assert session.inject_event("birthday", character_id=f"new{number}") is not None


def test_a_simulation_that_told_of_nobody_takes_any_character(probe: SimulationProbe) -> None:
    run = SlowRun(probe)
    with dc.connect(probe) as session:
        injecting = background(lambda: session.inject_event("storm", character_id="anybody"))
        until(lambda: probe.server._dispatch.statistics().pending == 1)
        run.let_end()
        assert injecting.result(PATIENCE_S) is not None
    run.stop()


@pytest.mark.parametrize(("typed", "meant"), [("pase", "pause"), ("give_mony", "give_money"), ("Inspect", "inspect")])
def test_a_command_that_does_not_exist_names_the_nearest(town: dc.Session, typed: str, meant: str) -> None:
    with pytest.raises(dc.CommandError, match=f"there is no command '{typed}'; did you mean '{meant}'"):
        town.command(typed)


def test_an_argument_that_does_not_exist_names_the_nearest(town: dc.Session) -> None:
    with pytest.raises(dc.CommandError, match="no argument 'tick'; did you mean 'ticks'"):
        town.command("step", tick=3)


def test_set_speed_says_the_speed(town: dc.Session) -> None:
    state = town.set_speed(2.5)
    assert state == "running"
    assert repr(state) == "'running' (speed 2.5)"
    assert town.command("set_speed", factor=1)["speed"] == 1
    for factor in (0, -1.5):
        with pytest.raises(ValueError, match=rf"^factor must be a number above 0, not {factor}; pause\(\) stops"):
            town.set_speed(factor)
