"""The shell command: what it prints, how it ends, and its exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from msgspec import Raw

from degentcivil_nb import __version__
from degentcivil_nb.cli import app as cli
from degentcivil_nb.cli.tail import follow, json_line, text_line
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket

HOSTILE = 'red \x1b[31m bell \x07 reversed \u202e tag \U000e0041 two\nlines "quoted" \u00e9'
Running = subprocess.Popen[str]


@contextlib.contextmanager
def started(*arguments: str, **environment: str) -> Iterator[Running]:
    process = subprocess.Popen(
        [sys.executable, "-m", "degentcivil_nb", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_line(process: Running, *, containing: str) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        if containing in line:
            return line.rstrip("\n")
    raise AssertionError(f"no line with {containing!r}, but: {process.stderr.read()}")


def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
    with started(*arguments, **environment) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


# --- words and exit codes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "a command is required; degentcivil-nb --help lists them"),
        (["dance"], 'Unknown command "dance"'),
        (["taill", "ws://localhost:1"], 'Did you mean "tail"'),
        (["demo", "--characters", "0"], "Must be >= 1"),
        (["demo", "--characters", "many"], "--characters"),
        (["demo", "--tick", "nan"], "--tick"),
        (["demo", "--tick", "inf"], "a number of seconds"),
        (["demo", "--port", "70000"], "Must be <= 65535"),
        (["demo", "--port"], "requires an argument"),
        (["demo", "--char", "3"], "Did you mean --characters"),
        (["demo", "--host", "0.0.0.0"], "without a token"),
        (["demo", "--no-browser"], "Unknown option: --no-browser"),
        (["tail"], "URL"),
        (["tail", "http://localhost:1"], "not a WebSocket URL"),
        (["tail", "ws://user:secret@localhost:1"], "never in the URL"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = cli.main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    captured = capsys.readouterr()
    assert code == cli.USAGE
    assert complaint in captured.err
    assert "secret" not in captured.err


def test_help_and_version_say_what_there_is() -> None:
    code, out, _ = run("--help")
    assert code == cli.OK
    listed = re.findall(r"^ {4}([a-z]+) ", out, re.MULTILINE)
    assert listed == [command.__name__ for command in cli.COMMANDS]
    assert "Exit codes: 0 success" in out
    assert run("--version")[1] == f"degentcivil-nb {__version__}\n"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_help_of_each_command_says_all_of_its_options(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command.__name__, "--help"]) == cli.OK
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: degentcivil-nb {command.__name__}")
    options = re.findall(r"^ +(?:\*  )?(--[a-z-]+|[A-Z]+) ", out, re.MULTILINE)
    taken = [parameter for parameter in inspect.signature(command).parameters.values() if parameter.kind != 2]
    assert len(options) == len(taken)
    assert all(len(line) <= 100 and line == line.rstrip() for line in out.splitlines())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["info", "--help"]])
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_process_without_streams_is_none_the_worse(
    arguments: list[str], closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, closed, None)
    assert cli.main(arguments) == cli.OK
    assert cli.main(["dance"]) == cli.USAGE


def test_tail_without_a_server_says_what_to_try_and_fails() -> None:
    code, out, err = run("tail", f"ws://127.0.0.1:{free_port()}")
    assert code == cli.FAILED
    assert out == ""
    assert "refused" in err
    assert "Traceback" not in err


def test_a_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    monkeypatch.setenv(cli.TOKEN_VARIABLE, "from-environment")
    assert cli.read_token(file) == "from-file"
    assert cli.read_token(None) == "from-environment"
    monkeypatch.delenv(cli.TOKEN_VARIABLE)
    assert cli.read_token(None) is None


# --- lab -------------------------------------------------------------------------------------------------------------


def test_the_notebooks_are_copied_and_the_users_own_are_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    first = cli.copy_notebooks(cli.notebooks_folder(), folder)
    assert first.name == cli.FIRST_NOTEBOOK
    first.write_text("mine")
    cli.copy_notebooks(cli.notebooks_folder(), folder)
    assert first.read_text() == "mine"


def test_lab_passes_on_what_is_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labapp = pytest.importorskip("jupyterlab.labapp")
    launched: list[list[str]] = []
    monkeypatch.setattr(labapp.LabApp, "launch_instance", launched.append)
    monkeypatch.setenv(cli.URL_VARIABLE, "")
    folder = tmp_path / "mine"
    code = cli.main(["lab", "--folder", str(folder), "--no-browser", "--port", "9000", "--url", "ws://localhost:1"])
    assert code == cli.OK
    notebook, _, *passed_on = launched[0]
    assert notebook == str(folder / cli.FIRST_NOTEBOOK)
    assert passed_on[:3] == ["--no-browser", "--port", "9000"]
    assert os.environ[cli.URL_VARIABLE] == "ws://localhost:1"


def test_lab_without_jupyterlab_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", None)
    assert cli.main(["lab"]) == cli.FAILED
    assert "pip install 'degentcivil-nb[lab]'" in capsys.readouterr().err


# --- demo ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="signals between processes are POSIX")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, cli.INTERRUPTED), (signal.SIGTERM, cli.OK)])
def test_demo_serves_a_town_until_it_is_told_to_end(sent: signal.Signals, code: int) -> None:
    with started("demo", "--port", "0", "--characters", "3", "--tick", "0.01") as process:
        url = first_line(process, containing="is at").split()[-1]
        with started("tail", url, "--json", "--history", "0", "--type", "state_change") as tail:
            line = json.loads(first_line(tail, containing='"state_change"'))
            assert line["data"]["new_state"]
            tail.send_signal(sent)
            _, complaints = tail.communicate(timeout=30)
            assert (tail.returncode, "Traceback" in complaints) == (code, False)
        process.send_signal(sent)
        _, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (code, "")
    port = int(url.rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the port is free again"


def test_demo_with_a_made_up_token_refuses_who_has_not_got_it() -> None:
    with started("demo", "--port", "0", "--make-token") as process:
        url = first_line(process, containing="is at").split()[-1]
        token = first_line(process, containing="Its token").split()[-1]
        assert token not in url
        code, _, complaint = run("tail", url)
        assert (code, token in complaint) == (cli.FAILED, False)
        with started("tail", url, **{cli.TOKEN_VARIABLE: token}) as tail:
            assert first_line(tail, containing="state_change")


def test_demo_on_a_port_in_use_says_so_and_fails() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, complaint = run("demo", "--port", str(taken.getsockname()[1]))
    assert code == cli.FAILED
    assert complaint.startswith("degentcivil-nb: ")
    assert "Traceback" not in complaint


# --- tail ------------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def server() -> AsyncIterator[SimulationWebSocket]:
    server = SimulationWebSocket("127.0.0.1", 0)
    await server.start()
    yield server
    await server.close()


class Lines(io.StringIO):
    """Text that one can wait for, and that breaks like a pipe when it has had enough."""

    def __init__(self, enough: int | None = None) -> None:
        super().__init__()
        self.arrived = asyncio.Event()
        self.enough = enough

    def write(self, text: str) -> int:
        if self.enough is not None and self.getvalue().count("\n") >= self.enough:
            raise BrokenPipeError
        self.arrived.set()
        return super().write(text)

    async def until(self, text: str) -> str:
        async with asyncio.timeout(10):
            while text not in self.getvalue():
                self.arrived.clear()
                await self.arrived.wait()
        return next(line for line in self.getvalue().splitlines() if text in line)


async def test_tail_prints_history_and_what_comes(server: SimulationWebSocket) -> None:
    out, notices = Lines(), Lines()
    server.publish("state_change", {"character_id": "emma", "new_state": "MOVE"}, tick=7)
    task = asyncio.create_task(follow(server.url, out, notices))
    assert "#1      t7 state_change" in await out.until('"emma"')
    server.publish("event_notification", {"event_type": "trade", "data": HOSTILE})
    line = await out.until("trade")
    assert line.isprintable()
    assert "\\u001b[31m" in line
    assert await notices.until("live")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_tail_shows_only_the_types_asked_for(server: SimulationWebSocket) -> None:
    out = Lines()
    task = asyncio.create_task(follow(server.url, out, io.StringIO(), types=["error"], form="json"))
    server.publish("state_change", {"character_id": "emma", "new_state": "MOVE"})
    server.publish("error", {"code": 1004, "message": "planner failed"})
    assert json.loads(await out.until("planner failed"))["seq"] == 2
    assert "state_change" not in out.getvalue()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_tail_says_when_a_type_is_none_of_the_protocol(server: SimulationWebSocket) -> None:
    notices = Lines()
    task = asyncio.create_task(follow(server.url, io.StringIO(), notices, types=["eror", "wether", "error"]))
    assert await notices.until("live")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert notices.getvalue().splitlines()[:2] == [
        "the protocol has no type 'eror'; did you mean 'error'?",
        "the protocol has no type 'wether'; messages are shown only if the simulation itself has a type of that name",
    ]


async def test_tail_ends_quietly_when_nobody_reads_any_more(server: SimulationWebSocket) -> None:
    out = Lines(enough=1)
    task = asyncio.create_task(follow(server.url, out, io.StringIO()))
    server.publish("event_notification", {"event_type": "read"})
    await out.until("read")
    server.publish("event_notification", {"event_type": "unread"})
    async with asyncio.timeout(10):
        await task


async def test_tail_onto_a_full_disk_fails_and_says_so(server: SimulationWebSocket) -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    server.publish("event_notification", {"event_type": "x"})
    async with asyncio.timeout(10):
        with pytest.raises(OSError, match="No space left"):
            await follow(server.url, Full(), io.StringIO())


@pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
def test_a_pipe_that_nobody_reads_is_no_error() -> None:
    with started("demo", "--port", "0", "--characters", "3", "--tick", "0.01") as town:
        url = first_line(town, containing="is at").split()[-1]
        for arguments in (["tail", url], ["tail", url, "--json"], ["--help"], ["--version"], ["demo", "--help"]):
            assert unread(*arguments) == (cli.OK, ""), arguments


def unread(*arguments: str) -> tuple[int, str]:
    """Run a command whose output nobody reads; give its exit code and what it complains of."""
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [sys.executable, "-m", "degentcivil_nb", *arguments], stdout=writing, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writing)
        _, told = process.communicate(timeout=60)
    return process.returncode, "".join(
        line for line in told.splitlines(keepends=True) if line.strip() not in ("connecting", "live")
    )


def test_text_is_printable_and_json_keeps_its_meaning() -> None:
    raw = raw_event(HOSTILE)
    assert json.loads(json_line(raw, 5.0)) == {
        "type": "event_notification",
        "data": {"event_type": HOSTILE},
        "timestamp": 5.0,
    }
    assert json_line(raw, 5.0).isprintable()
    assert text_line(raw, 5.0).isprintable()


@pytest.mark.parametrize("moment", [1e30, -1.0, float("inf")])
def test_a_time_that_is_none_is_printed_as_its_number(moment: float) -> None:
    assert "event_notification" in text_line(raw_event("x", moment), 5.0)


def raw_event(event_type: str, timestamp: float | None = None) -> RawMessage:
    data = json.dumps({"event_type": event_type}, ensure_ascii=False, indent=2).encode("utf-8")
    return RawMessage("event_notification", Raw(data), timestamp)
