"""From publish to screen: a real JupyterLab in a real Chromium, the dashboard open, a server in a process of its own.

Among the events there is a marker now and then, that the town's table shows as an attribute, the table of events as a
tick, and the figure of rates as one more event of the last second. The page notes when each was painted; it and the
server have the same clock on the wall. A marker counts as visible once the view includes it or a later one: in the
figure, once the line ends after it with as many markers as there were in the second until then. Bytes are those
of the kernel's WebSocket, all panels and the head line together, as the page takes them in.

    python -m tests.benchmarks.bench_screen --characters 500
    python -m tests.benchmarks.bench_screen --characters 500 --tabs events --seconds 1200  # does the page grow?

With minutes for a tab, what the page holds after a garbage collection is taken every minute: its heap, DOM nodes and
listeners. Charts show ten minutes, so that theirs is flat from then on.
"""

from __future__ import annotations

import sys
import tempfile
import time
from bisect import bisect_left
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

from playwright.sync_api import CDPSession

from tests.benchmarks.report import Row, Target, at_most, finish, parser, so_far
from tests.benchmarks.source import Source
from tests.end_to_end.lab import HOW, Notebook, find_chromium, open_notebook, running_browser, running_jupyter

SCRIPT = (Path(__file__).parent / "screen.js").read_text(encoding="utf-8")
CELL = """
import degentcivil_nb as dc
session = dc.connect({url!r}, retention=10_000_000)
session.dashboard()
"""
BUSY = "import time; print(time.process_time())"
TAKE = "degentcivilBench.seen.splice(0)"
SETTLE_MS = 2_500
SAMPLE_S = 60
MARKER_S = 0.15
LATEST: dict[str, tuple[str, Target]] = {
    "town": ("the table of characters", at_most(250)),
    "events": ("the table of events", at_most(250)),
    "charts": ("the figure of rates", at_most(400)),
}
ROWS = ".dc-grid:visible .dc-body .dc-row"
PLACES = {"town": ROWS, "events": ROWS, "charts": ".js-plotly-plot:visible", "timeline": ".dc-lanes:visible canvas"}
"""What a tab shows once it is drawn."""
TABS = tuple(PLACES)
BYTES = at_most(200)


class Held(NamedTuple):
    """Say what the page held after a garbage collection."""

    heap_mb: float
    nodes: int
    listeners: int


class Seen(NamedTuple):
    """Say what one tab took."""

    latencies_ms: list[float]
    kbytes_per_s: float
    kernel_share: float
    """CPU seconds of the kernel a second."""
    busy: float
    """How much of the time the browser's main thread was busy."""
    heap_mb: float
    """How much the page's scripts hold more after a garbage collection than before."""
    held: list[Held]
    """What the page held at the start, after each minute, and at the end."""


def cell(url: str) -> str:
    return CELL.format(url=url)


def show(book: Notebook, tab: str) -> None:
    page = book.page
    page.get_by_role("tab", name=tab, exact=True).click()
    page.locator(PLACES[tab]).first.wait_for(timeout=30_000)
    page.wait_for_timeout(SETTLE_MS)  # what a tab needs once is not what it costs


