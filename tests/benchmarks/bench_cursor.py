"""The time bar dragged in a real browser: how long until every panel on view shows the moment, and what a search takes.

A recording of so many events is opened in a real JupyterLab. For each tab the hand of the time bar goes to many places;
a move is over when each panel on view says that it shows that moment. A search begins with Enter and is over when the
page says that all was judged; its first hits, when it names some. The heap is what is held of a page after a garbage
collection, at the beginning and after all of it.

    python -m tests.benchmarks.bench_cursor --events 1000000
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles

from playwright.sync_api import Page

from tests.benchmarks.made_recording import make
from tests.benchmarks.report import Row, at_most, finish, parser, so_far
from tests.end_to_end.lab import HOW, Notebook, find_chromium, open_notebook, running_browser, running_jupyter

CELL = "import degentcivil_nb as dc\nrecording = dc.open_recording({folder!r})\nrecording.dashboard()"
TABS = ("town", "timeline", "events", "errors", "LLM calls", "chat", "charts")
MOVE = """async (share) => {
    const strip = document.querySelector(".dc-strip");
    const box = strip.getBoundingClientRect();
    const where = { clientX: box.left + share * box.width, clientY: box.top + 5, pointerId: 1, bubbles: true };
    const shown = [...document.querySelectorAll(".dc-page .dc-panel, .dc-side .dc-panel")]
        .filter((panel) => panel.offsetParent && panel.querySelector(".dc-past"));
    // a panel that is scrolled away is drawn when it comes into sight
    const panels = await new Promise((done) => {
        const observer = new IntersectionObserver((entries) => {
            observer.disconnect();
            done(entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target));
        });
        for (const panel of shown) observer.observe(panel);
    });
    const said = () => panels.map((panel) => panel.querySelector(".dc-past").textContent);
    const before = said();
    const began = performance.now();
    strip.setPointerCapture = () => {};
    strip.dispatchEvent(new PointerEvent("pointerdown", where));
    strip.dispatchEvent(new PointerEvent("pointerup", where));
    while (performance.now() - began < 10_000) {
        await new Promise((done) => requestAnimationFrame(done));
        const now = said();
        if (now.every((text, i) => text !== before[i]) && new Set(now).size === 1) break;
    }
    return [performance.now() - began, panels.length];
}"""
DRAWN = """() => [...document.querySelectorAll(".dc-page .dc-busy")]
    .every((busy) => busy.hidden || !busy.parentElement.offsetParent)"""
SEARCH = """async (text) => {
    const field = document.querySelector(".dc-search");
    const found = document.querySelector(".dc-found");
    field.value = text;
    const began = performance.now();
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    let first = null;
    while (performance.now() - began < 60_000) {
        await new Promise((done) => requestAnimationFrame(done));
        const now = found.textContent;
        if (first === null && /^[1-9]/.test(now)) first = performance.now() - began;
        if (now && !now.includes("searched")) break;
    }
    return [first, performance.now() - began, found.textContent];
}"""


def heap_mb(page: Page) -> float:
    """Return what the page's scripts hold, after a garbage collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def drag(book: Notebook, tab: str, moves: int, most_ms: float) -> list[Row]:
    """Move the hand to many places with a tab open."""
    page = book.page
    page.get_by_role("tab", name=tab, exact=True).click()
    began = time.perf_counter()
    page.wait_for_timeout(1_500)  # drawing a tab anew is not measured as a move
    page.wait_for_function(DRAWN, timeout=60_000)
    opening = time.perf_counter() - began
    took, panels = [], 0
    for move in range(moves):
        ms, panels = page.evaluate(MOVE, 0.05 + 0.9 * ((move * 0.382) % 1))  # never the same place twice
        took.append(float(ms))
    cuts = quantiles(took, n=20, method="inclusive")
    name = f"cursor moved, {tab} open ({panels} panels on view)"
    first = [Row(f"{tab} read and drawn for the first time", "s", opening, brief=False)] if opening > 2 else []
    return [
        *first,
        Row(f"{name}, p50", "ms", cuts[9], brief=False),
        Row(f"{name}, p95", "ms", cuts[18], target=at_most(most_ms), each=tuple(round(ms) for ms in took)),
    ]


def again(book: Notebook, times: int) -> list[Row]:
    """Run the cell again and again, and see what the page keeps of each dashboard that is gone."""
    page = book.page
    before = heap_mb(page)
    for _ in range(times):
        book.run(0)
        page.locator(".dc-strip").first.wait_for(timeout=60_000)
        page.wait_for_timeout(1_500)  # until it is drawn
    kept = (heap_mb(page) - before) / times
    return [Row("the page's heap, kept by each re-run of the cell", "MB", kept, target=at_most(0.3))]


def search(book: Notebook, text: str, first_ms: float, whole_ms: float | None) -> list[Row]:
    """Search, and clear the search."""
    first, whole, said = book.page.evaluate(SEARCH, text)
    if first is None:
        raise RuntimeError(f"the search for {text!r} found nothing: {said!r}")
    book.page.locator(".dc-search").fill("")
    book.page.locator(".dc-search").press("Enter")
    book.page.wait_for_timeout(500)  # the search is over
    target = None if whole_ms is None else at_most(whole_ms)
    return [
        Row(f"search {text!r}: first hits", "ms", first, target=at_most(first_ms)),
        Row(f"search {text!r}: all of it ({said.strip()})", "ms", whole, target=target),
    ]


def measure(
    events: int, characters: int, moves: int, runs: int, kept: Path | None, tabs: Sequence[str] = TABS
) -> list[Row]:
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(HOW)
    most_ms = 150 if events <= 1_000_000 else 400
    with tempfile.TemporaryDirectory(prefix="bench-cursor-", ignore_cleanup_errors=True) as home:
        root, folder = Path(home) / "notebooks", kept or Path(home) / "recorded"
        root.mkdir()
        if not folder.exists():
            make(folder, events, characters=characters)
        with running_jupyter(Path(home), root) as jupyter, running_browser(chromium) as browser:
            book = open_notebook(jupyter, browser, CELL.format(folder=str(folder)), width=1_800)
            try:
                book.run(0)
                book.page.locator(".dc-strip").wait_for(timeout=60_000)
                book.page.wait_for_timeout(3_000)  # until it is drawn
                before = heap_mb(book.page)
                rows = [row for tab in tabs for row in so_far(drag(book, tab, moves, most_ms))]
                rows += so_far(search(book, "type == 'error' and tick > 10", 300, 300))
                rows += so_far(search(book, "data['price'] == 30", 300, None))
                rows.append(Row("the page's heap, grown by all of it", "MB", heap_mb(book.page) - before))
                rows += again(book, runs)
                if book.problems:
                    raise RuntimeError(f"the page raised errors: {book.problems}")
                return rows
            finally:
                book.close()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--characters", type=int, default=500)
    arguments.add_argument("--moves", type=int, default=20, help="for each tab")
    arguments.add_argument("--runs", type=int, default=6, help="re-runs of the dashboard's cell")
    arguments.add_argument("--recording", type=Path, help="where to make it, and to take it from the next time")
    arguments.add_argument("--tabs", nargs="+", default=TABS)
    options = arguments.parse_args()
    rows = measure(options.events, options.characters, options.moves, options.runs, options.recording, options.tabs)
    finish(rows, options.out)


if __name__ == "__main__":
    main()
