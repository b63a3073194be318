"""The checkpoint, where commands are executed and a paused run waits."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Literal

import pytest
from msgspec import Raw, json

from degentcivil_nb.protocol.command_payloads import Command, CommandResult
from degentcivil_nb.protocol.commands import DeclaredCommand, Role
from degentcivil_nb.protocol.control_payloads import RunState
from degentcivil_nb.protocol.errors import WebSocketError
from degentcivil_nb.protocol.json_text import decode
from degentcivil_nb.simulation.control import Control

PATIENCE_S = 5


class Bench:
    """Hold a control with everything around it in the test's hand: clock, timers, stream, server."""

    def __init__(self, **options: Any) -> None:
        self.now = 100.0
        self.states: list[RunState] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.alive = True
        self._said = threading.Condition()
        self.control = Control(
            self._publish,
            later=self._later,
            alive=lambda: self.alive,
            clock=options.pop("clock", lambda: self.now),
            **options,
        )

    def _publish(self, type: str, data: Any) -> None:
        assert type == "run_state"
        with self._said:
            self.states.append(data)
            self._said.notify_all()

    def _later(self, delay_s: float, function: Callable[[], None]) -> Callable[[], None]:
        entry = (delay_s, function)
        self.timers.append(entry)
        return lambda: self.timers.remove(entry) if entry in self.timers else None

    def submit(self, name: str, deadline_s: float | Literal["none"] | None = None, **arguments: Any) -> Answer:
        answer = Answer()
        command = Command(name, arguments, deadline_s=deadline_s)
        self.control.submit(f"id-{name}", command, "debugger", answer.take)
        return answer

    def ask(self, name: str, **arguments: Any) -> CommandResult:
        return self.submit(name, **arguments).result()

    def offer(self, function: Callable[..., Any], role: Role = "debugger") -> None:
        self.control.commands.add(DeclaredCommand(function, role=role))

    def until(self, state: str) -> None:
        """Wait until the run has been in that state."""
        with self._said:
            assert self._said.wait_for(lambda: self.states and self.states[-1].state == state, PATIENCE_S)

    @property
    def told(self) -> list[tuple[str, str | None]]:
        return [(state.state, state.reason) for state in self.states]


class Answer:
    def __init__(self) -> None:
        self._future: Future[CommandResult] = Future()
        self.count = 0

    def take(self, result: CommandResult) -> None:
        self.count += 1
        self._future.set_result(result)

    @property
    def there(self) -> bool:
        return self._future.done()

    def result(self) -> CommandResult:
        return self._future.result(PATIENCE_S)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def run(bench: Bench) -> Iterator[Run]:
    run = Run(bench)
    yield run
    run.stop()


