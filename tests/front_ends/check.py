"""Look at the dashboard in another front end, in a real browser: `python check.py lab|notebook|nbclassic|voila|marimo`.

It runs in an environment with that front end, this package and playwright, as `.ci/nightly front_ends` makes it, and
prints a line for each thing that a person would see. Exit code 1 says that one of them is missing.
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
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

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
WAIT_MS = 180_000
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
        page.wait_for_function("() => window.Jupyter?.notebook?.kernel?.is_connected()", timeout=WAIT_MS)
        page.evaluate("Jupyter.notebook.execute_all_cells()")


def note(problems: list[str], error: Any) -> None:
    """Keep an error of the page, but for the one that Notebook 7.6 has of itself at its start, without any widget."""
    stack = str(getattr(error, "stack", ""))
    if "reading 'schema'" not in str(error) or "blob:" in stack:
        problems.append(f"{error} {stack}"[:600])


def look(name: str, page: Page, seen: dict[str, Any]) -> None:
    """Look at the dashboard as a person would, and note what is there."""
    run_cells(name, page)
    page.locator(".dc-panel").first.wait_for(timeout=WAIT_MS)
    page.get_by_text("emma").first.wait_for(timeout=WAIT_MS)
    seen["the dashboard shows the town"] = True
    seen["the static view is hidden"] = page.locator(".dc-static:visible").count() == 0
    page.get_by_role("button", name="pause").first.click()
    page.get_by_text("paused").first.wait_for(timeout=60_000)
    seen["the pause button pauses the run"] = True
    page.get_by_role("tab", name="events").first.click()
    page.get_by_text("state_change").first.wait_for(timeout=60_000)
    seen["the tab of events shows events"] = True


def main(name: str) -> int:
    """Serve, look, and say what was seen."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token, seen, problems = secrets.token_hex(8), dict[str, Any](), list[str]()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        write_pages(folder)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "JUPYTER_CONFIG_DIR": home, "IPYTHONDIR": home, "JUPYTER_RUNTIME_DIR": home}
        with (folder / "log").open("wb") as log, sync_playwright() as playwright:
            process = subprocess.Popen(command(name, port, token), cwd=folder, env=env, stdout=log, stderr=log)
            try:
                wait_for_server(process, f"http://127.0.0.1:{port}/?token={token}")
                chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
                page = browser.new_page(viewport={"width": 1400, "height": 2400})
                page.on("pageerror", lambda error: note(problems, error))
                page.goto(f"http://127.0.0.1:{port}/{PAGES[name]}?token={token}")
                try:
                    look(name, page, seen)
                except Exception as error:  # noqa: BLE001 — what was seen until then is said
                    problems.append(f"{type(error).__name__}: {str(error)[:600]}")
                if shots := os.environ.get("SCREENSHOTS"):
                    page.screenshot(path=f"{shots}/{name}.png")
                browser.close()
            finally:
                process.terminate()
                process.wait(30)
    for what, so in seen.items():
        print(f"{name}: {what}: {'yes' if so else 'NO'}")
    for problem in problems:
        print(f"{name}: {problem}")
    return int(problems != [] or not all(seen.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
