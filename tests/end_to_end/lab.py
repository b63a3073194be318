"""A real JupyterLab and a real Chromium, and one notebook driven in them: for the browser tests and the benchmarks."""

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
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.waiting import until

HERE = Path(__file__).parent
HOW = "no Chromium: apt-get install chromium, or name one in the environment variable CHROMIUM"
# in containers Chromium cannot sandbox as root, and /dev/shm is small
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # keeps every cell in the page
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def blocked_until(path: Path) -> str:
    """Give the code of a cell that blocks its kernel until a file is there, however slow the machine is."""
    # polls: the page's code and the kernel's share no event
    return f"import os, time\nwhile not os.path.exists({str(path)!r}):\n    time.sleep(0.05)"


def find_chromium() -> str | None:
    """Find Chromium: the one that is named in the environment, or one that is installed."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass(frozen=True)
class Jupyter:
    """Be a running server: where it is, its token, and the folder that it serves."""

    base: str
    token: str
    root: Path


@contextmanager
def running_jupyter(home: Path, root: Path) -> Iterator[Jupyter]:
    """Run JupyterLab on the folder `root`, with settings and all else of its own in `home`."""
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
        "PYTHONPATH": str(HERE.parent.parent),  # for cells that say `from tests.support…`
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
        # a minute is not enough on a busy machine
        until(lambda: server.poll() is not None or _answers(f"{base}/api/status?token={token}"), 240)
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
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


@contextmanager
def running_browser(chromium: str) -> Iterator[Browser]:
    """Run Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(FLAGS))
        yield browser
        browser.close()


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

    def close(self) -> None:
        """Shut the kernel down and close the page."""
        with contextlib.suppress(Exception):  # a page that crashed has no kernel to shut down
            self.page.evaluate("async () => await window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.close()


def _note(book: Notebook, problem: str) -> None:
    """Keep an error of the page, but for the one that JupyterLab's own script now and then has with a theme's links."""
    own = "removeChild" in problem and "jlab_core" in problem and "blob:" not in problem
    if not own:
        book.problems.append(problem[:800])


def open_notebook(
    jupyter: Jupyter,
    browser: Browser,
    *cells: str,
    width: int = 1400,
    height: int = 1000,
    file: Path | None = None,
    script: str | None = None,
) -> Notebook:
    """Open a notebook of these cells, or a copy of a file, in a page of its own, kernel ready.

    `script` runs in the page before anything else of it.
    """
    name = f"t{secrets.token_hex(4)}.ipynb"
    if file is None:
        code = [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=code, metadata={"kernelspec": KERNEL}), jupyter.root / name)
    else:
        shutil.copy(file, jupyter.root / name)
    page = browser.new_page(viewport={"width": width, "height": height}, timezone_id="Europe/Berlin")
    book = Notebook(page, name)
    page.on("pageerror", lambda error: _note(book, f"{error} {getattr(error, 'stack', '')}"))
    if script is not None:
        page.add_init_script(script)
    try:
        page.goto(f"{jupyter.base}/lab/tree/{name}?reset&token={jupyter.token}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=60_000,
        )
    except BaseException:
        book.close()
        raise
    return book
