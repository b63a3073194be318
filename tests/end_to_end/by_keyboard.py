"""A walk through the dashboard by keyboard alone: what has the focus is seen, and no redrawing takes it away."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

WAIT_MS = 30_000
MOST = 150
"""The most keys that it may take to come from one place of the dashboard to another."""
FOCUS = """() => {
    const at = document.activeElement;
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(at);
    return { what: `${at.tagName} ${at.className} ${(at.getAttribute("aria-label") ?? at.textContent).slice(0, 60)}`,
        inside: at.closest(".dc-dashboard") !== null,
        seen: (outlineStyle !== "none" && parseFloat(outlineWidth) >= 1) || boxShadow !== "none" };
}"""


def focus(page: Page) -> dict[str, Any]:
    """Say what has the focus; it must be in the dashboard, and be seen."""
    found: dict[str, Any] = page.evaluate(FOCUS)
    assert found["inside"], f"the focus has left the dashboard: {found}"
    assert found["seen"], f"one does not see that this has the focus: {found}"
    return found


def go(page: Page, selector: str, *, key: str = "Tab") -> None:
    """Press Tab until an element has the focus."""
    for _ in range(MOST):
        page.keyboard.press(key)
        focus(page)
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached by {key}")


def tab(page: Page, name: str) -> None:
    """Open a tab by the arrow keys, which stay among the tabs."""
    if not page.evaluate("document.activeElement.matches('[role=tab]')"):
        go(page, "[role=tab]", key="Shift+Tab")
    for _ in range(20):
        if page.evaluate("document.activeElement.textContent") == name:
            break
        page.keyboard.press("ArrowRight")
        focus(page)
    expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")


def stays(page: Page) -> None:
    """See that the focus is where it was after the panels were drawn again."""
    before = focus(page)["what"]
    page.wait_for_timeout(1_200)  # the panels that are drawn at any rate are drawn each second
    assert focus(page)["what"].split()[:2] == before.split()[:2]


def walk(page: Page) -> None:
    """Do what a person does with a live town of the demo, from the head line on."""
    where = page.locator(".dc-where")
    page.locator(".dc-headline button:visible:enabled").first.focus()

    go(page, ".dc-strip")
    page.keyboard.press("ArrowLeft")
    expect(where).to_contain_text("as of tick", timeout=WAIT_MS)
    stays(page)
    page.keyboard.press("End")
    expect(where).to_be_hidden(timeout=WAIT_MS)

    go(page, "[role=tab]")
    tab(page, "events")
    expect(page.locator(".dc-sort:visible").first).to_be_visible(timeout=WAIT_MS)  # drawn
    go(page, ".dc-sort")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    head = page.locator(".dc-grid:visible [role=columnheader][aria-sort=ascending]")
    expect(head).to_have_text("tick", timeout=WAIT_MS)
    stays(page)
    go(page, ".dc-grid", key="Shift+Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".dc-detail:visible pre").first).not_to_have_text("…", timeout=WAIT_MS)
    expect(where).to_contain_text("as of tick", timeout=WAIT_MS)
    stays(page)
    go(page, ".dc-detail pre")
    page.keyboard.press("Escape")
    assert focus(page)["what"].startswith("DIV dc-grid"), "the table has the focus again"
    page.keyboard.press("l")
    expect(where).to_be_hidden(timeout=WAIT_MS)

    tab(page, "timeline")
    go(page, ".dc-lanes")
    expect(page.locator(".dc-lanes")).to_have_attribute(
        "aria-label", re.compile("for each of"), timeout=WAIT_MS
    )  # drawn
    page.keyboard.press("ArrowDown")
    expect(page.locator(".dc-side h3")).to_be_visible(timeout=WAIT_MS)
    page.keyboard.press("ArrowLeft")
    expect(where).to_contain_text("as of tick", timeout=WAIT_MS)
    expect(page.locator(".dc-tip[role=status]:visible")).to_have_text(re.compile(r": \w+ .*from "))
    stays(page)
    go(page, ".dc-side button")
    page.keyboard.press("Escape")
    expect(page.locator(".dc-side")).to_be_hidden(timeout=WAIT_MS)
    focus(page)
    page.keyboard.press("l")

    tab(page, "debug")
    go(page, ".dc-condition")
    page.keyboard.type("entered('MOVE') and tick > 1_000_000".replace("_", ""))
    page.keyboard.press("Enter")
    expect(page.locator(".dc-list:visible .dc-code").last).to_contain_text("tick > 1000000", timeout=WAIT_MS)
    stays(page)
    go(page, ".dc-list button")
    page.keyboard.press("Enter")
    expect(page.locator(".dc-list:visible button").first).to_have_text("switch on", timeout=WAIT_MS)
    stays(page)  # on a button that is another one now

    tab(page, "console")
    go(page, ".dc-line input")
    page.keyboard.type("step 2")
    page.keyboard.press("Enter")
    expect(page.locator(".dc-entry[data-state=done]").last).to_contain_text("tick", timeout=WAIT_MS)
    stays(page)
