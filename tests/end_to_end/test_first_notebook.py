"""The first notebook in a real browser: every cell runs, the town is seen to live, and the pause button stops it."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell
from playwright.sync_api import expect

from tests.end_to_end.conftest import OpenNotebook
from tests.end_to_end.lab import blocked_until
from tests.support.paths import ROOT

FIRST = ROOT / "notebooks" / "01_first_look.ipynb"
END = "\nsession.close()\nsimulation.stop()\nsession"


def test_the_first_notebook_shows_a_town_that_can_be_paused_while_a_cell_blocks(
    notebook: OpenNotebook, tmp_path: Path
) -> None:
    stored = nbformat.read(FIRST, as_version=4)
    let = tmp_path / "let"
    stored.cells.append(new_code_cell(blocked_until(let) + END))
    longer = tmp_path / FIRST.name
    nbformat.write(stored, longer)
    code = [number for number, cell in enumerate(stored.cells) if cell.cell_type == "code"]
    *cells, block = code

    book = notebook(file=longer)
    for cell in cells:
        book.run(cell)
    page = book.page
    head = page.locator(".dc-headline")
    run, tick = head.locator(".dc-run .dc-value"), head.locator(".dc-tick .dc-value")
    head.scroll_into_view_if_needed()
    expect(run).to_have_text("running")
    expect(head.locator(".dc-link .dc-value")).to_have_text("live")
    book.picture("first_notebook")

    book.start(block)
    head.scroll_into_view_if_needed()
    seen = tick.inner_text()
    expect(tick).not_to_have_text(seen)
    head.locator(".dc-pause").click()
    expect(run).to_have_text("paused", timeout=20_000)
    stopped_at = tick.inner_text()
    head.locator(".dc-step").click()
    expect(tick).to_have_text(re.compile(rf"^{int(stopped_at.replace(',', '')) + 1:,}$"), timeout=20_000)
    assert page.evaluate(
        "i => window.jupyterapp.shell.currentWidget.content.widgets[i].model.executionState === 'running'", block
    ), "all that happened while the cell was asleep"
    head.locator(".dc-resume").click()
    expect(run).to_have_text("running", timeout=20_000)
    let.touch()

    expect(head.locator(".dc-link .dc-value")).to_contain_text("closed", timeout=20_000)
    card = page.locator(".jp-OutputArea-output", has_text="Session first look ws://").last
    expect(card.get_by_role("row", name="connection closed", exact=True)).to_be_visible()
    assert book.problems == []
