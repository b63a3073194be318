"""A real JupyterLab and a real Chromium for the tests that look at what a person would see.

The server lives as long as the session, a browser as long as a module: playwright's synchronous face keeps an event
loop in the thread, which the coroutine tests of other modules would trip over.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

HOW = "no Chromium: apt-get install chromium, or name one in the environment variable CHROMIUM"
HERE = Path(__file__).parent
# in containers Chromium cannot sandbox as root, and /dev/shm is small
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # keeps every cell in the page
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


def chromium() -> str:
    """Find Chromium; without one the test is skipped, and where CI is set it fails."""
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW)
    return str(found)


@dataclass(frozen=True)
class Jupyter:
    """Be a running server: where it is, its token, and the folder that it serves."""

    base: str
    token: str
    root: Path


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    chromium()  # no server for tests that will be skipped
    home, root = tmp_path_factory.mktemp("jupyter"), tmp_path_factory.mktemp("notebooks")
    for name, value in SETTINGS.items():
        file = home / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    folders = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }  # fmt: skip
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(HERE.parent),
        "TZ": "Europe/Berlin",
        **{name: str(home / folder) for name, folder in folders.items()},
    }
    options = [
        "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--allow-root",
        f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", "--expose-app-in-browser",
    ]  # fmt: skip
    log = home / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *options],
            stdout=out, stderr=subprocess.STDOUT, env=env, cwd=root,
        )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not _answers(f"{base}/api/status?token={token}"):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        yield Jupyter(base, token, root)
    finally:
        server.send_signal(signal.SIGTERM)  # it shuts its kernels down
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            response.read()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), headless=True, args=list(FLAGS))
        yield running
        running.close()


@dataclass
class Notebook:
    """Drive one notebook in JupyterLab."""

    page: Page
    name: str
    problems: list[str] = field(default_factory=list)
    """Errors that the page raised."""

    def run(self, cell: int) -> None:
        """Run a cell to its end; its error fails the test."""
        self.start(cell)
        self.page.wait_for_function(
            "i => window.jupyterapp.shell.currentWidget.content.widgets[i].model.executionState === 'idle' &&"
            " window.jupyterapp.shell.currentWidget.content.widgets[i].model.executionCount",
            arg=cell,
            timeout=60_000,
        )
        errors = [output for output in self.outputs(cell) if output["output_type"] == "error"]
        assert not errors, "\n".join(errors[0]["traceback"])

    def start(self, cell: int) -> None:
        """Start a cell and return."""
        self.page.evaluate(
            "i => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = i;"
            " window.jupyterapp.commands.execute('notebook:run-cell'); }",
            cell,
        )

    def outputs(self, cell: int) -> list[dict[str, Any]]:
        """Give what a cell put out, as the notebook format has it."""
        found: list[dict[str, Any]] = self.page.evaluate(
            "i => window.jupyterapp.shell.currentWidget.content.widgets[i].model.outputs.toJSON()", cell
        )
        return found

    def text(self, cell: int) -> str:
        """Give what a cell printed."""
        parts = [output.get("text", "") for output in self.outputs(cell)]
        return "".join(part if isinstance(part, str) else "".join(part) for part in parts)

    def theme(self, name: str) -> None:
        """Switch JupyterLab's theme."""
        self.page.evaluate(
            "async name => await window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name
        )

    def picture(self, name: str) -> None:
        """Keep a screenshot where the environment variable SCREENSHOTS names a folder."""
        if folder := os.environ.get("SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png")


OpenNotebook = Callable[..., Notebook]


def _note(book: Notebook, problem: str) -> None:
    """Keep an error of the page, but for the one that JupyterLab's own script now and then has with a theme's links."""
    own = "removeChild" in problem and "jlab_core" in problem and "blob:" not in problem
    if not own:
        book.problems.append(problem[:800])


@pytest.fixture
def notebook(jupyter: Jupyter, browser: Browser) -> Iterator[OpenNotebook]:
    """Give a function that opens a notebook of these cells in a page of its own, kernel ready."""
    opened: list[Notebook] = []

    def open_notebook(*cells: str, width: int = 1400, height: int = 1000, file: Path | None = None) -> Notebook:
        name = f"t{secrets.token_hex(4)}.ipynb"
        if file is None:
            code = [nbformat.v4.new_code_cell(cell) for cell in cells]
            nbformat.write(nbformat.v4.new_notebook(cells=code, metadata={"kernelspec": KERNEL}), jupyter.root / name)
        else:
            shutil.copy(file, jupyter.root / name)
        page = browser.new_page(viewport={"width": width, "height": height}, timezone_id="Europe/Berlin")
        book = Notebook(page, name)
        opened.append(book)
        page.on("pageerror", lambda error: _note(book, f"{error} {getattr(error, 'stack', '')}"))
        page.goto(f"{jupyter.base}/lab/tree/{name}?reset&token={jupyter.token}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=60_000,
        )
        return book

    yield open_notebook
    for book in opened:
        with contextlib.suppress(Exception):  # a page that crashed has no kernel to shut down
            book.page.evaluate("async () => await window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        book.page.close()
