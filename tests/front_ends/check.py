"""Look at the dashboard in another front end, in a real browser: `python check.py lab|notebook|nbclassic|voila|marimo`.

It runs in an environment with that front end, this package and playwright, as `.ci/nightly front_ends` makes it, and
prints what it waits for, and a line for each thing that a person would see. Exit code 1 says that one of them is
missing, or that all took longer than `LIMIT_S`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

CELLS = (
    "import degentcivil_nb as dc\nserver = dc.start_local_server(characters=12, seed=1, tick_s=0.1)\n"
    "session = dc.connect(server, name='shown')",
    "session.dashboard()",
)
MARIMO = f"""import marimo
app = marimo.App()

@app.cell
def _():
    {CELLS[0].replace(chr(10), chr(10) + "    ")}
    return (session,)

@app.cell
def _(session):
    board = {CELLS[1]}
    board
    return
"""
WAIT_MS = 120_000
LIMIT_S = 420
BUSY_S = 20
COMMANDS: dict[str, tuple[str, ...]] = {
    "lab": ("jupyter", "lab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
    "notebook": ("jupyter", "notebook", "--no-browser", "--allow-root", "--expose-app-in-browser"),
    "nbclassic": ("jupyter", "nbclassic", "--no-browser", "--allow-root"),
    "voila": ("voila", "shown.ipynb", "--no-browser"),
    "marimo": ("marimo", "run", "shown.py", "--headless", "--no-token"),
}
PAGES = {
    "lab": "lab/tree/shown.ipynb",
    "notebook": "notebooks/shown.ipynb",
    "nbclassic": "notebooks/shown.ipynb",
    "voila": "",
    "marimo": "",
}


def write_pages(folder: Path) -> None:
    """Write the notebook and the marimo app that show a dashboard."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"c{place}", "metadata": {}, "outputs": [], "execution_count": None, "source": cell}
        for place, cell in enumerate(CELLS)
    ]
    book = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "shown.ipynb").write_text(json.dumps(book), encoding="utf-8")
    (folder / "shown.py").write_text(MARIMO, encoding="utf-8")


def command(name: str, port: int, token: str) -> list[str]:
    """Return the command that serves the page."""
    program, *rest = COMMANDS[name]
    beside = [str(Path(sys.executable).parent / program), *rest, f"--port={port}"]
    return [*beside, f"--IdentityProvider.token={token}"] if name in ("lab", "notebook", "nbclassic") else beside


def wait_for_server(process: subprocess.Popen[bytes], url: str) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                answer.read(1)
        except OSError:
            time.sleep(0.3)  # polls: a server of another project says nothing when it listens
        else:
            return
    raise RuntimeError("the server does not answer")


def run_cells(name: str, page: Page) -> None:
    """Run all cells where the front end does not do so by itself."""
    if name in ("lab", "notebook"):
        ready = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        page.wait_for_function(ready, timeout=WAIT_MS)
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    elif name == "nbclassic":
        # connected is not enough: what a cell put out before the kernel is ready is cleared when it is
        ready = "() => Jupyter.notebook?.kernel?.is_connected() && Jupyter.notebook.kernel.info_reply?.status"
        page.wait_for_function(f"() => window.Jupyter && ({ready})()", timeout=WAIT_MS)
        page.evaluate("Jupyter.notebook.execute_all_cells()")


def note(problems: list[str], error: Any) -> None:
    """Keep an error of the page, but for the one that Notebook 7.6 has of itself at its start, without any widget."""
    stack = str(getattr(error, "stack", ""))
    if "reading 'schema'" not in str(error) or "blob:" in stack:
        problems.append(f"{error} {stack}"[:600])


