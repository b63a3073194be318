"""The notebooks behind the first two in a real browser: every cell runs, and what it shows can be seen."""

from __future__ import annotations

import nbformat
import pytest
from playwright.sync_api import expect

from tests.end_to_end.conftest import OpenNotebook
from tests.support.paths import ROOT

SEEN = {
    "03_recordings": {
        "crash": ("", "Recording"),
        "figures": (".main-svg", ""),
        "compare": ("", "no money"),
        "costs": ("table", "PLAN"),
    },
    "04_your_own_simulation": {
        "connect": ("table", "emma"),
        "transitions": ("table", "SLEEP"),
        "dashboard": (".dc-headline .dc-link", "live"),
        "asyncio": ("table", "PLAN"),
    },
    "05_why": {
        "findings": ("table", "malformed"),
        "why": ("", "error 2001: the answer to"),
        "effects": ("", "as its cause"),
        "costs": ("table", "cost_usd"),
    },
}
"""For some cells of each notebook: what is seen in its output, and a text that stands in it."""


@pytest.mark.parametrize("name", SEEN)
def test_a_notebook_of_the_course_runs_and_shows_what_it_says(notebook: OpenNotebook, name: str) -> None:
    path = ROOT / "notebooks" / f"{name}.ipynb"
    stored = nbformat.read(path, as_version=4)
    cells = {cell.id: place for place, cell in enumerate(stored.cells) if cell.cell_type == "code"}
    *rest, end = cells
    book = notebook(file=path)
    for cell in rest:
        book.run(cells[cell])
        if cell in SEEN[name]:
            part, text = SEEN[name][cell]
            output = book.page.locator(".jp-Cell").nth(cells[cell]).locator(f".jp-OutputArea-output {part}".strip())
            output.last.scroll_into_view_if_needed()
            expect(output.filter(has_text=text).first).to_be_visible(timeout=20_000)
            book.picture(f"{name}_{cell}")
    book.run(cells[end])
    assert book.problems == []
