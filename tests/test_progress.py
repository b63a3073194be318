"""Whoever waits for more than a second sees how far it is: below the cell, on the terminal, or in the log."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb import progress
from degentcivil_nb.exporting import export_recording
from degentcivil_nb.progress import CellBar, LogLines, following

from .recording_helpers import entries_of, written


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_log_is_told_each_second(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    lines = LogLines("reading", clock=lambda: now[0])
    caplog.set_level(logging.INFO, "degentcivil_nb")
    for now[0] in (0.5, 1.0, 1.5, 2.1):
        lines(round(now[0] * 1_000), 3_000)
    lines.close()
    assert caplog.messages == ["reading: 1,000 of 3,000", "reading: 2,100 of 3,000"]


def test_a_cell_gets_a_bar_once_it_takes_long_and_loses_it_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    bar = CellBar("reading", clock=lambda: now[0])
    bar(1, 10)
    assert shown == []
    for now[0], done in ((1.1, 3), (1.2, 4), (1.4, 5)):
        bar(done, 10)
    (box,) = shown
    assert box.children[0].value == 0.5
    assert box.children[1].value == "reading: 5 of 10"
    bar.close()
    assert box.comm is None
    bar.close()


@pytest.mark.parametrize(
    ("kernel", "terminal", "kind"),
    [(True, True, "CellBar"), (False, True, "Progress"), (False, False, "LogLines")],
)
def test_it_is_shown_where_somebody_looks(
    monkeypatch: pytest.MonkeyPatch, kernel: bool, terminal: bool, kind: str
) -> None:
    shell = SimpleNamespace(kernel=object()) if kernel else None
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    with following("reading") as told:
        assert type(told).__name__ == kind


def test_whatever_takes_long_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int]] = []

    class Noted:
        def __init__(self, what: str) -> None:
            self._what = what.partition(" ")[0]

        def __call__(self, done: int, total: int) -> None:
            told.append((self._what, done, total))

        def close(self) -> None:
            pass

    monkeypatch.setattr(progress, "LogLines", Noted)
    monkeypatch.setattr(progress, "_is_in_notebook", lambda: False)
    path = written(tmp_path / "runs" / "one", entries_of(20, 5), close=True, segment_messages=10)
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
    dc.open_recording(path, memory_rows=-1)
    assert told[-1] == ("reading", 20, 20)
    told.clear()
    dc.open_runs(tmp_path / "runs").table()
    assert told == [("reading", 1, 2), ("reading", 2, 2)]
