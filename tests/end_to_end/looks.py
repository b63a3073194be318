"""Pictures of every tab of the dashboard for a designer's eye, in a real JupyterLab and Chromium.

    python -m tests.end_to_end.looks FOLDER --situations town:500 recording --widths 600 1800 --themes dark

A picture a tab and case, and one sheet with all tabs of a case. `facts-….json` holds what a program can see in them:
texts that are cut and say nothing when pointed at, what scrolls sideways, what has too little contrast, and errors of
the page.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page

from tests.end_to_end.contrast import faint
from tests.end_to_end.lab import HOW, Jupyter, Notebook, find_chromium, open_notebook, running_browser, running_jupyter
from tests.end_to_end.trial import planted

TOWN: Final = """
import degentcivil_nb as dc
town = dc.start_local_server(characters={characters}, seed=3, tick_s=0.1, paused=True)
session = dc.connect(town, name="town")
"""
STEPPED: Final = TOWN + "session.step({ticks});\n"
NAME: Final = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
HOSTILE: Final = """
texts = [
    {name!r} * 300,
    "<img src=x onerror=alert(1)><b>bold</b><script>alert(2)</script>",
    "\u202e\u0634\u0644\u0648\u0645 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "$\\\\frac{{1}}{{2}}$ **bold** `code` \\\\n\\\\u0000",
    "a_word_without_any_space" * 40,
]
for n, text in enumerate(texts):
    name = text
    town.inject_character_update(name, mood=text, money=12_345_678_901_234_567 + n, **{{text[:60]: text}})
    town.inject_state_change(name, text[:80], text)
    for again in range(8):
        town.inject_error(2001 + n, text, character_id=name)
        town.inject_llm_call(name, prompt_type=text[:80], prompt=text, response=text);
session.step(5);
"""
FAILING: Final = """
import time
for n in range(300):
    who = session.characters().index[n % 5]
    town.inject_error(2001 + n % 4, f"the model did not answer: attempt {{n}}", character_id=who)
