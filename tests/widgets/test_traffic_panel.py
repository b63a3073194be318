"""The traffic panel: frames as they come, each whole on a click, no token."""

from __future__ import annotations

import itertools

import pytest

import degentcivil_nb as dc
from degentcivil_nb.monitoring.websocket_debugger import WebSocketDebugger
from degentcivil_nb.widgets.refresh import Refresher
from degentcivil_nb.widgets.traffic import TrafficPanel
from tests.support.page import Page, Prompt
from tests.support.panel_run import Run

SECONDS = itertools.count(1.0)


@pytest.fixture
def refresher() -> Refresher:
    return Prompt()


def test_frames_are_shown_as_they_come_and_a_row_opens(refresher: Refresher) -> None:
    traffic = WebSocketDebugger(True)
    panel = TrafficPanel(traffic, Run(), refresher)
    page = Page(panel)
    traffic.record("sent", '{"type":"command","data":{"name":"pause"}}', "ws://town")
    page.show()
    panel.refresh(next(SECONDS))
    assert page.rows()["1"]["type"] == "command"
    traffic.record("received", '{"type":"auth","data":{"token":"s3cret"}}', "ws://town")
    traffic.record("received", b"\xff<script>", "ws://town")
    panel.refresh(next(SECONDS))
    rows = page.rows()
    assert [row["direction"] for row in rows.values()] == ["sent", "received", "received"]
    assert rows["2"]["bytes"] == 41
    assert "s3cret" not in str(rows)
    page.do({"detail": "1"})
    panel.refresh(next(SECONDS))
    assert "pause" in page.bodies[-1]["detail"]["text"]
    page.do({"detail": "3"})
    panel.refresh(next(SECONDS))
    assert "<script>" in page.bodies[-1]["detail"]["text"]  # text, as it came
    page.do({"detail": "99"})
    panel.refresh(next(SECONDS))
    assert "no longer held" in page.bodies[-1]["detail"]["text"]
    panel.close()


def test_a_flood_is_counted_instead_of_shown(refresher: Refresher) -> None:
    traffic = WebSocketDebugger(True)
    panel = TrafficPanel(traffic, Run(), refresher)
    page = Page(panel)
    page.show()
    panel.refresh(next(SECONDS))
    for number in range(500):
        traffic.record("received", f'{{"type":"n{number}"}}', "ws://town")
    panel.refresh(next(SECONDS))
    rows = list(page.rows().values())
    assert rows[0]["type"] == "left out"
    assert rows[-1]["type"] == "n499"
    panel.close()


def test_a_session_shows_it_and_keeps_frames_from_then_on() -> None:
    with dc.start_local_server() as server, dc.connect(server) as session:
        assert not session.traffic.enabled
        panel = session.panel.traffic()
        session.pause()
        frames = session.traffic.frames()
        assert {"command", "command_result"} <= set(frames["type"])
        assert set(frames["direction"]) == {"sent", "received"}
        panel.close()
