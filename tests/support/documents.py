"""Documents run as a reader types them: files are written, programs started, and cells run in one namespace."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import degentcivil_nb as dc
from degentcivil_nb.cli import app as cli
from degentcivil_nb.core import lifetime
from tests.support.paths import ROOT
from tests.support.waiting import until

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PORT = "8765"
"""The port that documents name; while they are run, it is a free one."""
DEMO = "<!-- tests: a demo town -->"
"""What a document says to whose cells a demo town listens at that port."""
STAND_IN = "<!-- tests: DegentCivil's stand-in -->"
"""The same, where the stand-in listens there, shown by the adapter."""
NOT_RUN = re.compile(r"<!-- not run by the tests: \w.*? -->$")
_FENCE = re.compile(r'^(?P<indent> *)```(?P<language>\w+)?(?: title="(?P<title>[\w.]+)")?$')
_COMMANDS = ("info", "findings", "compare", "case", "export")
"""The shell commands that end by themselves and need no server."""


@dataclass(frozen=True)
class Block:
    """A block of code in a document."""

    language: str
    title: str | None
    text: str
    line: int
    before: str
    """The last line before it that is not empty."""


def blocks(text: str) -> Iterator[Block]:
    """Give the blocks of code of a document, in order."""
    before, lines = "", enumerate(text.splitlines(), 1)
    for number, line in lines:
        if (fence := _FENCE.match(line)) is None:
            before = line or before
            continue
        inside = []
        for _, code in lines:
            if code == f"{fence['indent']}```":
                break
            inside.append(code.removeprefix(fence["indent"]))
        yield Block(fence["language"] or "text", fence["title"], "\n".join(inside) + "\n", number, before)
        before = ""


def run(path: Path, folder: Path) -> None:
    """Run a document in a folder, which is the working directory; what it leaves open is closed."""
    text = path.read_text(encoding="utf-8")
    port = _free_port()
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with ExitStack() as stack:
        stack.callback(_close_what_is_open)
        if DEMO in text:
            stack.enter_context(dc.start_local_server(int(port), seed=1, tick_s=0.002))
        if STAND_IN in text:
            _start_stand_in(folder / "town", port, stack)
        for block in blocks(text.replace(PORT, port)):
            if block.language == "python" and block.title is not None:
                (folder / block.title).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                code = compile("\n" * block.line + block.text, str(path), "exec")
                with warnings.catch_warnings():
                    exec(code, namespace)
            elif block.language == "sh":
                _type(block.text, folder, port, stack)


def _type(text: str, folder: Path, port: str, stack: ExitStack) -> None:
    """Run the lines of a terminal that start a program of the document, or ask a recording."""
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["python"] and (folder / words[1]).is_file():
            program = stack.enter_context(
                subprocess.Popen([sys.executable, *words[1:]], cwd=folder, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(program.kill)
            until(lambda program=program: _listens(int(port)) or program.poll() is not None)  # type: ignore[misc]
            assert not program.poll(), f"{line} ended with {program.returncode}"
        elif words[:1] == ["degentcivil-nb"] and words[1] in _COMMANDS:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
                code = cli.main(words[1:])
            assert code in (0, 1) and "degentcivil-nb:" not in said.getvalue(), f"{line}: {said.getvalue()}"


def _start_stand_in(folder: Path, port: str, stack: ExitStack) -> None:
    """Run DegentCivil's stand-in with the adapter, in a copy: it writes into its folder."""
    shutil.copytree(ROOT / "tests" / "support" / "degentcivil_stand_in", folder)
    line = [sys.executable, "-m", "degentcivil_nb.adapters.degentcivil", "--port", port, "main.py"]
    program = stack.enter_context(
        subprocess.Popen(line, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    )
    stack.callback(program.kill)
    until(lambda: _listens(int(port)) or program.poll() is not None)
    assert program.poll() is None, f"the stand-in ended with {program.returncode}"


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _close_what_is_open() -> None:
    for kind, end in ((dc.Session, "close"), (dc.Recording, "close"), (dc.Replay, "stop"), (dc.LocalServer, "stop")):
        for thing in lifetime.held(kind):
            getattr(thing, end)()
    for probe in lifetime.held(dc.SimulationProbe):
        probe.close()
