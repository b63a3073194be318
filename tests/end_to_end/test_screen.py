"""The benchmark from publish to screen sees what it measures; a time is never judged here."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.benchmarks.bench_screen import BUSY, SCRIPT, cell, look
from tests.benchmarks.source import Source
from tests.end_to_end.lab import Jupyter, open_notebook

pytestmark = pytest.mark.browser


def test_markers_are_seen_in_tables_and_figures_and_bytes_are_counted(jupyter: Jupyter, browser: Browser) -> None:
    with Source(characters=20, marker_s=0.1) as source:
        book = open_notebook(jupyter, browser, cell(source.url), BUSY, height=2_000, script=SCRIPT)
        try:
            rows = look(book, source, 200, 3, ("events", "charts"))
        finally:
            book.close()
    latencies = {row.what: row for row in rows if row.what.startswith("publish to")}
    assert len(latencies) == 6  # p50 and p95 of two tabs, and of the table of characters at three times the rate
    assert all(0 < row.ours < 3_000 for row in latencies.values()), latencies  # seen at all: three seconds is never
    assert all(row.ours > 1 for row in rows if row.unit == "kB/s")