def watch(book: Notebook, source: Source, tab: str, seconds: float) -> Seen:
    """Look at a tab that is on view for some seconds."""
    page = book.page
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable")
    worked, held = _of_browser(cdp)
    series = [held]
    started = time.time()
    if tab in LATEST:
        page.evaluate("name => degentcivilBench.watch(name)", tab)
    book.run(1)
    asked, busy = time.time(), float(book.text(1))
    page.wait_for_timeout(1_000)  # a garbage collection and a cell, which are ours, hold up the page and the kernel
    began, before = time.time(), page.evaluate("degentcivilBench.bytes")
    seen: list[tuple[float, float, float]] = []
    for _ in range(int(seconds // SAMPLE_S)):
        page.wait_for_timeout(SAMPLE_S * 1_000)
        seen += page.evaluate(TAKE)  # else the page would hold them
        series.append(_of_browser(cdp)[1])
        sys.stderr.write(f"{tab}: {series[-1]}\n")
        sys.stderr.flush()
    page.wait_for_timeout((seconds % SAMPLE_S) * 1_000)  # what is measured
    after, ended = page.evaluate("degentcivilBench.bytes"), time.time()
    seen += page.evaluate(TAKE)
    book.run(1)
    share = (float(book.text(1)) - busy) / (time.time() - asked)
    markers: list[float] = source.report()["markers"]
    # those of the end may have had no time to be painted
    wanted = [n for n, at in enumerate(markers, 1) if began <= at <= ended - 2]
    included = _counted(seen, markers) if tab == "charts" else [(int(n), at) for n, at, _ in seen]
    late = [_latency_ms(n, markers[n - 1], included, ended) for n in wanted] if tab in LATEST else []
    worked_since, held_since = _of_browser(cdp)
    cdp.detach()
    busy_share = (worked_since - worked) / (time.time() - started)
    grown = held_since.heap_mb - held.heap_mb
    return Seen(late, (after - before) / (ended - began) / 1e3, share, busy_share, grown, series)


def _of_browser(cdp: CDPSession) -> tuple[float, Held]:
    """Return how long the page's main thread worked so far, in seconds, and what it holds after a collection."""
    worked = _metrics(cdp)["TaskDuration"]
    cdp.send("HeapProfiler.collectGarbage")
    found = _metrics(cdp)
    heap = float(cdp.send("Runtime.getHeapUsage")["usedSize"]) / 1e6
    return worked, Held(heap, int(found["Nodes"]), int(found["JSEventListeners"]))


def _metrics(cdp: CDPSession) -> dict[str, float]:
    return {each["name"]: float(each["value"]) for each in cdp.send("Performance.getMetrics")["metrics"]}


def _counted(seen: list[tuple[float, float, float]], markers: list[float]) -> list[tuple[int, float]]:
    """Say how many markers each drawing of the line includes, of those whose last second is right."""
    found = []
    for end_ms, at, rate in seen:
        before, until = (bisect_left(markers, end_ms / 1e3 - second) for second in (1, 0))
        if until - before == round(rate):
            found.append((until, at))
    return found


def _latency_ms(number: int, published: float, seen: list[tuple[int, float]], ended: float) -> float:
    """Give the time from publish to paint; one that never came counts with all the time that it had."""
    painted = next((at for n, at in seen if n >= number), ended * 1e3)
    return painted - published * 1e3


def rows_of(tab: str, rate: float, seen: Seen, *, judged: bool = True) -> list[Row]:
    """Make the rows of a tab; at another rate than the target's only the bytes are judged."""
    rows: list[Row] = []
    if seen.latencies_ms:
        what, target = LATEST[tab]
        cuts = quantiles(seen.latencies_ms, n=20, method="inclusive")
        values = tuple(round(value) for value in seen.latencies_ms)
        rows.append(Row(f"publish to {what} at {rate:,.0f} events/s, p50", "ms", cuts[9]))
        p95 = f"publish to {what} at {rate:,.0f} events/s, p95"
        rows.append(Row(p95, "ms", cuts[18], target=target if judged else None, each=values))
    name = f"to the browser, {tab} open, {rate:,.0f} events/s"
    rows.append(Row(name, "kB/s", seen.kbytes_per_s, target=BYTES, brief=tab == "town"))
    busy = f"… the browser's main thread busy, {tab} open, {rate:,.0f} events/s"
    rows.append(Row(busy, "%", 100 * seen.busy, target=at_most(25) if judged else None))
    rows.append(Row(f"… the page's heap, {tab} open, grown", "MB", seen.heap_mb, brief=False))
    if len(seen.held) > 2:
        half = seen.held[len(seen.held) // 2 :]
        for name, unit in (("heap_mb", "MB"), ("nodes", "nodes"), ("listeners", "listeners")):
            counts = tuple(float(getattr(held, name)) for held in half)
            what = f"… what the page holds, {tab} open, grown in the second half"
            rows.append(Row(what, unit, counts[-1] - counts[0], each=counts, brief=False))
    rows.append(Row(f"… the kernel's CPU, {tab} open, {rate:,.0f} events/s", "s/s", seen.kernel_share))
    return rows


def look(
    book: Notebook, source: Source, rate: float, seconds: float, tabs: tuple[str, ...], *, thrice: bool = True
) -> list[Row]:
    """Open the dashboard in a notebook whose first cell is `cell`, and watch its tabs; `thrice` as fast the town's."""
    book.run(0)
    source.rate(rate)  # not before: the figure of rates shows every marker that was ever published
    rows: list[Row] = []
    for tab in tabs:
        show(book, tab)
        rows += so_far(rows_of(tab, rate, watch(book, source, tab, seconds)))
    if thrice:
        source.rate(3 * rate)
        show(book, "town")
        rows += rows_of("town", 3 * rate, watch(book, source, "town", seconds), judged=False)
    source.rate(0)
    if book.problems:
        raise RuntimeError(f"the page raised errors: {book.problems}")
    return rows


def measure(rate: float, characters: int, seconds: float, tabs: tuple[str, ...] = TABS) -> list[Row]:
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(HOW)
    with (
        tempfile.TemporaryDirectory(prefix="bench-screen-", ignore_cleanup_errors=True) as home,
        Source(characters=characters, marker_s=MARKER_S) as source,
    ):
        root = Path(home) / "notebooks"
        root.mkdir()
        with running_jupyter(Path(home), root) as jupyter, running_browser(chromium) as browser:
            book = open_notebook(jupyter, browser, cell(source.url), BUSY, height=2_000, script=SCRIPT)
            try:
                return look(book, source, rate, seconds, tabs, thrice=tabs == TABS)
            finally:
                book.close()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rate", type=float, default=10_000, help="events a second")
    arguments.add_argument("--characters", type=int, default=5_000)
    arguments.add_argument("--seconds", type=float, default=12, help="for each tab")
    arguments.add_argument("--tabs", nargs="+", choices=TABS, default=TABS)
    options = arguments.parse_args()
    finish(measure(options.rate, options.characters, options.seconds, tuple(options.tabs)), options.out)


if __name__ == "__main__":
    main()
