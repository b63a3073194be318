"""A simulation whose loop runs in a notebook's cell: debugged from its own kernel and from elsewhere; a real kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import degentcivil_nb as dc
from degentcivil_nb.session.session import Session
from tests.support.kernels import Kernel, running_kernel
from tests.support.waiting import until

BEGIN = """
import threading
import degentcivil_nb as dc
%load_ext degentcivil_nb
money = {"emma": 0}

def begin():
    global probe, here
    probe = dc.SimulationProbe(port=0, name="cell")
    money["emma"] = 0
    @probe.attributes
    def put(character_id, name, value):
        money[character_id] = value
    here = dc.connect(probe, name="here")
    here.break_when("money == 5", name="five")
    return probe.url
"""
LOOP = """
for tick in range(1, 21):
    money["emma"] += 1
    probe.character_update("emma", money=money["emma"])
    {}
print("done", money["emma"])
"""
DEBUG = """
said = []
def debug():
    while (stop := here.stopped()) is None or stop.breakpoint is None:
        threading.Event().wait(0.01)
    said.extend([stop.tick, str(here.step(2)), here.metrics()["tick"]])
    row = here.set_attribute("emma", "money", 100)
    said.extend([here.payload(row)["money"], here.run_until("money == 103").tick, here.resume()])
thread = threading.Thread(target=debug)
thread.start()
"""
both = pytest.mark.parametrize("checkpoint", ["probe.checkpoint(tick)", "await probe.acheckpoint(tick)"])


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with running_kernel() as kernel:
        begun = kernel.run(BEGIN)
        assert begun.status == "ok", begun
        yield kernel


@pytest.fixture
def url(kernel: Kernel) -> str:
    return kernel.run("if 'here' in globals(): here.close(), probe.close()\nprint(begin())").text.strip()


@pytest.fixture
def elsewhere(url: str) -> Iterator[Session]:
    with dc.connect(url, name="elsewhere") as session:
        yield session


def stands_at(session: Session, tick: int) -> bool:
    stop = session.stopped()
    return stop is not None and (stop.breakpoint, stop.tick) == ("five", tick)


@both
def test_a_session_elsewhere_debugs_the_loop_of_a_cell(kernel: Kernel, elsewhere: Session, checkpoint: str) -> None:
    done = kernel.begin(LOOP.format(checkpoint))
    until(lambda: stands_at(elsewhere, 5))
    assert elsewhere.step(2) == "paused"
    assert elsewhere.metrics()["tick"] == 7
    row = elsewhere.set_attribute("emma", "money", 100)
    assert row is not None
    assert elsewhere.payload(row)["money"] == 100
    assert elsewhere.run_until("money == 103").tick == 10
    assert elsewhere.resume() == "running"
    assert done().text.strip() == "done 113"


@both
def test_a_session_of_the_same_kernel_debugs_it_from_another_thread(kernel: Kernel, url: str, checkpoint: str) -> None:
    done = kernel.run(f"{DEBUG}{LOOP.format(checkpoint)}\nthread.join()\nprint(said)")
    assert done.text.split("\n")[:2] == ["done 113", "[5, 'paused', 7, 100, 10, 'running']"], done


@both
def test_the_cell_itself_is_told_that_it_would_wait_for_itself(kernel: Kernel, url: str, checkpoint: str) -> None:
    assert kernel.run(LOOP.format(checkpoint).replace("21", "4")).status == "ok"
    assert (
        kernel.run("async def other():\n    await probe.acheckpoint()\nawait other()\nprobe.checkpoint()").status
        == "ok"
    )
    words = ("pause()", "step(1)", "run_until('money == 9')", "run_until(tick=99)", "set_attribute('emma', 'money', 1)")
    for word in words:
        shown = kernel.run(f"here.{word}")
        assert shown.name == "CommandError"
        assert f"{word.partition('(')[0]} cannot be sent from the thread that calls checkpoint()" in shown.text
        assert "in a notebook: from the dashboard or another notebook" in shown.text
    assert "running" in kernel.run("here.resume()").text


def test_a_cell_that_is_interrupted_at_a_stop_goes_on_in_the_next(kernel: Kernel, elsewhere: Session) -> None:
    done = kernel.begin(LOOP.format("probe.checkpoint(tick)"))
    until(lambda: stands_at(elsewhere, 5))
    kernel.manager.interrupt_kernel()
    shown = done()
    assert shown.name == "KeyboardInterrupt"
    assert "----> 4     probe.checkpoint(tick)" in shown.text
    assert stands_at(elsewhere, 5)  # it is as it was left
    assert "running" in kernel.run("here.resume()").text  # nobody stands there who could do it
    until(lambda: elsewhere.metrics()["run_state"] == "running")
    rest = LOOP.format("probe.checkpoint(tick)").replace("range(1, 21)", "range(6, 21)")
    assert kernel.run(rest).text.strip() == "done 20"
