"""Log records: repeats are counted, secrets withheld, fields added, control characters escaped."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from degentcivil_nb.core import logs
from degentcivil_nb.core.logs import fields_of
from degentcivil_nb.server.entrance.connection_pool import ConnectionPool
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from tests.support.clock import Clock

SECRET = "s3cret-of-the-town"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(clock: Clock, stream: io.StringIO) -> Iterator[logging.Logger]:
    logger = logging.Logger("degentcivil_nb.example", logging.DEBUG)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    logger.addHandler(handler)
    logger.addFilter(logs.Repeats(burst=2, window_s=10, clock=clock))
    logger.addFilter(logs.RedactionFilter())
    yield logger
    handler.close()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_repeats_are_counted_instead_of_written(log: logging.Logger, stream: io.StringIO) -> None:
    for number in range(100):
        log.warning("peer %d is slow", number)
        if number == 0:
            log.warning("something else")
    assert [line["message"] for line in lines(stream)] == ["peer 0 is slow", "something else", "peer 1 is slow"]


def _slow(log: logging.Logger, number: int) -> None:
    log.warning("peer %d is slow", number)


def test_the_next_that_passes_says_how_many_did_not(log: logging.Logger, stream: io.StringIO, clock: Clock) -> None:
    for number in range(100):
        _slow(log, number)
    clock.now = 10.0
    _slow(log, 100)
    assert lines(stream)[-1]["message"] == "peer 100 is slow (98 more like it before)"
    assert lines(stream)[-1]["repeated"] == 98


def test_debug_is_let_alone(log: logging.Logger, stream: io.StringIO) -> None:
    for _ in range(50):
        log.debug("detail")
    assert len(lines(stream)) == 50


def test_no_secret_is_written_neither_in_text_nor_fields_nor_tracebacks(
    log: logging.Logger, stream: io.StringIO
) -> None:
    log.info("connecting with Authorization: Bearer %s", SECRET)
    log.info("%s: %s", "Authorization", f"Bearer {SECRET}")
    log.debug("< %s", {"token": SECRET}, extra={"url": f"ws://x/?token={SECRET}"})
    try:
        raise ValueError(f"bad header 'Bearer {SECRET}'")
    except ValueError:
        log.exception("failed with token=%s", SECRET)
    assert SECRET not in stream.getvalue()
    assert len(lines(stream)) == 4
    assert "bad header" in str(lines(stream)[3]["exception"])


def test_context_is_fields(log: logging.Logger, stream: io.StringIO) -> None:
    log.info("erred", extra={"peer": "1 10.0.0.5:1", "code": 1001})
    (line,) = lines(stream)
    assert (line["peer"], line["code"], line["level"], line["logger"]) == (
        "1 10.0.0.5:1",
        1001,
        "INFO",
        "degentcivil_nb.example",
    )


@pytest.mark.parametrize("hostile", ["\x1b[2J\x1b]0;owned\x07", "a\nWARNING forged line", "\u202etxt.exe", "\x9b31m"])
def test_what_steers_a_terminal_is_written_as_text(hostile: str) -> None:
    logger = logging.Logger("plain")
    stream = io.StringIO()
    logger.addHandler(logging.StreamHandler(stream))
    logger.addFilter(logs.RedactionFilter())
    logger.warning("a message of type %s", hostile)
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert not any(mark in written for mark in "\x1b\x07\u202e\x9b")


def test_an_endless_variety_of_lines_is_bounded() -> None:
    repeats = logs.Repeats()
    for number in range(5_000):
        repeats.filter(logging.LogRecord("x", logging.INFO, "file.py", number, "text", (), None))
    assert len(repeats._seen) <= 1_000


def test_the_package_s_loggers_are_tamed_once_and_keep_their_filters_apart() -> None:
    names = [logs.ROOT, *(f"{logs.ROOT}.{room}" for room in logs.ROOMS)]
    before = {name: list(logging.getLogger(name).filters) for name in names}
    try:
        for name in names:
            logging.getLogger(name).filters.clear()
        logs.install_filters()
        logs.install_filters()
        for name in names:
            kinds = [type(held) for held in logging.getLogger(name).filters]
            assert kinds == [logs.Repeats, logs.RedactionFilter]
    finally:
        for name, held in before.items():
            logging.getLogger(name).filters[:] = held


MADE = r'^(?!\s*(?:>>>|\.\.\.)).*getLogger\("([^"]+)"\)'
"""Where a logger is got, but in no example."""


def test_every_logger_of_the_package_is_a_room() -> None:
    sources = Path(logs.__file__).parents[1].rglob("*.py")
    named = {name for path in sources for name in re.findall(MADE, path.read_text("utf-8"), re.MULTILINE)}
    assert named - {logs.ROOT} == {f"{logs.ROOT}.{room}" for room in logs.ROOMS}


GUIDE = """
import asyncio, logging, sys
import websockets
from degentcivil_nb import SimulationWebSocket

async def main():
    server = SimulationWebSocket("127.0.0.1", 0)
    await server.start()
    async with websockets.connect(server.url, subprotocols=["degentcivil.v1"]) as client:
        for number in range(30):
            await client.send('{"type":"token=%s"}')
        for number in range(32):  # hello, commands, and an answer to each
            await client.recv()
    await server.close()

logging.basicConfig(level=logging.INFO, stream=sys.stdout)
asyncio.run(main())
"""


def test_who_uses_the_guide_s_names_alone_has_no_secret_and_no_flood_in_the_log_either() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", GUIDE % SECRET], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert SECRET not in ran.stdout
    assert ran.stdout.count("error of ") == 5


async def test_the_server_s_lines_carry_their_context_as_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "degentcivil_nb.server")
    server = SimulationWebSocket("127.0.0.1", 0, pool=ConnectionPool(1))
    await server.start()
    try:
        async with connect(server.url) as client, connect(server.url) as refused:
            await refused.wait_closed()
            await client.send("no message")
            await client.recv()
    finally:
        await server.close()

    def fields(said: str) -> dict[str, Any]:
        return next(fields_of(record) for record in caplog.records if said in record.getMessage())

    assert fields(" is connected (").items() >= {"dialect": "guide", "role": "debugger"}.items()
    assert fields(" is refused: ")["code"] == 1106
    assert fields("error of ")["code"] == 1001
    assert fields(" disconnected (")["close_code"] == "1000"
    assert all("peer" in fields(said) for said in (" is connected (", " is refused: ", "error of ", " disconnected ("))
