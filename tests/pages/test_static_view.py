"""Static views: what a saved notebook keeps of a panel."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.widgets.dashboard import Dashboard
from degentcivil_nb.widgets.still import WIDGET
from tests.pages.test_case_file import BAD, Reading, told_by_everybody
from tests.support.run_helpers import write_recording

PANELS = (
    "characters", "character", "map", "timeline", "events", "rates", "errors", "errors_table", "llm", "llm_calls",
    "chat", "findings", "breakpoints", "connection", "console",
)  # fmt: skip


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dc.Recording]:
    path = write_recording(tmp_path_factory.mktemp("runs") / "bad", told_by_everybody(BAD))
    with dc.open_recording(path) as recording:
        yield recording


class Displayed:
    """What a cell put out: each a bundle, and the id under which it can be replaced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outputs: list[tuple[dict[str, Any], str | None]] = []
        self.updates: list[tuple[dict[str, Any], str | None]] = []
        monkeypatch.setattr("IPython.display.display", lambda data, **_: self.outputs.append((data, None)))
        monkeypatch.setattr("IPython.display.publish_display_data", self._publish)

    def _publish(self, data: dict[str, Any], *, transient: dict[str, str], update: bool) -> None:
        (self.updates if update else self.outputs).append((data, transient["display_id"]))


def test_a_panel_is_displayed_with_a_static_view_beside_it(
    recording: dc.Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Displayed(monkeypatch)
    panel = recording.panel.characters()
    panel._ipython_display_()
    (widget, _), (static, name) = shown.outputs
    assert WIDGET in widget and "text/html" not in widget
    assert "characters of recording bad" in widget["text/plain"]
    assert set(static) == {"text/html", "text/plain"} and name is not None
    assert "Static view: the characters of recording bad, as of now" in static["text/plain"]
    panel.close()


def test_it_is_brought_up_to_date_when_the_run_stands_otherwise(
    recording: dc.Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Displayed(monkeypatch)
    panel = recording.panel.characters()
    panel._ipython_display_()
    for key, now in (("live", 1.0), ("live", 10.0), ("closed", 20.0), ("closed", 30.0)):
        panel.beside.update(key, now, "as of now")
    assert [name for _, name in shown.updates] == [shown.outputs[1][1]]
    panel.close()


@pytest.mark.parametrize("name", [*PANELS, "dashboard"])
def test_a_static_view_is_inert_text_in_what_a_page_keeps(recording: dc.Recording, name: str) -> None:
    panel = getattr(recording.panel, name)()
    html = panel.beside.html(panel.moment_shown())
    panel.close()
    page = Reading(html)
    assert "Nothing to show" not in html, page.text
    assert {tag for tag, _ in page.tags} <= {"style", "div", "b", "table", "thead", "tbody", "tr", "th", "td", "img"}
    for tag, attributes in page.tags:
        assert set(attributes) <= {"class", "style", "src", "alt"}
        if tag == "img":
            image = attributes["src"] or ""
            assert image.startswith("data:image/svg+xml;base64,")
            svg = base64.b64decode(image.partition(",")[2]).decode()
            assert {found for found, _ in Reading(svg).tags} <= {"svg", "rect", "circle", "line", "path", "text"}
    assert not re.search("[\x00-\x08\x1b\u202e\ud800-\udfff]", html)
    assert len(html) < 100_000 or isinstance(panel, Dashboard)


def test_a_dashboard_holds_the_town_and_stays_small(tmp_path: Path) -> None:
    with (
        dc.start_local_server(characters=500, seed=1, tick_s=0.01, paused=True) as server,
        dc.connect(server, history=100_000) as session,
    ):
        session.step(3)
        board = session.dashboard()
        html = board.beside.html(board.moment_shown())
        somebody = session.characters().index[0]
        session.at(tick=1)
        assert "as of row" in board.beside.html(board.moment_shown())
        board.close()
    assert len(html.encode()) < 250_000
    assert f">{somebody}</td>" in html
    assert re.search(r"\d+ of 500 characters, first", html)
    for title in ("head line", "The whole run", "map", "characters", "Timeline", "Findings", "errors", "events"):
        assert f">{title}</div>" in html
