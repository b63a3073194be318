"""Runs of the stand-in of DegentCivil, each a process of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import degentcivil_nb
import degentcivil_nb as dc
from tests.support.waiting import PATIENCE_S

HOME = Path(__file__).parent / "degentcivil_stand_in"
MAIN = HOME / "main.py"
_ROOT = Path(degentcivil_nb.__file__).parents[1]


def run_to_its_end(arguments: Sequence[str | Path], **settings: str) -> tuple[str, str]:
    """Run it with an empty terminal, and give what it wrote to stdout and to stderr."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment(settings),
        cwd=HOME,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout, done.stderr


@contextmanager
def running(arguments: Sequence[str | Path], home: Path = HOME, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Run it at a terminal at which nobody sits, until the block ends."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=environment(settings),
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()
            log.seek(0)
            print(log.read()[-8_000:])


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Give the settings of a run, `sleep_scale="1"` as `STAND_IN_SLEEP_SCALE`, beside the environment that is there."""
    own = {f"STAND_IN_{name.upper()}": value for name, value in settings.items()}
    return {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1", **own}


async def listening(port: int) -> None:
    """Wait until something listens there."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)  # nobody announces that another process listens
        else:
            writer.close()
            await writer.wait_closed()
            return


def free_port() -> int:
    """Give a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def shown(
    *arguments: str | Path, program: Sequence[str | Path] = (MAIN,), home: Path = HOME, **settings: str
) -> Iterator[dc.Session]:
    """Run it with the adapter, stopped after its first update, and give a session that is connected to it."""
    port = free_port()
    own = ["-m", "degentcivil_nb.adapters.degentcivil", "--port", str(port), *arguments, *program]
    with running(own, home, **settings):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                session = dc.connect(f"ws://127.0.0.1:{port}", history=100_000)
                break
            except ConnectionError:
                assert time.monotonic() < deadline, "the probe does not listen"
                time.sleep(0.1)  # nobody announces that a process has come so far
        with session:
            yield session


def varied(folder: Path, changes: Mapping[str, Sequence[tuple[str, str]]]) -> Path:
    """Copy the stand-in, with some of its text replaced: in one file, or under `*` in all; give its main file."""
    home = folder / "town"
    shutil.copytree(HOME, home, ignore=shutil.ignore_patterns("__pycache__"))
    for name, pairs in changes.items():
        for path in home.rglob("*.py") if name == "*" else [home / name]:
            text = path.read_text(encoding="utf-8")
            for old, new in pairs:
                assert name == "*" or old in text, (name, old)
                text = text.replace(old, new)
            path.write_text(text, encoding="utf-8")
    return home / "main.py"