time.sleep(1); town.stop(); time.sleep(4)  # what came is drawn, then what says that it ended
"""
SHOWN: Final = "\nsession.dashboard()"
SITUATIONS: Final[dict[str, str]] = {
    "town": STEPPED + SHOWN,
    "empty": TOWN + SHOWN,
    "hostile": STEPPED + HOSTILE.replace("{name!r}", repr(NAME)) + SHOWN,
    "past": STEPPED + "session.at(tick={ticks} // 2);" + SHOWN,
    "failing": STEPPED + FAILING + SHOWN,
    "minutes": STEPPED + "session.resume();" + SHOWN,
    "recording": "import degentcivil_nb as dc\nrecording = dc.open_recording({folder!r})\nrecording.dashboard()",
}
MINUTES_MS: Final = 180_000
CUT: Final = """() => [...document.querySelectorAll(".dc-dashboard *")]
    .filter((el) => el.offsetParent && el.childElementCount === 0 && el.textContent.trim())
    .filter((el) => el.scrollWidth > el.clientWidth + 1 && getComputedStyle(el).overflowX !== "visible")
    .filter((el) => !["auto", "scroll"].includes(getComputedStyle(el).overflowX) && !el.closest(".dc-cell"))
    .filter((el) => !el.closest("[title], .dc-hidden"))
    .slice(0, 20).map((el) => [el.className, el.textContent.slice(0, 60)])"""
WIDE: Final = """() => [...document.querySelectorAll(".dc-dashboard .dc-page, .dc-dashboard .dc-side, .dc-dashboard")]
    .filter((el) => el.offsetParent && el.scrollWidth > el.clientWidth + 1)
    .map((el) => [el.className, el.scrollWidth, el.clientWidth])"""


def fit(book: Notebook, width: int, height: int) -> None:
    """Make the window such that the dashboard is so wide."""
    page = book.page
    page.set_viewport_size({"width": width + 150, "height": height})
    page.wait_for_timeout(400)  # until the page has been laid out anew
    box = page.locator(".dc-dashboard").bounding_box()
    assert box is not None
    page.set_viewport_size({"width": round(width + 150 + width - box["width"]), "height": height})
    page.wait_for_timeout(400)  # as above


def tabs(page: Page) -> Iterator[str]:
    """Open each tab, and give its name once it had time to be drawn."""
    for name in page.locator(".dc-tabs [role=tab]").all_inner_texts():
        page.get_by_role("tab", name=name, exact=True).click()
        page.wait_for_timeout(1_500 if name == "charts" else 900)  # a person looks at the picture, no test
        yield name


def sheet(browser: Browser, pictures: list[Path], out: Path, width: int) -> None:
    """Put the pictures of a case on one sheet."""
    across = max(1, 2_400 // width)
    page = browser.new_page(viewport={"width": across * (width + 12), "height": 600})
    cells = [
        f'<figure style="margin:0"><figcaption>{path.stem}</figcaption><img width="{width}"'
        f' src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"></figure>'
        for path in pictures
    ]
    page.set_content(
        f'<body style="margin:0;display:grid;gap:6px;grid-template-columns:repeat({across},max-content);align-items:'
        f'start;font:14px sans-serif">{"".join(cells)}'
    )
    page.wait_for_timeout(500)  # the pictures are decoded
    page.screenshot(path=out, full_page=True)
    page.close()


def look(book: Notebook, browser: Browser, folder: Path, case: str, options: argparse.Namespace) -> dict[str, Any]:
    """Take the pictures of one situation in all widths and themes."""
    page, facts = book.page, {}
    for theme in options.themes:
        book.theme(f"JupyterLab {theme.title()}")
        for width in options.widths:
            fit(book, width, options.height)
            pictures = []
            for name in tabs(page):
                label = f"{case}-{theme}-{width}-{name.replace(' ', '_')}"
                pictures.append(folder / f"{label}.png")
                page.locator(".dc-dashboard").screenshot(path=pictures[-1])
                found = {"cut": page.evaluate(CUT), "wide": page.evaluate(WIDE), "faint": faint(page)[:20]}
                facts[label] = {what: seen for what, seen in found.items() if seen}
            sheet(browser, pictures, folder / f"sheet-{case}-{theme}-{width}.png", width)
            print(case, theme, width, flush=True)
    return {label: seen for label, seen in facts.items() if seen}


def show(jupyter: Jupyter, browser: Browser, situation: str, recorded: Path) -> Notebook:
    """Open the dashboard of a situation, such as `town:500`."""
    kind, _, number = situation.partition(":")
    characters = int(number or 12)
    ticks = max(10, min(240, 60_000 // characters))
    code = SITUATIONS[kind].format(characters=characters, ticks=ticks, folder=str(recorded))
    book = open_notebook(jupyter, browser, code, width=1_400)
    book.page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    book.page.set_default_timeout(120_000)
    book.start(0)
    book.page.locator(".dc-dashboard .dc-tab").first.wait_for(timeout=240_000)
    book.page.wait_for_timeout(
        MINUTES_MS if kind == "minutes" else 2_500
    )  # the pictures are for people: let the panels fill
    return book


def main() -> int:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--situations", nargs="+", default=["town:1", "town:12", "town:500", "town:5000", *SITUATIONS])
    parser.add_argument("--widths", nargs="+", type=int, default=[600, 1_000, 1_800])
    parser.add_argument("--themes", nargs="+", default=["light", "dark"])
    parser.add_argument("--height", type=int, default=1_000)
    parser.add_argument("--select", action="store_true", help="open the page of the first character too")
    options = parser.parse_args()
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(HOW)
    options.folder.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        root, recorded = Path(home) / "notebooks", Path(home) / "recorded"
        root.mkdir()
        planted(recorded, 5)
        with running_jupyter(Path(home), root) as jupyter, running_browser(chromium) as browser:
            for situation in options.situations:
                book = show(jupyter, browser, situation, recorded)
                case = situation.replace(":", "")
                try:
                    if options.select:
                        book.page.locator(".dc-grid:visible .dc-body .dc-row").first.click()
                        case += "-selected"
                    facts |= look(book, browser, options.folder, case, options)
                    facts[f"{case} page errors"] = book.problems
                finally:
                    book.close()
                    (options.folder / f"facts-{case}.json").write_text(json.dumps(facts, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
