"""Two notebooks debug one run together, and simulations that end badly: real processes, real clients."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

import degentcivil_nb as dc
from degentcivil_nb.protocol.errors import CommandError, OutcomeUnknown
from degentcivil_nb.session import commands
from degentcivil_nb.session.session import Session
from tests.support.stand_in import free_port, shown
from tests.support.waiting import until

RUN = """
import asyncio, os, sys, time
from degentcivil_nb.simulation import SimulationProbe

kind, how, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
probe = SimulationProbe(port=port, paused=True)

@probe.command
def slow():
    probe.event("began")
    time.sleep(0.3)  # its debugger vanishes meanwhile
    probe.event("done")

def live(tick):
    probe.character_update("emma", money=tick)
    if tick == 5 and how == "hang":
        time.sleep(3_600)  # the simulation hangs, until it is killed
    return tick == 5 and how == "fork" and os.fork() == 0  # a child: its probe is inert, it neither stops nor tells

def is_over(tick):
    if tick == 5 and how == "end":
        probe.close()
    return tick == 5 and how == "end"

async def main():
    await probe.acheckpoint(0)
    for tick in range(1, 100_000):
        if live(tick):
            for more in range(100):
                probe.character_update("emma", money=-more)
                await probe.acheckpoint(more)
            os._exit(0)
        await probe.acheckpoint(tick)
        if is_over(tick):
            break

if kind == "asyncio":
    asyncio.run(main())
else:
    probe.checkpoint(0)
    for tick in range(1, 100_000):
        if live(tick):
            for more in range(100):
                probe.character_update("emma", money=-more)
                probe.checkpoint(more)
            os._exit(0)
        probe.checkpoint(tick)
        if is_over(tick):
            break
"""
both = pytest.mark.parametrize("kind", ["sync", "asyncio"])


def connected_to(port: int) -> Session:
    sessions: list[Session] = []

    def connected() -> bool:
        try:
            sessions.append(dc.connect(f"ws://127.0.0.1:{port}", name="first"))
        except ConnectionError:
            return False
        return True

    until(connected)
    return sessions[0]


@contextmanager
def simulated(how: str, kind: str = "sync") -> Iterator[tuple[Callable[[], None], Session]]:
    """Give a run in a process of its own, and what kills it, and a session that is connected to it."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", RUN, kind, how, str(port)])

    def kill() -> None:
        process.kill()
        process.wait()

    try:
        with connected_to(port) as session:
            yield kill, session
    finally:
        kill()


def together(one: Session, other: Session, condition: str, field: str) -> None:
    """Let two notebooks debug a run: each sets its own, sees the other's, and both see the same stop."""
    mine = one.break_when(condition, name="mine", once=True)
    clock = other.watch("tick", "clock")
    until(lambda: one.breakpoints()["name"].tolist() == other.breakpoints()["name"].tolist() == ["mine"])
    other.resume()
    for session in (one, other):
        until(partial(lambda session: getattr(session.stopped(), "breakpoint", None) == "mine", session))
    stop, seen = one.stopped(), other.stopped()
    assert stop is not None and seen is not None
    assert (stop.tick, stop.condition, stop.character_id) == (seen.tick, seen.condition, seen.character_id)
    assert one.payload(stop.matched or 0) == other.payload(seen.matched or 0)
    assert field in one.payload(stop.matched or 0)
    assert mine.hits == 1
    one.take_control()
    with pytest.raises(CommandError, match="has control"):
        other.step(1)
    assert one.step(2) == "paused"
    one.release_control()
    assert other.step(1) == "paused"
    until(lambda: clock.value == other.metrics()["tick"] == one.metrics()["tick"] == (stop.tick or 0) + 3)
    assert other.watches("clock")["value"].is_monotonic_increasing
    for session in (one, other):
        assert session.metrics()["gaps"] == 0


def test_two_notebooks_debug_the_demo_town() -> None:
    with (
        dc.start_local_server(characters=6, tick_s=0.001, paused=True) as town,
        dc.connect(town, name="first", history=100_000) as one,
        dc.connect(town, name="second", history=100_000) as other,
    ):
        together(one, other, "entered('MOVE') and tick > 3", "new_state")


def test_two_notebooks_debug_the_stand_in_of_degentcivil() -> None:
    with shown("--paused") as one, dc.connect(one.url, name="second", history=100_000) as other:
        together(one, other, "type == 'state_change' and new_state == 'ACT'", "new_state")