class Steps:
    """What was seen so far, and what is waited for: printed at once, so that a check that hangs says where."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.missing = 0
        self.doing = ""
        self._began = time.monotonic()

    def wait_for(self, what: str) -> None:
        """Say what is waited for."""
        self.doing = what
        self._print(f"waiting for {what}")

    def seen(self, what: str, so: bool = True) -> None:
        """Say whether something is as it should be."""
        self.missing += not so
        self._print(f"{what}: {'yes' if so else 'NO'}")

    def trouble(self, what: str) -> None:
        """Say what went wrong."""
        self.missing += 1
        self._print(what)

    def _print(self, text: str) -> None:
        print(f"{self.name} {time.monotonic() - self._began:5.1f} s: {text}", flush=True)


def look(name: str, page: Page, steps: Steps) -> None:
    """Look at the dashboard as a person would, and note what is there."""
    steps.wait_for("the kernel")
    run_cells(name, page)
    steps.wait_for("the dashboard")
    page.locator(".dc-panel").first.wait_for(timeout=WAIT_MS)
    page.get_by_text("emma").first.wait_for(timeout=WAIT_MS)
    steps.seen("the dashboard shows the town")
    steps.seen("the static view is hidden", page.locator(".dc-static:visible").count() == 0)
    boxes = "[...document.querySelectorAll('.output_scroll')].map((el) => el.scrollHeight <= el.clientHeight + 1)"
    if name == "nbclassic":  # it alone puts a large output into a box, a moment later
        page.locator(".output_scroll").first.wait_for(timeout=WAIT_MS)
    steps.seen("the dashboard stands in no scrolled box", all(page.evaluate(boxes)))
    steps.wait_for("another tick")
    tick = page.locator(".dc-headline .dc-tick .dc-value").first
    before = tick.inner_text()
    expect(tick).not_to_have_text(before, timeout=60_000)
    steps.seen("the dashboard is live")
    steps.wait_for("the pause button")
    page.get_by_role("button", name="pause").first.click()
    page.get_by_text("paused").first.wait_for(timeout=60_000)
    steps.seen("the pause button pauses the run")
    for tab, text in (("events", "state_change"), ("LLM calls", "in the whole run"), ("timeline", "12 characters")):
        steps.wait_for(f"the tab {tab}")
        page.get_by_role("tab", name=tab, exact=True).first.click()
        shown = page.locator(".dc-page:visible").first
        shown.get_by_text(text).first.wait_for(timeout=60_000)
        steps.seen(f"the tab {tab} shows them")
    if name in ("lab", "notebook"):
        steps.wait_for("the resume button, while the kernel is busy")
        kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        # not the kernel's status: a message of the page that is taken meanwhile sets it to idle
        request = f"{kernel}.requestExecute({{code: 'import time; time.sleep({BUSY_S})'}})"
        page.evaluate(f"() => {{ window.slept = false; {request}.done.then(() => {{ window.slept = true; }}); }}")
        page.wait_for_function(f"() => {kernel}.status === 'busy'", timeout=10_000)
        page.get_by_role("button", name="resume").first.click()
        page.locator(".dc-headline").get_by_text("running").first.wait_for(timeout=1_000 * BUSY_S // 2)
        steps.seen("a click takes effect while a cell runs", not page.evaluate("window.slept"))


def serve_and_look(name: str, folder: Path, steps: Steps) -> None:
    """Serve the notebook or app in a folder, and look at it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token, home = secrets.token_hex(8), str(folder)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "JUPYTER_CONFIG_DIR": home, "IPYTHONDIR": home, "JUPYTER_RUNTIME_DIR": home}
    with (folder / "log").open("wb") as log, sync_playwright() as playwright:
        process = subprocess.Popen(command(name, port, token), cwd=folder, env=env, stdout=log, stderr=log)

        def give_up() -> None:
            steps.trouble(f"it takes longer than {LIMIT_S} s, and waited for {steps.doing}")
            print((folder / "log").read_text(errors="replace")[-3000:], flush=True)
            process.kill()
            os._exit(1)  # the main thread may hang in the browser

        limit = threading.Timer(LIMIT_S, give_up)
        limit.daemon = True
        limit.start()
        try:
            steps.wait_for("the server")
            wait_for_server(process, f"http://127.0.0.1:{port}/?token={token}")
            steps.wait_for("the browser")
            chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1400, "height": 2400})
            problems: list[str] = []
            page.on("pageerror", lambda error: note(problems, error))
            steps.wait_for("the page")
            page.goto(f"http://127.0.0.1:{port}/{PAGES[name]}?token={token}", timeout=WAIT_MS)
            try:
                look(name, page, steps)
            except Exception as error:  # noqa: BLE001 — what was seen until then is said
                steps.trouble(f"failed while waiting for {steps.doing}: {type(error).__name__}: {str(error)[:600]}")
            for problem in problems:
                steps.trouble(f"an error of the page: {problem}")
            if shots := os.environ.get("SCREENSHOTS"):
                page.screenshot(path=f"{shots}/{name}.png")
            browser.close()
        finally:
            limit.cancel()
            process.terminate()
            process.wait(30)


def main(name: str) -> int:
    """Serve, look, and say what was seen."""
    steps = Steps(name)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        folder = Path(home)
        write_pages(folder)
        try:
            serve_and_look(name, folder, steps)
        except Exception as error:  # noqa: BLE001 — a server that does not start is a failure with its log
            steps.trouble(f"failed while waiting for {steps.doing}: {type(error).__name__}: {error}")
            print((folder / "log").read_text(errors="replace")[-3000:])
    return int(steps.missing > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
