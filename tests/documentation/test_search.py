"""The documentation's own search in a real browser, from a web server and from disk: questions of a newcomer.

It needs the built pages, `mkdocs build`, and is skipped where they are missing or older than what they are built from.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from tests.end_to_end.lab import HOW, find_chromium, running_browser
from tests.support.paths import ROOT

SITE = ROOT / "build" / "site"
QUESTIONS = {
    "what does code 1104 mean": "reference/errors.html#1104-timeout",
    "how do I break when money is below zero": "how-to/break_when.html",
    "does it work in VS Code": "reference/front_ends.html",
    "how large is a day?": "how-to/record_for_days.html#how-large-is-a-day",
    "which Python version do I need": "tutorials/index.html#which-python-version",
    "how do I stop when a character is stuck": "how-to/stuck.html#stop-when-a-character-is-stuck",
    "can I use Polars": "how-to/engines.html#polars",
    "the dashboard shows only text": "how-to/trouble.html#the-dashboard-shows-only-text",
    "characters going round in circles": "reference/findings.html#loop-a-character-goes-round-in-circles",
    "connection refused": "how-to/trouble.html#connection-refused-nothing-listens-at",
    "where was everybody at tick 500": "how-to/questions.html#where-was-everybody-at-tick-500",
    "delete old events": "how-to/questions.html#how-do-i-delete-old-events-to-save-memory-or-disk",
    "which agent costs the most": "how-to/questions.html#which-agent-or-character-costs-the-most-tokens-and-money",
    "my prompts are confidential": "how-to/questions.html#are-my-prompts-sent-anywhere-privacy",
    "edit an agent's memory while paused": (
        "how-to/questions.html#how-do-i-edit-an-agents-money-memory-or-another-attribute-while-it-runs"
    ),
    "villager keeps doing the same thing over and over": (
        "how-to/questions.html#an-agent-keeps-doing-the-same-thing-over-and-over-repeats-itself"
    ),
    "licence": "how-to/questions.html#may-i-use-it-license-licence",
}
AMONG_THE_FIRST_THREE = """wanted => [...document.querySelectorAll('.md-search-result__item')].slice(0, 3).some(
    item => [...item.querySelectorAll('a')].some(link => (link.pathname + link.hash).endsWith(wanted)))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sources = [ROOT / "mkdocs.yml", *(path for path in (ROOT / "docs").rglob("*") if path.is_file())]
    index = SITE / "search" / "search_index.json"
    if not index.exists() or index.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        pytest.skip("the pages are not built: mkdocs build")
    chromium = find_chromium()
    if chromium is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW)
    with running_browser(str(chromium)) as running:
        yield running


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(params=["a web server", "disk"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give where the pages are."""
    if request.param == "disk":
        yield SITE.as_uri()
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE))) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_a_newcomer_finds_answers_among_the_first_three(browser: Browser, address: str) -> None:
    page = browser.new_page()
    elsewhere: list[str] = []
    page.on("request", lambda asked: None if asked.url.startswith((address, "data:")) else elsewhere.append(asked.url))
    page.set_default_timeout(90_000)
    page.goto(f"{address}/index.html")
    box = page.locator("input.md-search__input")
    for question, wanted in QUESTIONS.items():
        box.fill(question[:-3])
        box.press_sequentially(question[-3:])
        page.wait_for_function(AMONG_THE_FIRST_THREE, arg=wanted)
    page.close()
    assert elsewhere == []
