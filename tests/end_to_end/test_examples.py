"""The programs in `examples/`: each runs as it is, and shows what it says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"
SHOWN = {
    "town.py": "emma",
    "in_a_loop.py": 'connect with dc.connect("ws://127.0.0.1:',
    "in_a_thread.py": "money",
    "with_asyncio.py": "60 calls",
    "with_mesa.py": "RICH",
    "with_an_llm_framework.py": "A loaf, please wait.",
}
QUICKLY = {"in_a_loop.py": ["--ticks", "5", "--port", "0", "--pace-s", "0"]}
NEEDS = {"with_mesa.py": "networkx", "with_an_llm_framework.py": "pydantic_ai"}


def test_all_examples_are_tried() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_runs_as_it_is(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *QUICKLY.get(name, [])], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert SHOWN[name] in done.stdout
    assert "Traceback" not in done.stderr
