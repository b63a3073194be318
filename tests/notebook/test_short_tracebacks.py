"""A mistake or an interrupt shows the user's line and one sentence, in a real kernel; outside nothing changes."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Iterator

import pandas as pd
import pytest

from degentcivil_nb.notebook.tracebacks import is_deliberate, is_library, users_part
from degentcivil_nb.simulation import SimulationProbe
from tests.support.kernels import PATIENCE_S, Kernel, running_kernel


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with running_kernel() as kernel:
        begun = kernel.run(
            "import threading\n"
            "import degentcivil_nb as dc\n"
            "%load_ext degentcivil_nb\n"
            "server = dc.start_local_server(characters=3, tick_s=0.01)\n"
            "session = dc.connect(server)\n"
            "def when(ready):\n"
            "    'Print that it is time to interrupt, once what is waited for is under way.'\n"
            "    def look():\n"
            "        while not ready(): threading.Event().wait(0.01)\n"
            "        print('now', flush=True)\n"
            "    threading.Thread(target=look).start()\n"
        )
        assert begun.status == "ok", begun
        yield kernel


@pytest.mark.parametrize(
    ("code", "name", "sentence"),
    [
        ("session.step('ten')", "ValueError", "`ticks` must be a whole number, not 'ten'"),
        ("session.inspect('emme')", "CommandError", "there is no character 'emme'; did you mean 'emma'?"),
        ("dc.connect('ws://127.0.0.1:9')", "ConnectFailed", "nothing listens at ws://127.0.0.1:9"),
        ("session.break_when('money >')", "ConditionError", "this is not a condition"),
        ("session.wait_for(where='money < 0', timeout=0.01)", "TimeoutError", "no event where money < 0 within 0.01 s"),
        ("dc.open_recording('/nowhere')", "FileNotFoundError", "/nowhere is not a recording"),
        ("dc.conect", "AttributeError", "module 'degentcivil_nb' has no attribute 'conect'"),
    ],
)
def test_a_mistake_shows_the_users_line_and_one_sentence(kernel: Kernel, code: str, name: str, sentence: str) -> None:
    shown = kernel.run(f"def mine():\n    {code}\nmine()")
    assert (shown.status, shown.name) == ("error", name)
    assert f"----> 2     {code}" in shown.text
    assert f"{name}: {sentence}" in shown.text
    assert ".py" not in shown.text
    assert kernel.run("%tb Verbose").text.count("degentcivil_nb/") >= 1


def test_what_is_no_mistake_is_shown_whole(kernel: Kernel) -> None:
    fault = kernel.run("type(session._breakpoints).names(None)")
    assert (fault.name, ".py" in fault.text) == ("AttributeError", True)
    assert "ZeroDivisionError" in kernel.run("1 / 0").text


@pytest.mark.parametrize(
    ("code", "sentence", "after"),
    [
        ("session.step(10**6)", "the run pauses at its next checkpoint", "paused"),
        ("session.run_until('money < 0')", "the run pauses at its next checkpoint", "paused"),
        ("session.wait_for(where='money < 0')", "no such event had come yet", "running"),
    ],
)  # fmt: skip
def test_an_interrupt_leaves_in_order_and_says_what_it_means(
    kernel: Kernel, code: str, sentence: str, after: str
) -> None:
    kernel.run("session.pause()" if after == "paused" else "session.resume()")
    shown = kernel.run(f"begun = server.town.tick\nwhen(lambda: server.town.tick > begun)\n{code}", interrupt_at="now")
    assert (shown.status, shown.name) == ("error", "KeyboardInterrupt")
    assert f"----> 3 {code}" in shown.text
    assert f"KeyboardInterrupt: {sentence}" in shown.text
    assert ".py" not in shown.text
    assert after in kernel.run(f"session._store.wait(lambda: session._store.run_state == {after!r}, 20), session").text
    assert "True" in kernel.run("session.breakpoints().empty").text


def test_an_interrupted_pause_stays_wanted(kernel: Kernel) -> None:
    begun = kernel.run(
        "from degentcivil_nb.simulation import SimulationProbe\n"
        "probe, hold = SimulationProbe(port=0), threading.Event()\n"
        "def live():\n"
        "    probe.checkpoint(0)\n"
        "    hold.wait()\n"
        "    probe.checkpoint(1)\n"
        "thread = threading.Thread(target=live)\n"
        "thread.start()\n"
        "slow = dc.connect(probe)\n"
    )
    assert begun.status == "ok", begun
    shown = kernel.run("when(lambda: slow._store.run_state == 'pausing')\nslow.pause(None)", interrupt_at="now")
    assert "KeyboardInterrupt: the pause is still requested; session.resume() cancels it" in shown.text
    assert ".py" not in shown.text
    done = kernel.run(
        "hold.set()\n"
        "print(slow._store.wait(lambda: slow._store.run_state == 'paused', 20))\n"
        "probe.close()\n"
        "slow.close()"
    )
    assert done.text.strip() == "True"


def test_an_interrupt_in_the_line_magic_is_one_sentence(kernel: Kernel) -> None:
    kernel.run("%dc pause")
    shown = kernel.run(
        "begun = server.town.tick\nwhen(lambda: server.town.tick > begun)\n%dc step 1000000", interrupt_at="now"
    )
    assert shown.status == "error"
    assert "UsageError: interrupted: the run pauses at its next checkpoint" in shown.text
    assert "Traceback" not in shown.text


def test_tab_in_a_kernel_completes_words_and_characters(kernel: Kernel) -> None:
    for text, wanted in (
        ("x = 1\n%dc insp", ["inspect"]),
        ("%dc inspect em", ["emma"]),
        ("y = %dc set emma mone", ["money"]),
    ):
        sent = kernel.client.complete(text)
        while (reply := kernel.client.get_shell_msg(timeout=PATIENCE_S))["parent_header"].get("msg_id") != sent:
            pass
        content = reply["content"]
        assert content["matches"] == wanted
        assert text[: content["cursor_start"]] + content["matches"][0] == text.rpartition(" ")[0] + " " + wanted[0]


def test_outside_a_notebook_nothing_changes() -> None:
    program = (
        "import degentcivil_nb as dc, sys\n"
        "assert 'degentcivil_nb.notebook' not in sys.modules\n"
        "dc.open_recording('/nowhere')"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert "is not a recording" in run.stderr
    assert run.stderr.count("degentcivil_nb") > 1


def test_frames_of_the_user_inside_of_ours_are_kept() -> None:
    def mine() -> None:
        raise ValueError("mine")

    with SimulationProbe(port=0) as probe:
        guarded = probe.guard(mine)
        with pytest.raises(ValueError, match="mine") as caught:
            guarded()
    assert users_part(caught.value, caught.value.__traceback__) is None
    assert not is_deliberate(caught.value)


def test_a_librarys_compiled_code_is_no_frame_of_the_users() -> None:
    class Unhashable:
        def __hash__(self) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        _ = pd.Index([Unhashable(), Unhashable()], dtype=object).is_unique
    frames = (frame for frame, _ in traceback.walk_tb(caught.value.__traceback__))
    compiled = [frame for frame in frames if frame.f_code.co_filename.endswith(".pyx")]
    assert compiled
    assert all(is_library(frame) for frame in compiled)