@both
def test_a_run_that_is_killed_at_a_stop_says_so_and_no_command_waits_for_ever(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(commands, "CUT_S", 0.1)
    with simulated("killed", kind) as (kill, session):
        session.break_when("money == 3", name="three")
        session.resume()
        until(lambda: session.stopped() is not None and session.stopped().tick == 3)  # type: ignore[union-attr]
        kill()
        until(lambda: session.metrics()["connection"] != "live")
        with pytest.raises((CommandError, OutcomeUnknown)):
            session.resume(timeout=1)
        assert "resume waits without a connection" in caplog.text
        assert session.breakpoints()["name"].tolist() == ["three"]  # what was is still there to be asked


@both
def test_a_run_that_hangs_in_a_tick_is_waited_for_and_lets_its_debugger_go(kind: str) -> None:
    with simulated("hang", kind) as (_, session):
        session.break_when("money == 4", name="four")
        session.resume()
        until(lambda: session.stopped() is not None and session.stopped().tick == 4)  # type: ignore[union-attr]
        session.resume()
        assert session.pause(timeout=0.5) == "pausing"
        with pytest.raises((CommandError, OutcomeUnknown)) as caught:  # a busy machine may not answer in time
            session.inject_event("rain", timeout=0.5)
        if isinstance(caught.value, CommandError):
            assert caught.value.code == CommandError.TIMEOUT
            assert re.search(r"reached no checkpoint in time|withdrawn", caught.value.message)
        assert session.break_when("money == 7").verified  # set at once, without a checkpoint
        assert session.take_control().mine
        assert session.resume() == "running"


@both
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_the_child_of_a_run_that_forks_neither_stops_nor_tells(kind: str) -> None:
    with simulated("fork", kind) as (_, session):
        session.break_when("money <= 0", name="child")
        stop = session.run_until("money == 8")
        assert (stop.breakpoint, stop.tick) == ("run_until", 8)
        told = session.attribute("money", "emma")["value"].to_list()
        assert told == [*range(1, 9)]


@both
def test_a_run_that_ends_at_a_stop_lets_its_debugger_know(kind: str) -> None:
    with simulated("end", kind) as (_, session):
        stop = session.run_until("money == 5")
        assert stop.tick == 5
        session.resume()
        until(lambda: session.metrics()["run_state"] == "finished")
        with pytest.raises((CommandError, OutcomeUnknown), match=r"the run (is finished|is over|ended)"):
            session.step(1)  # as long as it takes, which is not long
        until(lambda: session.metrics()["connection"] != "live")
        with pytest.raises(CommandError, match="the run is finished") as caught:
            session.resume()
        assert caught.value.code == CommandError.WRONG_RUN_STATE


DEBUGGERS = """
import os, sys, threading, time
import degentcivil_nb as dc

dc.Session, dc.connect
try:
    dc.connect("ws://127.0.0.1:9")  # what it needs is imported here, once: that takes seconds where much goes on
except ConnectionError:
    pass

def debug(url, step):
    session = dc.connect(url)
    if step == "connected":
        return
    session.break_when("money < 0", name="theirs")
    if step == "asked":
        session._commands.submit("resume", {})
    elif step == "stepping":
        session._commands.submit("step", {"ticks": 5_000})
    elif step == "waiting":
        threading.Thread(target=session.step, args=(50_000,), daemon=True).start()
        session.wait_for(where="money >= 3")
    elif step == "stopped":
        session.run_until("money == 3")
    elif step == "handled":
        session._commands.submit("slow", {})
        session.wait_for(where="event_type == 'began'", after=-1)
    elif step == "in control":
        session.take_control()
    elif step == "asks for control":
        session._commands.submit("take_control", {})

print("ready", flush=True)
for line in sys.stdin:
    url, step = line.rstrip().split(" ", 1)
    child = os.fork()
    if child == 0:
        try:
            debug(url, step)
            os._exit(0)
        finally:
            os._exit(1)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.fixture(scope="module")
def vanish() -> Iterator[Callable[[str, str], None]]:
    """Give what debugs a run in a process that ends in the middle of a step."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", DEBUGGERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None and stdout is not None

    def at(url: str, step: str) -> None:
        print(url, step, file=stdin, flush=True)
        ended = stdout.readline().strip()
        assert ended == "0"

    with process:
        ready = stdout.readline()
        assert ready == "ready\n"
        yield at


@both
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize(
    "step",
    ["connected", "set", "asked", "stepping", "waiting", "stopped", "handled", "in control", "asks for control"],
)
def test_a_debugger_that_vanishes_leaves_a_run_that_another_can_go_on_with(
    kind: str, step: str, vanish: Callable[[str, str], None]
) -> None:
    with simulated("vanish", kind) as (_, session):
        if step == "asks for control":
            session.take_control()
        vanish(session.url, step)
        if step != "connected":
            until(lambda: "theirs" in session.breakpoints()["name"].to_list())
        if step == "stopped":
            until(lambda: getattr(session.stopped(), "breakpoint", None) == "run_until")
        if step == "in control":
            with pytest.raises(CommandError, match="has control"):
                session.resume()
            assert session.take_control(timeout=30).mine  # unanswered, or its holder is gone: it passes
        else:
            session.pause()  # wherever it was left
        before = session.metrics()["tick"]
        assert session.step(1) == "paused"
        assert session.metrics()["tick"] == before + 1
        if step == "handled":  # what has begun is done, once
            assert session.events(event_type=["began", "done"])["event_type"].to_list() == ["began", "done"]
        if step == "asks for control":
            session.release_control()
