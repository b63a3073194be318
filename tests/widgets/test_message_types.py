"""What panels send is what `tests/javascript/types.d.ts` declares: TypeScript reads real messages."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from degentcivil_nb.widgets.character_page import CharacterPage
from degentcivil_nb.widgets.characters import CharactersPanel
from degentcivil_nb.widgets.connection_panel import ConnectionPanel
from degentcivil_nb.widgets.console import ConsolePanel
from degentcivil_nb.widgets.errors_table import ErrorsTable
from degentcivil_nb.widgets.event_log import EventsPanel
from degentcivil_nb.widgets.headline import Headline
from degentcivil_nb.widgets.interfaces import Standing
from degentcivil_nb.widgets.live_figure import Shape, difference, whole
from degentcivil_nb.widgets.llm_table import LlmTable
from degentcivil_nb.widgets.map_panel import MapPanel
from degentcivil_nb.widgets.panel import Panel, encode_body
from degentcivil_nb.widgets.time_bar import TimeBar
from degentcivil_nb.widgets.timeline import TimelinePanel
from tests.support.page import Page, Prompt
from tests.support.panel_run import Run

JAVASCRIPT = Path(__file__).parents[1] / "javascript"
TSC = JAVASCRIPT / "node_modules" / ".bin" / "tsc"
BIG = 2**53 + 1


def told(panel: Panel, run: Run, *inputs: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Give what a page is told of a panel: messages and their bodies, whole and changed."""
    page = Page(panel)
    page.show()
    for content in inputs:
        page.do(content)
    run.put("emma", "WALK", money=BIG, name="Emma")
    run.put("zoe", "MOVE", money=2)
    run.happen(state="MOVE", type="error", code=7, message="x")
    run.figures.update(tick=BIG, recording="writing", checkpoint_age_s=1.5, message_age_s=0.5)
    run.stands = Standing("It is closed", "Open it.", 1.0, over=True)
    panel.refresh(10.0)
    panel.beat(20.0)
    return page.messages, page.bodies


def figure(*values: float) -> Shape:
    trace = {"type": "scatter", "name": "a", "x": [0.0, 1.0, 2.0][: len(values)], "y": list(values)}
    return Shape.of({"data": [trace], "layout": {"title": "t"}})


@pytest.mark.skipif(not TSC.exists(), reason="no TypeScript: cd tests/javascript && npm ci")
def test_what_panels_send_is_what_the_page_declares(tmp_path: Path) -> None:
    given: list[tuple[str, Any]] = []
    for kind, make, inputs in (
        ("TableBody", lambda run: CharactersPanel(run, Prompt()), [{"detail": "emma"}]),
        ("TableBody", lambda run: EventsPanel(run, Prompt()), [{"detail": "0"}]),
        ("TableBody", lambda run: ErrorsTable(run, Prompt()), []),
        ("TimeBarBody", lambda run: TimeBar(run, Prompt()), [{"search": "error"}, {"jump": 1, "to": "error"}]),
        ("CallsBody", lambda run: LlmTable(run, Prompt()), [{"detail": "1"}]),
        ("TableBody", lambda run: MapPanel(run, Prompt()), []),
        ("TimelineBody", lambda run: TimelinePanel(run, Prompt()), [{"sight": {"first": 0, "order": "name"}}]),
        ("CharacterBody", lambda run: CharacterPage(run, run, run, Prompt(), character_id="emma"), [{"inspect": True}]),
        ("HeadlineBody", lambda run: Headline(run, run, Prompt()), [{"command": "pause", "id": "a", "at": 1}]),
        ("ConnectionBody", lambda run: ConnectionPanel(run, Prompt()), []),
        ("ConsoleBody", lambda run: ConsolePanel(run, Prompt()), [{"line": "help", "id": "a"}]),
    ):
        run = Run()
        run.put("emma", "IDLE", money=1, name="Emma")
        run.happen(state="MOVE")
        run.happen("llm_call", {"prompt": "p", "response": "{}"}, character_id="emma")
        run.lines, run.reasons = [(1.0, "connected")], ["it is slow"]
        messages, bodies = told(make(run), run, *inputs)
        assert len(bodies) >= 2
        given += [("Message", message) for message in messages]
        given += [(kind, body) for body in bodies]
    change = difference(figure(1.0, 2.0), figure(1.0, 3.0, 4.0))
    assert change is not None
    given += [("FigureBody", json.loads(encode_body(update.body))) for update in (whole(figure(1.0)), change)]
    lines = [f"export const m{n}: {kind} = {json.dumps(value)};" for n, (kind, value) in enumerate(given)]
    (tmp_path / "sent.ts").write_text("\n".join(lines), encoding="utf-8")
    command = [str(TSC), "--noEmit", "--strict", "--target", "es2023", "--types", "", str(JAVASCRIPT / "types.d.ts")]
    ended = subprocess.run(
        [*command, str(tmp_path / "sent.ts")], capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stdout
