"""The end of a process in any way: peers are told or notice, recordings are complete, no thread delays it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from queue import Empty

import pytest
from jupyter_client.manager import KernelManager

import degentcivil_nb as dc
from tests.support.client_helpers import following, never_again
from tests.support.waiting import eventually

EVERYTHING = """
import signal, sys, threading, time
import degentcivil_nb as dc
server = dc.start_local_server(tick_s=0.01)
session = dc.connect(server, record=sys.argv[1])
session.on(None, lambda event: None)
session.dashboard()
print(server.url, flush=True)
sys.stdin.readline()
"""


COMMITTED = """
while session._recorder.stats().committed is None or session._recorder.stats().committed[1] == 0:
    time.sleep(0.005)  # until it has committed something
print(session._recorder.stats().committed[1], flush=True)
sys.stdin.readline()
"""


class Running:
    """A program with everything open: a town, a session that records, a subscription and a dashboard."""

    def __init__(self, program: str, recording: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", EVERYTHING + program, str(recording)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def line(self) -> str:
        """Let it go on, and give the next line that it prints."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    async def end(self, sent: signal.Signals | None = None) -> tuple[int, str]:
        """Let it go on to its end, or send it a signal; give its exit code and what it complained of."""
        if sent is not None:
            self.process.send_signal(sent)
        _, complaints = await asyncio.to_thread(self.process.communicate, "\n" if sent is None else None, 20)
        return self.process.returncode, complaints


@pytest.mark.parametrize(
    ("program", "code", "complaint"),
    [
        ("", 0, ""),
        ("raise RuntimeError('model')", 1, "RuntimeError: model"),
    ],
)
async def test_an_interpreter_that_exits_tells_its_peers_and_leaves_a_whole_recording(
    tmp_path: Path, program: str, code: int, complaint: str
) -> None:
    running = Running(program, tmp_path / "run")
    async with following(running.url, delays=never_again) as (client, _):
        ended, said = await running.end()
        await eventually(lambda: client.state == "reconnecting")
    assert ended == code, said
    assert said.strip().endswith(complaint) if complaint else said == ""
    assert "shut down" in str(client.last_error)  # close code 1001: told, not lost
    recording = dc.open_recording(tmp_path / "run")
    assert len(recording) > 0


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
async def test_a_program_that_sigterm_ends_is_noticed_at_once_and_its_recording_is_readable(tmp_path: Path) -> None:
    """Nothing of ours stands between a program and SIGTERM; what was committed before it is there (issue 9)."""
    running = Running(COMMITTED, tmp_path / "run")
    async with following(running.url, delays=never_again) as (client, _):
        committed = int(await asyncio.to_thread(running.line))
        began = time.monotonic()
        code, said = await running.end(signal.SIGTERM)
        await eventually(lambda: client.state == "reconnecting")
        assert time.monotonic() - began < 5
    assert (code, said) == (-signal.SIGTERM, "")
    with pytest.warns(dc.RecordingWarning, match="not finished"):
        recording = dc.open_recording(tmp_path / "run")
    assert recording.events()["seq"].max() >= committed > 0


async def test_ctrl_c_ends_a_script_like_any_exception(tmp_path: Path) -> None:
    running = Running("", tmp_path / "run")
    async with following(running.url, delays=never_again) as (client, _):
        code, said = await running.end(signal.SIGINT)
        await eventually(lambda: client.state == "reconnecting")
    assert code in (-signal.SIGINT, 130)
    assert said.strip().endswith("KeyboardInterrupt")
    assert "shut down" in str(client.last_error)


KERNEL = """
import atexit, pathlib, threading
def tell():  # registered first, so it runs last, after the package's own
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("degentcivil")]
    pathlib.Path({told!r}).write_text(repr(names))
atexit.register(tell)
import degentcivil_nb as dc
server = dc.start_local_server()
session = dc.connect(server, record={run!r})
board = session.dashboard()
display(board)
print(server.url)
"""


def test_a_kernel_that_is_shut_down_ends_by_itself_with_everything_open(tmp_path: Path) -> None:
    told, run = tmp_path / "told", tmp_path / "run"
    manager = KernelManager(kernel_name="python3", shutdown_wait_time=240.0)  # after half of it comes SIGTERM
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        # the reply to this very cell: `wait_for_ready` may leave others on a busy machine
        reply = client.execute(KERNEL.format(told=str(told), run=str(run)), reply=True, timeout=60)
        assert reply["content"]["status"] == "ok", reply["content"]
        manager.shutdown_kernel(now=False)
        assert told.read_text() == "[]"  # it has ended by itself: a kernel that a signal ends writes nothing
    except Empty:
        raise AssertionError("the kernel did not answer") from None
    finally:
        client.stop_channels()
        if manager.is_alive():
            manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
    assert len(dc.open_recording(run)) > 0
