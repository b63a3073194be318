"""The panels: numbered updates on demand, failures shown where they are, commands sent and their outcomes told."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import comm
import pytest
from ipywidgets import Widget  # type: ignore[import-untyped]  # ships no types
from ipywidgets.widgets import widget as widgets  # type: ignore[import-untyped]

import degentcivil_nb as dc
from degentcivil_nb.expressions.command_line import parse_line
from degentcivil_nb.protocol.errors import CommandError
from degentcivil_nb.widgets.connection_panel import ConnectionPanel
from degentcivil_nb.widgets.console import ConsolePanel
from degentcivil_nb.widgets.dashboard import Dashboard
from degentcivil_nb.widgets.event_log import EventsPanel
from degentcivil_nb.widgets.headline import Headline
from degentcivil_nb.widgets.input_comm import InputComms
from degentcivil_nb.widgets.interfaces import Standing
from degentcivil_nb.widgets.page_widget import STATIC
from degentcivil_nb.widgets.panel import Panel, Update
from degentcivil_nb.widgets.refresh import Refresher
from tests.support.page import Page, Prompt
from tests.support.panel_run import Run
from tests.support.waiting import until

SCHEMAS: dict[str, Any] = {
    "step": {"properties": {"ticks": {}}},
    "inject_event": {"properties": {"event_type": {}, "data": {}, "character_id": {}}},
    "give_money": {"properties": {"character_id": {}, "amount": {}}},
    "pause": {"properties": {}},
}
ANYTHING: list[Any] = [
    None, 7, "x", [], {}, {"detail": 3}, {"command": "reboot"}, {"line": 5}, {"command": ["pause"]},
]  # fmt: skip


@pytest.fixture
def run() -> Run:
    return Run()


@pytest.fixture
def refresher() -> Refresher:
    return Prompt()


class Failing(Panel):
    """Be a panel that fails as long as a test wants it to."""

    title = "failing"
    broken = True
    state = 0

    def version(self) -> int:
        return self.state

    def snapshot(self) -> Update:
        if self.broken:
            raise KeyError("<b>no such column</b>")
        return Update({"state": self.state})


def test_updates_are_numbered_and_only_the_first_is_full(run: Run, refresher: Refresher) -> None:
    page = Page(EventsPanel(run, refresher))
    page.show()
    run.happen()
    page.panel.refresh(1.0)
    assert [(message["n"], message["full"]) for message in page.messages] == [(1, True), (2, False)]
    page.panel.refresh(2.0)
    assert len(page.messages) == 2, "nothing new, nothing sent"
    page.say("hole")
    assert page.messages[-1]["full"]
    page.say("hide")
    assert not page.panel.flow.watched


def test_a_failure_is_shown_in_its_panel_logged_once_and_gone_when_it_is_over(
    refresher: Refresher, caplog: pytest.LogCaptureFixture
) -> None:
    panel = Failing(refresher)
    page = Page(panel)
    page.show()
    for now in range(5):
        panel.refresh(float(now))
    assert [message["kind"] for message in page.messages] == ["failure"]
    assert "no such column" in page.bodies[0]["text"]
    other = Page(panel, "other")
    other.show()
    assert [message["kind"] for message in other.messages] == ["failure"], "a second page is told as well"
    assert len(caplog.records) == 1
    panel.broken = False
    panel.refresh(9.0)
    assert other.messages[-1]["kind"] == "update"
    assert other.messages[-1]["full"]


def test_a_page_hears_each_second_from_python_and_at_once_where_the_session_stands_otherwise(run: Run) -> None:
    refresher = Prompt(standing=run.standing)
    page = Page(EventsPanel(run, refresher))
    panel = page.panel
    panel.beat(0.0)
    assert page.beats == 0, "nobody looks"
    page.show()
    now = refresher.now()
    panel.beat(now + 0.5)
    assert page.beats == 0, "an update has just said enough"
    panel.beat(now + 1.5)
    assert page.beats == 1
    run.stands = Standing("the line is <b>cut</b> \ud800", "It is tried again.", 12.0)
    panel.beat(now + 1.6)
    assert page.beats == 2
    assert page.standing == {
        "what": "the line is <b>cut</b> \\ud800", "todo": "It is tried again.", "since": 12.0, "over": False,
    }  # fmt: skip
    run.stands = None
    run.happen()
    panel.refresh(now + 1.7)
    assert page.standing is None


def test_what_a_page_says_may_be_anything(run: Run, refresher: Refresher) -> None:
    panels = [EventsPanel(run, refresher), Headline(run, run, refresher), ConnectionPanel(run, refresher)]
    for panel in [*panels, ConsolePanel(run, refresher)]:
        page = Page(panel)
        page.show()
        for content in ANYTHING:
            page.do(content)
            panel._handle(content)
    assert run.sent == []


def test_the_head_line_sends_its_commands_and_tells_what_became_of_them(run: Run, refresher: Refresher) -> None:
    page = Page(Headline(run, run, refresher))
    page.show()
    assert page.bodies[-1]["run_state"] == "running"
    page.do({"command": "pause", "id": "a"})
    page.panel.refresh(1.0)
    assert run.sent == [("pause", {})]
    jobs = [job for body in page.bodies for job in body["jobs"]]
    assert (jobs[-1]["id"], jobs[-1]["state"], jobs[-1]["text"]) == ("a", "done", "paused at tick 7")
    page.do({"command": "step", "ticks": 5, "id": "b"})
    page.do({"command": "step", "ticks": -5, "id": "c"})
    assert run.sent[1:] == [("step", {"ticks": 5}), ("step", {})]


def test_the_head_line_tells_numbers_twice_a_second_and_a_stop_at_once(run: Run, refresher: Refresher) -> None:
    page = Page(Headline(run, run, refresher))
    page.show()
    sent = []
    for turn in range(10):  # two seconds
        run.figures |= {"tick": turn, "messages_per_s": 100.0 + turn}
        sent.append(page.panel.refresh(1e9 + 0.2 * turn) > 0)
    assert sum(sent) in (4, 5) and page.bodies[-1]["tick"] >= 7
    run.figures["run_state"] = "paused"
    assert page.panel.refresh(1e9 + 1.85) > 0 and page.bodies[-1]["run_state"] == "paused"
    assert page.bodies[-1]["tick"] == 9


def test_the_head_line_says_at_which_breakpoint_a_run_stands() -> None:
    with dc.start_local_server(seed=2, tick_s=0.01, paused=True) as town, dc.connect(town) as session:
        page = Page(Headline(session.panel._status, Run(), Prompt(), reader=session._store))
        page.show()
        assert (page.bodies[-1]["run_state"], page.bodies[-1]["why"]) == ("paused", "")
        stop = session.break_when("entered('MOVE')", name="goes <b>")
        session.resume()
        until(lambda: session.metrics()["run_state"] == "paused")
        page.panel.refresh(1.0)
        who = session.stops()["character_id"].tolist()
        more = f" and {len(who) - 1} more" if len(who) > 1 else ""
        assert page.bodies[-1]["why"] == f"at breakpoint goes <b> by {who[0]}{more}"
        stop.remove()
        session.step(1)
        page.panel.refresh(2.0)
        assert (page.bodies[-1]["run_state"], page.bodies[-1]["why"]) == ("paused", "")


def test_the_head_line_tells_the_parameters_of_the_run(run: Run, refresher: Refresher) -> None:
    page = Page(Headline(run, run, refresher))
    page.show()
    assert page.bodies[-1]["parameters"] == page.bodies[-1]["parameters_all"] == ""
    run.started_with = {"seed": 7, "model": "x" * 50, "a\nb": 1, "more": None, **{f"p{n}": n for n in range(60)}}
    run.happen()
    page.panel.refresh(1.0)
    assert page.bodies[-1]["parameters"] == f"seed=7 model={'x' * 39}… a\nb=1 more=None …"
    lines = page.bodies[-1]["parameters_all"].split("\n")
    assert (lines[2], lines[-1], len(lines)) == ("a\\nb=1", "and 14 more", 51)


def test_a_command_that_fails_says_why(run: Run, refresher: Refresher) -> None:
    run.answers["resume"] = CommandError(1105, "the run is over")
    page = Page(Headline(run, run, refresher))
    page.show()
    page.do({"command": "resume", "id": "a"})
    page.panel.refresh(1.0)
    job = page.bodies[-1]["jobs"][-1]
    assert (job["state"], job["text"]) == ("error", "WRONG_RUN_STATE (1105): the run is over")


def test_the_connection_panel_shows_reasons_and_journal_and_reconnects_in_the_background(
    run: Run, refresher: Refresher
) -> None:
    run.reasons = ["the connection is reconnecting: reset"]
    run.lines = [(1.0, "connected"), (2.0, "lost: <script>")]
    done = threading.Event()

    class Watching(ConnectionPanel):
        def refresh_soon(self) -> None:
            super().refresh_soon()
            if self._attempt["state"] != "sent":
                done.set()

    page = Page(Watching(run, refresher))
    page.show()
    body = page.bodies[-1]
    assert body["health"] == run.reasons
    assert body["journal"][-1] == [2.0, "lost: <script>"]
    page.do({"reconnect": True})
    assert done.wait(5)
    page.panel.refresh(1.0)
    assert run.reconnected == 1
    assert page.bodies[-1]["attempt"]["text"] == "connected"


def test_the_console_runs_lines_and_shows_results_errors_and_help(run: Run, refresher: Refresher) -> None:
    run.answers["inject_event"] = {"seq": 12}
    page = Page(ConsolePanel(run, refresher))
    page.show()
    for line in ('inject trade {"price": 3}', "nonsense", "help"):
        page.do({"line": line, "id": line})
    page.panel.refresh(1.0)
    final = {job["line"]: job for body in page.bodies for job in body.get("jobs", [])}
    assert run.sent == [("inject_event", {"event_type": "trade", "data": {"price": 3}})]
    assert '"seq": 12' in final['inject trade {"price": 3}']["text"]
    assert final["nonsense"]["state"] == "error"
    assert "step ticks=…" in final["help"]["text"]


@pytest.mark.parametrize(
    ("line", "state", "text"),
    [
        ("help give_money", "done", "give_money character_id=… amount=…"),
        ("help inject", "done", "inject_event event_type=… data=… (or inject)"),
        ("help command step", "done", "step ticks=…"),
        ("?step", "done", "step ticks=…"),
        ("? step", "done", "step ticks=…"),
        ("help give_mony", "error", "There is no command 'give_mony' here; did you mean 'give_money'?"),
        ("give_mony emma 3", "error", "There is no command 'give_mony' here; did you mean 'give_money'?"),
        ("help xyzzy", "error", "There is no command 'xyzzy' here; `help` lists them."),
    ],
)
def test_the_console_describes_one_command_and_names_the_nearest(
    run: Run, refresher: Refresher, line: str, state: str, text: str
) -> None:
    run.offered["give_money"] = ["character_id", "amount"]
    page = Page(ConsolePanel(run, refresher))
    page.show()
    page.do({"line": line, "id": "1"})
    page.panel.refresh(1.0)
    (job,) = [job for body in page.bodies for job in body.get("jobs", [])][-1:]
    assert (job["state"], job["text"].partition("\n")[0]) == (state, text)
    assert run.sent == []


@pytest.mark.parametrize(
    ("line", "name", "arguments"),
    [
        ("pause", "pause", {}),
        ("step 10", "step", {"ticks": 10}),
        ("  step   ticks=10 ", "step", {"ticks": 10}),
        ('inject trade {"of": "a b"}', "inject_event", {"event_type": "trade", "data": {"of": "a b"}}),
        ("command give_money character_id=emma amount=-3", "give_money", {"character_id": "emma", "amount": -3}),
        ('give_money amount=2.5 "emma b"', "give_money", {"amount": 2.5, "character_id": "emma b"}),
        ("give_money 12abc 1", "give_money", {"character_id": "12abc", "amount": 1}),
        ("give_money null true", "give_money", {"character_id": None, "amount": True}),
    ],
)  # fmt: skip
def test_a_line_is_a_command_with_its_arguments(line: str, name: str, arguments: dict[str, Any]) -> None:
    assert parse_line(line, SCHEMAS) == (name, arguments)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "Type a command"),
        ("command", "takes the name"),
        ("reboot", "no command 'reboot'"),
        ("pause now", "is too much"),
        ("step ticks=1 ticks=2", "given twice"),
        ('inject trade {"price": ', "not JSON"),
        ("inject trade " + "[" * 100_000, "not JSON"),
    ],
)
def test_a_line_that_is_a_mistake_says_which(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_line(line, SCHEMAS)


def test_input_comms_find_their_panel_and_are_heard_no_more_once_it_is_closed() -> None:
    heard: list[Any] = []

    class Comm:
        comm_id = "c1"
        closed = 0

        def on_msg(self, callback: Callable[[Any], None]) -> None:
            self.say = callback

        def on_close(self, callback: Any) -> None: ...

        def close(self) -> None:
            self.closed += 1

    inputs, known, stray = InputComms("key", heard.append), Comm(), Comm()
    opened: Any = comm.get_comm_manager().targets["degentcivil_nb.input"]
    opened(known, {"content": {"data": {"key": "key"}}})
    opened(stray, {"content": {"data": {"key": "another"}}})
    known.say({"content": {"data": {"kind": "show"}}})
    assert heard == [{"kind": "show"}]
    assert (known.closed, stray.closed) == (0, 1)
    inputs.close()
    assert known.closed == 0 and known.say is None  # JupyterLab would delete its subshell while it handles messages


def test_ten_dashboards_opened_and_closed_leave_no_thread_and_no_widget(
    run: Run, nothing_leaks: Callable[[], None]
) -> None:
    refresher = Refresher()
    before = set(widgets._instances)
    for _ in range(10):
        dashboard = Dashboard(run, run, run, refresher)
        page = Page(dashboard.headline)
        dashboard.headline._hear({"kind": "show", "client": page.client})
        dashboard.close()
        dashboard.close()
    assert set(widgets._instances) == before
    assert isinstance(dashboard, Widget)


def test_a_page_says_in_one_message_what_several_panels_drew(run: Run) -> None:
    dashboard = Dashboard(run, run, run, Prompt())
    panels = [dashboard.headline, dashboard.panels["characters"]]
    for panel in panels:
        dashboard.take({"kind": "show", "client": "page", "panel": panel.part.key})
    assert not any(panel.flow.ready() for panel in panels)
    drawn = {panel.part.key: panel.flow.number for panel in panels}
    dashboard.take({"kind": "ack", "client": "page", "drawn": {**drawn, "unknown": 3}})
    assert all(panel.flow.ready() for panel in panels)
    dashboard.close()


@pytest.mark.parametrize("drawn", [None, "z", [], {}, {"head": None}, {"head": "z"}, {"head": 1e400}, {"head": True}])
def test_an_acknowledgement_that_names_no_number_is_ignored(
    run: Run, drawn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    dashboard = Dashboard(run, run, run, Prompt())
    panel = dashboard.headline
    told = {panel.part.key: drawn["head"]} if isinstance(drawn, dict) and drawn else drawn
    dashboard.take({"kind": "show", "client": "page", "panel": panel.part.key})
    dashboard.take({"kind": "ack", "client": "page", "panel": panel.part.key, "drawn": told})
    assert not panel.flow.ready()
    assert not caplog.records
    dashboard.close()


def test_nothing_moves_by_itself_so_that_reduced_motion_needs_no_rule() -> None:
    moves = re.compile(
        r"transition|animation|@keyframes|(?<!over)scroll-behavior|behavior:\s*[\"']smooth|\.animate\(|<marquee"
    )
    for path in [*STATIC.glob("*.css"), *STATIC.glob("*.js")]:
        assert not moves.search(path.read_text(encoding="utf-8")), path.name
