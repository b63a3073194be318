"""The notebook of debugging in a real browser: every cell runs, its small tables can be read, and Tab completes."""

from __future__ import annotations

import nbformat
import pytest
from playwright.sync_api import expect

from tests.end_to_end.conftest import OpenNotebook
from tests.support.paths import ROOT

PATH = ROOT / "notebooks" / "02_debugging.ipynb"


CONTRAST = """cell => {
    const tables = document.querySelectorAll('.jp-Cell')[cell].querySelectorAll('.jp-OutputArea-output table');
    const value = tables[0].querySelector('td:last-child');
    const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
    let ground = value;
    while ((numbers(getComputedStyle(ground).backgroundColor)[3] ?? 1) === 0) ground = ground.parentElement;
    const linear = part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const light = colour => {
        const [red, green, blue] = numbers(colour).map(part => linear(part / 255));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const both = [light(getComputedStyle(value).color), light(getComputedStyle(ground).backgroundColor)];
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
}"""
"""The contrast of a value in a cell's small table with the ground on which it stands, as WCAG measures it."""


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_the_notebook_of_debugging_reads_well_and_tab_completes(notebook: OpenNotebook, theme: str) -> None:
    stored = nbformat.read(PATH, as_version=4)
    cells = {cell.id: place for place, cell in enumerate(stored.cells) if cell.cell_type == "code"}
    *rest, end = cells.values()
    book = notebook(file=PATH)
    book.theme(theme)
    for cell in rest:
        book.run(cell)
    page = book.page
    for name, text in (("break", "stuck(12)"), ("find", "omar"), ("ask", "mia has it."), ("replay", "mia")):
        table = page.locator(".jp-Cell").nth(cells[name]).locator(".jp-OutputArea-output table")
        table.scroll_into_view_if_needed()
        expect(table).to_contain_text(text)
        assert page.evaluate(CONTRAST, cells[name]) >= 4.5
        book.picture(f"debugging_{name}_{theme.split()[-1].lower()}")
    book.run(end)
    page.locator(".jp-Cell").nth(cells["breaks"]).locator(".cm-content").click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("%dc insp")
    page.wait_for_selector(".jp-mod-completer-enabled")  # before that, Tab indents
    page.keyboard.press("Tab")
    expect(page.locator(".jp-Completer")).to_contain_text("inspect", timeout=20_000)
    page.keyboard.press("Enter")
    expect(page.locator(".jp-Cell").nth(cells["breaks"]).locator(".cm-content")).to_contain_text("%dc inspect")
    assert book.problems == []
