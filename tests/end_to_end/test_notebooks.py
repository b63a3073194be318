"""The notebooks run from top to bottom, and are stored without outputs."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from tests.support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LEFT = """
import threading
from tests.support.paths import ROOT
from tests.support.paths import ROOT
session.close()
simulation.stop() if hasattr(simulation, "stop") else None
print("left:", [t.name for t in threading.enumerate() if t.name.startswith("degentcivil")])
"""

END = """
stopped.set()
thread.join()
probe.close()
simulation = None
"""


@pytest.fixture(autouse=True)
def no_simulation_but_the_notebooks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEGENTCIVIL_URL", "DEGENTCIVIL_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def execute(path: Path, folder: Path, last: str | None = None) -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    if last is not None:
        notebook.cells.append(new_code_cell(last))
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def data(cell: nbformat.NotebookNode) -> dict[str, Any]:
    """Give the last thing that a cell shows; a progress bar may stand before it when work takes over a second."""
    shown: dict[str, Any] = cell.outputs[-1].data
    return shown


def is_widget(cell: nbformat.NotebookNode) -> bool:
    """Return whether a cell shows a widget; its static view comes after it."""
    return any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in cell.outputs)


def warned(cells: dict[str, nbformat.NotebookNode]) -> list[str]:
    """List what cells wrote to standard error; a progress bar may stand there when work takes over a second."""
    return [
        f"{name}: {output.text}"
        for name, cell in cells.items()
        for output in cell.outputs
        if output.get("name") == "stderr" and not re.search(r"\d+%\||\d+it \[", output.text)
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count] == []


def test_the_first_notebook_runs_and_closes_without_a_thread_left(tmp_path: Path) -> None:
    notebook = execute(ROOT / "notebooks" / "01_first_look.ipynb", tmp_path, LEFT)
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    last = notebook.cells[-1]
    assert len(cells) <= 12
    assert warned(cells) == []
    assert is_widget(cells["dashboard"])
    assert "application/vnd.plotly.v1+json" in data(cells["rates"])
    paused, stepped, resumed = printed(cells["step"]).splitlines()
    assert paused.startswith("paused at tick ")
    assert int(stepped.split()[-1]) == int(paused.split()[-1]) + 5
    assert resumed == "running"
    assert "market_day" in str(data(cells["inject"]))
    assert printed(last) == "left: []\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a kill is POSIX")
def test_the_notebook_of_recordings_survives_its_crash_and_leaves_no_thread(tmp_path: Path) -> None:
    notebook = execute(ROOT / "notebooks" / "03_recordings.ipynb", tmp_path, LEFT)
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    assert warned(cells) == []
    assert "was not finished" in printed(cells["crash"])
    assert printed(cells["go-on"]).endswith(" 0 gaps\n")
    first, second = printed(cells["replay"]).splitlines()
    assert int(first.split()[-1]) > int(second.split()[-1]) == 8
    assert "application/vnd.plotly.v1+json" in data(cells["figures"])
    assert "first consequence" in data(cells["compare"])["text/plain"]
    assert "no money" in data(cells["runs"])["text/plain"]
    assert all(f"seed-{seed}" in cells["seeds"].outputs[-1]["data"]["text/plain"] for seed in (1, 2, 3))
    assert "PLAN" in cells["costs"].outputs[-1]["data"]["text/plain"]
    assert int(cells["arrow"].outputs[-1]["data"]["text/plain"]) > 100
    assert printed(notebook.cells[-1]) == "left: []\n"


def test_the_notebook_of_debugging_finds_mends_and_proves_and_leaves_no_thread(tmp_path: Path) -> None:
    left = 'print("left:", [t.name for t in threading.enumerate() if t.name.startswith("degentcivil")])'
    notebook = execute(ROOT / "notebooks" / "02_debugging.ipynb", tmp_path, left)
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    assert warned(cells) == []

    def shown(name: str) -> str:
        return str(cells[name].outputs[-1].data["text/plain"])

    assert "by 'stuck' (stuck(12)), met at the checkpoint by omar" in shown("find")
    assert "I wait for the oven. mia has it.' (the same before and after)" in shown("ask")
    assert "'state': 'WAIT'" in shown("holder")
    assert "'has_oven': True" in shown("holder")
    matched = int(shown("matches").splitlines()[-1].split()[0])
    assert f"met by row {matched} of mia" in shown("replay")
    assert 'answered: {"loaves":' in printed(cells["calls"])
    assert "by 'run_until' (tick >= " in shown("go-on")
    assert re.fullmatch(r"[1-9]\d* answers were cut short since, and 0 bakers were stuck\n", printed(cells["proof"]))
    assert re.fullmatch(r"stuck: 0  malformed: [1-9]\d*\n", printed(cells["compare"]))
    assert "they differ after" in shown("compare")
    assert printed(notebook.cells[-1]) == "left: []\n"


def test_the_notebook_of_ones_own_simulation_runs_and_leaves_no_thread(tmp_path: Path) -> None:
    pytest.importorskip("pydantic_ai", reason="its last cell shows a framework")
    notebook = execute(ROOT / "notebooks" / "04_your_own_simulation.ipynb", tmp_path, END + LEFT)
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    assert warned(cells) == []
    assert cells["town"].source in (ROOT / "examples" / "town.py").read_text(encoding="utf-8")
    assert "emma" in str(data(cells["connect"]))
    assert is_widget(cells["dashboard"])
    assert printed(cells["stop"]).startswith("paused at tick ")
    assert printed(cells["inspect"]) == "100\n"
    assert "PLAN" in str(data(cells["asyncio"]))
    assert "RICH" in printed(cells["mesa"])
    assert "A loaf, please." in printed(cells["framework"])


def test_the_notebook_of_causes_comes_from_an_error_to_its_prompt_and_leaves_no_thread(tmp_path: Path) -> None:
    left = (
        'import threading\nprint("left:", [t.name for t in threading.enumerate() if t.name.startswith("degentcivil")])'
    )
    notebook = execute(ROOT / "notebooks" / "05_why.ipynb", tmp_path, left)
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    assert warned(cells) == []
    chain = str(cells["why"].outputs[-1].data["text/plain"])
    assert re.search(r"error 2001: the answer to (\w+) is not JSON\n  \[derived\] .* asks \(\1\)", chain)
    assert "only an experiment tests a cause" in chain.lower()
    assert printed(cells["prompt"]).startswith("You are ")
    assert "What it led to" in str(cells["effects"].outputs[-1].data["text/plain"])
    assert "cost_usd" in str(cells["costs"].outputs[-1].data["text/plain"])
    assert printed(notebook.cells[-1]) == "left: []\n"
