"""What a row of a table offers: the chain that the run's own questions give, and conditions that the row meets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.session.recording import open_recording
from degentcivil_nb.widgets.characters import CharactersPanel
from degentcivil_nb.widgets.cursor import Cursor
from degentcivil_nb.widgets.event_log import EventsPanel
from degentcivil_nb.widgets.findings_panel import FindingsNow, FindingsPanel
from degentcivil_nb.widgets.llm_table import LlmTable
from degentcivil_nb.widgets.row_actions import RowActions
from tests.support.page import Page, Prompt
from tests.support.waiting import until

HOSTILE = "it's \"\\ \n<b>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Give one run with causes, errors and a hostile name, live and recorded."""
    path = tmp_path_factory.mktemp("runs") / "saved"
    with dc.SimulationProbe(port=0) as town, dc.connect(town) as session:
        plan = town.llm_call("emma", prompt_type="PLAN", prompt="What now?", response="walk", id="call-1")
        town.state_change("emma", "MOVE", cause=plan)
        town.error(7, "it broke", character_id=HOSTILE)
        for response in ['{"a": 1}'] * 9 + ["no"]:
            town.llm_call(HOSTILE, prompt_type=HOSTILE, prompt="And you?", response=response)
        town.state_change(HOSTILE, HOSTILE)
        until(lambda: len(session.events("state_change")) == 2)
        session.save(path)
        with open_recording(path) as recording:
            yield {"session": session, "recording": recording}


def page_of(kind: Any, run: Any) -> Page:
    store = run._store
    page = Page(kind(store, Prompt(), cursor=Cursor(store), actions=RowActions(run, store)))
    page.show()
    return page


def answer(page: Page, name: str, content: dict[str, Any]) -> Any:
    """Ask as a page does, and give what it is told."""
    before = len(page.bodies)
    page.do(content)

    def told() -> Any:
        page.panel.refresh(1.0)
        return next((body[name] for body in page.bodies[before:] if name in body), None)

    until(lambda: told() is not None)
    return told()


@pytest.mark.parametrize("name", ["session", "recording"])
def test_every_row_offers_its_chain_as_why_and_effects_say_it(runs: dict[str, Any], name: str) -> None:
    run = runs[name]
    page = page_of(EventsPanel, run)
    for row in run.events().index.tolist():
        acts = answer(page, "acts", {"offers": str(row)})
        assert (acts["row"], acts["chains"]) == (row, True)
        for to, chain in (("causes", run.why(row)), ("effects", run.effects(row))):
            told = answer(page, "chain", {"chain": str(row), "to": to})
            assert [link[1] for link in told["links"]] == [link.row for link in chain.links]
            assert [link[6] for link in told["links"]] == [link.grade for link in chain.links]
            assert told["notes"], "what is not known is said"


def test_the_conditions_offered_are_met_by_the_row_itself(runs: dict[str, Any]) -> None:
    run = runs["session"]
    page = page_of(EventsPanel, run)
    events = run.events()
    seen = set()
    for row, event in events.iterrows():
        breaks = answer(page, "acts", {"offers": str(row)})["breaks"]
        assert len(breaks) == len({condition for _, condition in breaks}) > 1
        for _, condition in breaks:
            seen.add(condition)
            if condition.startswith("entered"):
                assert condition.startswith(f"entered({event['state']!r})")
            elif not condition.startswith("malformed"):  # which is judged as a run goes
                assert row in run.events(where=condition).index, condition
    assert {"malformed", f"character_id == {HOSTILE!r}", "type == 'error' and code == 7"} <= seen
    assert answer(page_of(EventsPanel, runs["recording"]), "acts", {"offers": "1"})["breaks"] == []


def test_a_breakpoint_is_made_from_a_row_and_what_fails_is_said(runs: dict[str, Any]) -> None:
    run = runs["session"]
    page = page_of(LlmTable, run)
    condition = answer(page, "acts", {"offers": page.keys[-1]})["breaks"][0][1]
    assert answer(page, "said", {"again": condition})["failed"] is False
    assert run.breakpoints()["condition"].tolist() == [condition]
    assert answer(page, "said", {"again": "1 +"})["failed"] is True
    assert answer(page, "said", {"chain": "999", "to": "causes"}) == {
        "text": "This row is no longer held.",
        "failed": True,
    }


def test_a_character_and_a_finding_lead_to_their_rows(runs: dict[str, Any]) -> None:
    run = runs["session"]
    page = page_of(CharactersPanel, run)
    acts = answer(page, "acts", {"offers": HOSTILE})
    assert acts["row"] == run.events(character_id=HOSTILE).index[-1]
    assert acts["breaks"][0][1] == f"left({HOSTILE!r}) and character_id == {HOSTILE!r}"
    findings, store = FindingsNow(run), run._store
    panel = FindingsPanel(findings, lambda: 1, Prompt(), cursor=Cursor(store), actions=RowActions(run, store))
    page = Page(panel)
    page.show()
    until(lambda: findings.table is not None)
    findings.table = run.findings().iloc[:0].reindex(range(1))
    findings.table["rows"] = [[2, 0, 999]]
    told = answer(page, "chain", {"chain": "0", "to": "causes"})
    assert [link[1] for link in told["links"]] == [0, 2]
    assert told["notes"] == ["1 more rows of evidence are not listed, or no longer held."]
