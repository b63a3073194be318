"""Progress of anything that takes over a second: below the cell, on the terminal, or in the log."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from IPython import display
from tqdm import tqdm

import degentcivil_nb as dc
from degentcivil_nb.core import progress
from degentcivil_nb.core.progress import following
from degentcivil_nb.recordings.export import export_recording
from tests.support.recording_helpers import entries_of, written

HOSTILE_HTML = "reading <img src=x onerror=alert(1)>"


tqdm.get_lock()  # type: ignore[no-untyped-call]  # its stubs have no types; made once a process, with a descriptor


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def closed_stream() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=display))


def test_the_log_is_told_each_second(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    caplog.set_level(logging.INFO, "degentcivil_nb")
    with following("reading", clock=lambda: now) as told:
        for now in (0.5, 1.0, 1.5, 2.1):
            told(round(now * 1_000), 3_000)
    assert caplog.messages == ["reading: 1,000 of 3,000", "reading: 2,100 of 3,000"]


@pytest.mark.usefixtures("kernel")
def test_a_cell_gets_a_bar_once_it_takes_long_and_loses_it_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    shown: list[Any] = []
    monkeypatch.setattr("tqdm.notebook.display", shown.append)
    with following(HOSTILE_HTML, clock=lambda: now) as told:
        told(1, 10)
        assert shown == []
        for now, done in ((1.1, 3), (1.2, 4), (1.6, 5)):  # noqa: B007
            told(done, 10)
        (box,) = shown
        words, bar, counts = box.children
        assert bar.max == 10 and bar.value in (3, 4, 5)
        assert HOSTILE_HTML not in words.value and "&lt;img" in words.value
        assert "/10" in counts.value
    assert box.comm is None


def test_a_terminal_gets_a_bar_once_it_takes_long_and_loses_it_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with following("reading", clock=lambda: now) as told:
        told(1, 4)
        assert terminal.getvalue() == ""
        now = 1.1
        told(1, 4)
        assert "reading:  25%" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r"), "the line is empty again"
    assert terminal.getvalue().rpartition("\n")[2].split("\r")[-2].isspace()


def test_progress_is_shown_from_any_thread_and_leaves_none_behind(
    monkeypatch: pytest.MonkeyPatch, nothing_leaks: Callable[[], None]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)

    def work() -> None:
        with following("reading") as told:
            for done in range(10):
                told(done, 10)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert terminal.getvalue().count("reading") >= 3
    nothing_leaks()


@pytest.mark.parametrize("stream", [None, io.StringIO(), closed_stream()], ids=["none", "a pipe", "closed"])
def test_where_nobody_looks_nothing_is_shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    with following("reading") as told:
        told(1, 2)
    assert not isinstance(stream, io.StringIO) or stream.closed or stream.getvalue() == ""


def test_whatever_takes_long_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int]] = []

    class Noted:
        def __init__(self, what: str, _clock: object) -> None:
            self._what = what.partition(" ")[0]

        def __call__(self, done: int, total: int) -> None:
            told.append((self._what, done, total))

    monkeypatch.setattr(progress, "LogLines", Noted)
    monkeypatch.setattr(progress, "is_in_notebook", lambda: False)
    path = written(tmp_path / "runs" / "one", entries_of(20, 5), close=True, segment_messages=10, format=1)
    works: dict[str, Any] = {
        "reading": lambda: dc.open_recording(path),
        "comparing": lambda: dc.compare(dc.open_recording(path), dc.open_recording(path)),
        "exporting": lambda: export_recording(path, tmp_path / "out.csv"),
    }
    for what, work in works.items():
        told.clear()
        work()
        assert told[-1] == (what, 20, 20)
    told.clear()
    dc.open_recording(path, memory_rows=0)
    assert told[-1] == ("reading", 20, 20)
    told.clear()
    dc.open_runs(tmp_path / "runs").table()
    assert [one for one in told if one[2] == 2] == [("reading", 1, 2), ("reading", 2, 2)]  # beside that of each run
