"""What a user finds out about a recorded run with planted faults, by a few clicks in the dashboard."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

import degentcivil_nb as dc
from tests.end_to_end.conftest import OpenNotebook
from tests.end_to_end.trial import CELL, TRUTH, answer, planted

MOST = {"who is stuck": 1, "what did she": 3, "what did the town": 2, "which calls": 3}
"""The most clicks that the answer to each question may take."""


def test_the_first_questions_about_a_run_are_answered_by_a_few_clicks(notebook: OpenNotebook, tmp_path: Path) -> None:
    town = planted(tmp_path / "recorded", 5)
    cells = CELL.format(folder=str(tmp_path / "recorded")), TRUTH.format(victim=town.victim)
    book = notebook(*cells, width=1800)
    told = answer(book, town.victim)
    for question, clicks, _ in told:
        most = next(most for start, most in MOST.items() if question.startswith(start))
        assert clicks <= most, question
    assert len(told) == len(MOST)

    # a search narrows every table over the whole run, and it and the open tab are there again after a reload
    page = book.page
    with dc.open_recording(tmp_path / "recorded") as run:
        errors, spoken = len(run.errors()), len(run.chat(character_id=town.victim))
    page.locator(".dc-search").fill("type == 'error'")
    page.locator(".dc-search").press("Enter")
    for tab, found in (("LLM calls", 0), ("errors", errors), ("events", errors)):
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.locator(".dc-count:visible").first).to_contain_text(f"{found:,} found", timeout=30_000)
    page.evaluate("async () => await window.jupyterapp.commands.execute('docmanager:save')")
    page.goto(page.url.split("?")[0])
    expect(page.get_by_role("tab", name="events", exact=True)).to_have_attribute(
        "aria-selected", "true", timeout=60_000
    )
    expect(page.locator(".dc-count:visible").first).to_contain_text(f"{errors:,} found", timeout=30_000)
    page.locator(".dc-search").fill("")
    page.locator(".dc-search").press("Enter")
    page.get_by_role("tab", name="chat", exact=True).click()
    theirs = page.locator(".dc-talk").filter(has_text=town.victim)
    theirs.first.wait_for(timeout=30_000)
    counts = theirs.locator(".dc-dim").all_text_contents()  # the list may be drawn anew meanwhile
    listed = sum(int(text.split(" message")[0].replace(",", "")) for text in counts)
    assert listed >= spoken > 0, "every word of hers is in a conversation"
    assert book.problems == []