class Run:
    """Be a simulation on a thread of its own that does nothing but ticks, as fast as it can."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.tick = 0
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.tick += 1
            self.bench.control.checkpoint(self.tick)
            self._stopping.wait(0.0005)

    def stop(self) -> None:
        self._stopping.set()
        self.bench.control.finish("finished")
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


def code_of(result: CommandResult) -> int:
    assert not result.ok and result.error is not None
    return result.error.code


def value_of(result: CommandResult) -> Any:
    assert result.ok, result.error
    return json.decode(result.result) if isinstance(result.result, Raw) else result.result


# --- where and when commands happen ------------------------------------------------------------------------------


def test_a_handler_runs_on_the_simulations_thread_inside_the_checkpoint(bench: Bench) -> None:
    threads: list[threading.Thread] = []

    def where() -> str:
        threads.append(threading.current_thread())
        return "here"

    bench.offer(where)
    caller = threading.Thread(target=lambda: answers.append(bench.submit("where")))
    answers: list[Answer] = []
    caller.start()
    caller.join()
    assert not answers[0].there, "nothing happens before the checkpoint"
    bench.control.checkpoint(1)
    assert value_of(answers[0].result()) == "here"
    assert threads == [threading.current_thread()]


def test_the_answer_holds_what_the_result_was_then(bench: Bench) -> None:
    model = {"money": 1}

    def peek() -> dict[str, int]:
        return model

    bench.offer(peek)
    answer = bench.submit("peek")
    bench.control.checkpoint()
    model["money"] = 2
    assert value_of(answer.result()) == {"money": 1}


def test_wrong_commands_are_answered_at_once(bench: Bench) -> None:
    assert code_of(bench.ask("fly")) == 1101
    assert code_of(bench.ask("step", ticks=0)) == 1102
    assert bench.timers == []


def text_of_result(answer: CommandResult) -> str:
    text: str = decode(str, answer.result)
    return text


def test_a_failing_handler_answers_and_the_simulation_goes_on(bench: Bench) -> None:
    def break_down() -> None:
        raise ZeroDivisionError("no")

    def refuse() -> None:
        raise WebSocketError(1105, "not now", details={"when": "later"})

    def formless() -> object:
        return object()

    def huge() -> str:
        return "x" * (1 << 20)

    for function in (break_down, refuse, formless, huge):
        bench.offer(function)
    answers = [bench.submit(name) for name in ("break_down", "refuse", "formless", "huge")]
    bench.control.checkpoint()
    broken, refused, shapeless, large = (answer.result() for answer in answers)
    assert code_of(broken) == 1004
    assert broken.error is not None and "ZeroDivisionError: no" in broken.error.message
    assert "break_down" in broken.error.details["traceback"]
    assert code_of(refused) == 1105
    assert refused.error is not None and refused.error.details == {"when": "later"}
    assert (shapeless.ok, text_of_result(shapeless)) == (True, "<object>")
    assert large.ok and text_of_result(large).endswith("… (1,048,576 characters in all)")


def test_an_interrupt_in_a_handler_is_the_simulations_own(bench: Bench) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    bench.offer(interrupted)
    answer = bench.submit("interrupted")
    with pytest.raises(KeyboardInterrupt):
        bench.control.checkpoint()
    assert code_of(answer.result()) == 1004
    bench.control.checkpoint()  # and the next one is open


def test_a_checkpoint_inside_a_handler_does_nothing(bench: Bench) -> None:
    def nested() -> str:
        bench.control.checkpoint(99)
        return "done"

    bench.offer(nested)
    answer = bench.submit("nested")
    bench.control.checkpoint(5)
    assert value_of(answer.result()) == "done"
    assert bench.control.status().tick == 5


# --- how long ago the last checkpoint was ------------------------------------------------------------------------


def test_the_age_of_the_last_checkpoint_is_told(bench: Bench) -> None:
    assert bench.control.status().checkpoint_age_s is None, "it has never come to one"
    bench.control.checkpoint(0)
    assert bench.control.status().checkpoint_age_s == 0
    bench.now += 59.5
    assert bench.control.status().checkpoint_age_s == 59.5
    bench.control.checkpoint(1)
    assert bench.control.status().checkpoint_age_s == 0
    bench.control.finish("finished")
    assert bench.control.status().checkpoint_age_s is None, "a run that is over comes to no more"


def test_a_paused_run_is_at_its_checkpoint_however_long(bench: Bench, run: Run) -> None:
    bench.ask("pause")
    bench.now += 3600
    assert bench.control.status().checkpoint_age_s == 0


# --- deadlines ---------------------------------------------------------------------------------------------------


def test_a_simulation_without_checkpoints_answers_1104_with_advice(bench: Bench) -> None:
    answer = bench.submit("pause", deadline_s=3)
    [(delay, expire)] = bench.timers
    assert delay == 3
    expire()
    result = answer.result()
    assert code_of(result) == 1104
    assert result.error is not None and "probe.checkpoint" in result.error.message
    assert bench.told == [("pausing", "command"), ("running", "abandoned")]


def test_what_was_not_claimed_in_time_never_runs(bench: Bench) -> None:
    calls: list[int] = []

    def count() -> None:
        calls.append(1)

    bench.offer(count)
    expired, late = bench.submit("count"), bench.submit("count", deadline_s=20)
    bench.timers[0][1]()
    bench.now += 25  # past the second deadline too, though its timer has not come yet
    bench.control.checkpoint()
    assert code_of(expired.result()) == code_of(late.result()) == 1104
    assert calls == []


def test_deadline_and_checkpoint_claim_a_command_once() -> None:
    bench = Bench()
    calls: list[int] = []

    def act() -> None:
        calls.append(1)

    bench.offer(act)
    start = threading.Barrier(2)

    def expire_now() -> None:
        for _ in range(200):
            start.wait()
            bench.timers[0][1]()
            start.wait()

    other = threading.Thread(target=expire_now)
    other.start()
    for _ in range(200):
        calls.clear()
        bench.timers.clear()
        answer = bench.submit("act")
        bench.timers *= 2  # one for the answer to cancel
        start.wait()
        bench.control.checkpoint()
        start.wait()
        assert answer.result().ok == bool(calls)
        assert answer.count == 1
    other.join()


def test_an_answered_command_leaves_no_timer(bench: Bench) -> None:
    answer = bench.submit("pause")
    assert len(bench.timers) == 1
    run = Run(bench)
    assert value_of(answer.result()).state == "paused"
    assert bench.timers == []
    run.stop()


def test_a_pause_without_a_deadline_stays_wanted_while_another_is_given_up(bench: Bench) -> None:
    bench.control.checkpoint(1)
    patient, short = bench.submit("pause", "none"), bench.submit("pause", deadline_s=3)
    bench.timers[-1][1]()
    assert code_of(short.result()) == 1104
    assert bench.control.status().state == "pausing"
    bench.control.withdraw("id-pause", "its client has gone")
    assert code_of(patient.result()) == 1104
    assert bench.told == [("pausing", "command"), ("running", "abandoned")]


def test_resume_cuts_a_step_without_waiting_for_the_tick(bench: Bench) -> None:
    ticks = threading.Semaphore(0)

    def live() -> None:
        while not bench.control.ended:
            bench.control.checkpoint()
            ticks.acquire(timeout=PATIENCE_S)

    thread = threading.Thread(target=live)
    pause = bench.submit("pause", "none")
    thread.start()
    assert value_of(pause.result()).state == "paused"
    step = bench.submit("step", "none", ticks=5)
    bench.until("running")
    assert value_of(bench.ask("resume")).state == "running"
    assert code_of(step.result()) == 1105
    bench.control.finish("finished")
    ticks.release()
    thread.join()


# --- pausing, resuming, stepping ---------------------------------------------------------------------------------


def test_pause_holds_the_run_and_says_where(bench: Bench, run: Run) -> None:
    state = value_of(bench.ask("pause"))
    assert (state.state, state.reason) == ("paused", "command")
    assert state.tick == run.tick
    assert bench.told == [("pausing", "command"), ("paused", "command")]
    assert bench.states[-1].command_id == "id-pause"
    assert bench.control.status().state == "paused"
    before = run.tick
    assert value_of(bench.ask("pause")).state == "paused"
    assert run.tick == before
    assert len(bench.states) == 2, "pausing what is paused changes nothing"


def test_while_paused_commands_are_served_and_resume_lets_go(bench: Bench, run: Run) -> None:
    def look() -> int:
        return run.tick

    bench.offer(look)
    tick = value_of(bench.ask("pause")).tick
    assert value_of(bench.ask("look")) == tick
    assert value_of(bench.ask("resume")).state == "running"
    assert value_of(bench.ask("resume")).state == "running"
    assert value_of(bench.ask("pause")).tick > tick


def test_step_runs_so_many_ticks_and_pauses_again(bench: Bench, run: Run) -> None:
    start = value_of(bench.ask("pause")).tick
    state = value_of(bench.ask("step", ticks=3))
    assert (state.state, state.reason, state.tick) == ("paused", "step", start + 3)
    assert run.tick == start + 3
    assert bench.told[2:] == [("running", "step"), ("paused", "step")]
    assert value_of(bench.ask("step")).tick == start + 4


def test_a_running_run_cannot_step(bench: Bench, run: Run) -> None:
    assert code_of(bench.ask("step")) == 1105


def test_a_step_cut_short_says_so(bench: Bench, run: Run) -> None:
    bench.ask("pause")
    step = bench.submit("step", ticks=10_000_000)
    bench.until("running")
    assert value_of(bench.ask("pause")).state == "paused"
    result = step.result()
    assert code_of(result) == 1105
    assert result.error is not None and result.error.details["ticks"] < 10_000_000
    step = bench.submit("step", ticks=10_000_000)
    run.stop()
    assert code_of(step.result()) == 1105


def test_a_run_may_begin_paused() -> None:
    bench = Bench(paused=True)
    assert bench.control.status().state == "paused"
    run = Run(bench)
    assert value_of(bench.ask("step")).tick == 2
    assert value_of(bench.ask("resume")).state == "running"
    run.stop()


def test_nobody_left_to_resume_lets_a_paused_run_go_on(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.control.checkpoint(1)
    bench.submit("pause")
    bench.alive = False
    with caplog.at_level(logging.WARNING):
        bench.control.checkpoint(2)
    assert bench.told[-1] == ("running", "abandoned")
    assert "nobody could resume" in caplog.text


def test_the_end_refuses_what_waits_and_what_comes(bench: Bench) -> None:
    waiting = bench.submit("pause")
    bench.control.finish("dead", "exception")
    assert code_of(waiting.result()) == 1105
    assert code_of(bench.ask("pause")) == 1105
    assert bench.told == [("pausing", "command"), ("dead", "exception")]
    bench.control.finish("finished")
    assert bench.control.status().state == "dead", "a run ends once"
    bench.control.checkpoint(3)


def test_the_end_lets_a_paused_thread_go(bench: Bench) -> None:
    run = Run(bench)
    bench.ask("pause")
    run.stop()
    assert bench.told[-1] == ("finished", None)


def test_only_one_thread_is_in_the_checkpoint(bench: Bench) -> None:
    inside = threading.Event()
    read_until = threading.Event()

    def linger() -> None:
        inside.set()
        read_until.wait(PATIENCE_S)

    bench.offer(linger)
    bench.submit("linger")
    first = threading.Thread(target=bench.control.checkpoint)
    second = threading.Thread(target=bench.control.checkpoint)
    first.start()
    assert inside.wait(PATIENCE_S)
    second.start()
    second.join(0.05)
    assert second.is_alive(), "it waits for the first"
    read_until.set()
    first.join(PATIENCE_S)
    second.join(PATIENCE_S)
    assert not first.is_alive() and not second.is_alive()


# --- ticks and pace ----------------------------------------------------------------------------------------------


def test_what_happens_after_a_checkpoint_belongs_to_the_next_tick(bench: Bench) -> None:
    assert bench.control.tick == 0
    bench.control.checkpoint(0)
    assert bench.control.tick == 1
    bench.control.checkpoint(10)
    assert (bench.control.tick, bench.control.status().tick) == (11, 10)
    bench.control.checkpoint()
    assert bench.control.status().tick == 11
    bench.control.checkpoint(-5)
    assert bench.control.status().tick == 12, "a tick is never negative on the wire: it is counted on"


def test_ticks_take_the_time_they_should_and_speed_changes_it() -> None:
    bench = Bench(tick_s=0.02, clock=time.monotonic)
    bench.control.checkpoint(0)
    started = time.monotonic()
    for tick in range(1, 6):
        bench.control.checkpoint(tick)
    assert time.monotonic() - started >= 0.099
    speed = bench.submit("set_speed", factor=1e6)
    bench.control.checkpoint()
    assert value_of(speed.result()).state == "running"
    started = time.monotonic()
    for _ in range(100):
        bench.control.checkpoint()
    assert time.monotonic() - started < 1.0, "at the old speed it would have taken two seconds"


def test_a_command_does_not_wait_for_the_pace() -> None:
    bench = Bench(tick_s=60.0, clock=time.monotonic)
    run = Run(bench)
    assert value_of(bench.ask("pause")).state == "paused"
    run.stop()


def test_a_run_without_a_pace_has_no_speed(bench: Bench) -> None:
    answer = bench.submit("set_speed", factor=2)
    bench.control.checkpoint()
    assert code_of(answer.result()) == 1105
    with pytest.raises(ValueError, match="tick_s"):
        Bench(tick_s=0)


# --- in coroutines -----------------------------------------------------------------------------------------------


async def test_a_sync_checkpoint_on_a_loop_warns_once_and_never_blocks(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    answer = bench.submit("pause")
    with caplog.at_level(logging.WARNING):
        bench.control.checkpoint(1)
        bench.control.checkpoint(2)
    assert caplog.text.count("acheckpoint") == 1
    assert not answer.there
    assert bench.control.tick == 3
    bench.timers[0][1]()
    result = answer.result()
    assert result.error is not None and "acheckpoint" in result.error.message


async def test_an_async_checkpoint_pauses_without_blocking_its_loop(bench: Bench) -> None:
    ticks = 0

    async def simulate() -> None:
        nonlocal ticks
        while not bench.control.ended:
            ticks += 1
            await bench.control.acheckpoint(ticks)

    async def ask(name: str, **arguments: Any) -> CommandResult:
        return await asyncio.wrap_future(bench.submit(name, **arguments)._future)

    async def slowly(text: str) -> str:
        await asyncio.sleep(0)  # a coroutine that gives way once
        await bench.control.acheckpoint(0)  # inside a handler: nothing
        return text.upper()

    bench.offer(slowly)
    simulation = asyncio.create_task(simulate())
    tick = value_of(await ask("pause")).tick
    assert tick == ticks
    assert value_of(await ask("slowly", text="yes")) == "YES"
    assert value_of(await ask("step", ticks=2)).tick == tick + 2
    assert value_of(await ask("resume")).state == "running"
    bench.control.finish("finished")
    async with asyncio.timeout(PATIENCE_S):
        await simulation


async def test_async_checkpoints_take_turns_and_can_be_cancelled(bench: Bench) -> None:
    pause = bench.submit("pause")
    first = asyncio.create_task(bench.control.acheckpoint(1))
    assert value_of(await asyncio.wrap_future(pause._future)).state == "paused"
    second = asyncio.create_task(bench.control.acheckpoint(2))
    for _ in range(10):
        await asyncio.sleep(0)  # both have had their turns, and wait for a command that nobody gives
    assert not first.done() and not second.done()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    resume = bench.submit("resume")
    assert value_of(await asyncio.wrap_future(resume._future)).state == "running"
    async with asyncio.timeout(PATIENCE_S):
        await second


def test_an_async_handler_needs_an_async_checkpoint(bench: Bench) -> None:
    async def later() -> None: ...

    bench.offer(later)
    answer = bench.submit("later")
    bench.control.checkpoint()
    result = answer.result()
    assert result.error is not None and "acheckpoint" in result.error.message
