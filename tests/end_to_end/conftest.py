"""The JupyterLab and the Chromium of the tests that look at what a person would see.

The server lives as long as the session, a browser as long as a module: playwright's synchronous face keeps an event
loop in the thread, which the coroutine tests of other modules would trip over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.end_to_end.lab import HOW, Jupyter, Notebook, find_chromium, open_notebook, running_browser, running_jupyter

__all__ = ["Notebook", "OpenNotebook"]

HERE = Path(__file__).parent
OpenNotebook = Callable[..., Notebook]
TIMEOUT_S = 600
"""A browser, a server and a kernel on a busy machine take five times as long; each wait in a test has its own limit."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


def chromium() -> str:
    """Find Chromium; without one the test is skipped, and where CI is set it fails."""
    found = find_chromium()
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW)
    return str(found)


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    chromium()  # no server for tests that will be skipped
    with running_jupyter(tmp_path_factory.mktemp("jupyter"), tmp_path_factory.mktemp("notebooks")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser(chromium()) as running:
        yield running


@pytest.fixture
def notebook(jupyter: Jupyter, browser: Browser) -> Iterator[OpenNotebook]:
    """Give a function that opens a notebook of these cells in a page of its own, kernel ready."""
    opened: list[Notebook] = []

    def open_one(
        *cells: str, width: int = 1400, height: int = 1000, file: Path | None = None, script: str | None = None
    ) -> Notebook:
        opened.append(open_notebook(jupyter, browser, *cells, width=width, height=height, file=file, script=script))
        return opened[-1]

    yield open_one
    for book in opened:
        book.close()
