"""Each question about a recording once, in a process of its own: time, the most memory, and the longest silence.

    python -m tests.benchmarks.bench_fresh --folder RECORDING --markdown TABLE.md

A silence is a stretch in which nothing says how far the answer is. The time includes opening the recording, not the
start of Python. Needs `/proc`, which has the most memory of a process alone.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import degentcivil_nb as dc
from tests.benchmarks.made_recording import make
from tests.benchmarks.report import Row, at_most, finish, markdown, parser

MOST_GB = 1.5
MOST_SILENCE_S = 2.0
LONGEST_S = 3_600.0
WHO = "c7"


def questions() -> dict[str, Callable[[dc.Recording, Path], Any]]:
    """Give all questions of api.md, by name, each asked of a recording; files go to a folder."""
    return {
        "open": lambda run, to: len(run),
        "characters()": lambda run, to: run.characters(),
        "characters(tick=…)": lambda run, to: run.characters(tick=_middle(run)),
        "characters(at=…)": lambda run, to: run.characters(at=_middle_time(run)),
        "timeline(one)": lambda run, to: run.timeline(WHO),
        "errors()": lambda run, to: run.errors(),
        "errors(last=100)": lambda run, to: run.errors(last=100),
        "errors(new_since=…)": lambda run, to: run.errors(new_since=_middle_time(run)),
        "events(last=100)": lambda run, to: run.events(last=100, payload=True),
        "events(one, one type)": lambda run, to: run.events("state_change", character_id=WHO),
        "events(where=…)": lambda run, to: run.events(where="energy == 96 and money > 497"),
        "llm_calls(last=100)": lambda run, to: run.llm_calls(last=100),
        "llm_calls(one)": lambda run, to: run.llm_calls(character_id=WHO),
        "llm_calls()": lambda run, to: run.llm_calls(),
        "chat(one)": lambda run, to: run.chat(character_id=WHO),
        "tool_calls()": lambda run, to: run.tool_calls(),
        "thoughts()": lambda run, to: run.thoughts(),
        "measures()": lambda run, to: run.measures(),
        'attribute("money", one)': lambda run, to: run.attribute("money", WHO),
        "costs()": lambda run, to: run.costs(),
        'rates("1min")': lambda run, to: run.rates("1min"),
        'rates("1min", by="character_id")': lambda run, to: run.rates("1min", by="character_id"),
        "transitions()": lambda run, to: run.transitions(),
        "transitions(one)": lambda run, to: run.transitions(WHO),
        "meetings(one)": lambda run, to: run.meetings(WHO),
        "meetings(one, other)": lambda run, to: run.meetings(WHO, "c8"),
        "spread(text)": lambda run, to: run.spread("the weather an errand"),
        "findings()": lambda run, to: run.findings(),
        "why(row)": lambda run, to: run.why(len(run) // 2),
        "effects(row)": lambda run, to: run.effects(len(run) // 2),
        "payload(row)": lambda run, to: run.payload(len(run) // 2),
        "at(tick=…)": lambda run, to: run.at(tick=_middle(run)),
        "gaps()": lambda run, to: run.gaps(),
        "places()": lambda run, to: run.places(),
        "info()": lambda run, to: run.info(),
        "stops()": lambda run, to: run.stops(),
        "matches(condition)": lambda run, to: run.matches("energy > 95"),
        "sql: count by type": lambda run, to: run.sql("select type, count(*) as n from events group by type"),
        "sql: cost by prompt type": lambda run, to: run.sql(
            "select prompt_type, sum(cost_usd) as cost from llm_calls group by prompt_type"
        ),
        "sql: text of payloads": lambda run, to: run.sql("select count(*) from events where payload like '%fish%'"),
        "to_html(a case)": lambda run, to: run.to_html(to / "case.html", tick=_middle(run)),
        "plot.rates()": lambda run, to: run.plot.rates(),
        "plot.errors()": lambda run, to: run.plot.errors(),
        "plot.llm()": lambda run, to: run.plot.llm(),
        "plot.attribute(one)": lambda run, to: run.plot.attribute("money", WHO),
        "plot.map()": lambda run, to: run.plot.map(),
        "plot.timeline(one)": lambda run, to: run.plot.timeline(WHO),
    }


def _middle(run: dc.Recording) -> int:
    return int(run.info()["last_tick"] * 0.6)


def _middle_time(run: dc.Recording) -> Any:
    return run.events(last=1)["time"].iloc[0] - pd.Timedelta(seconds=int(run.info()["last_tick"] * 0.4))


class Silences(logging.Handler):
    """Notes the longest time between two lines of progress."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.longest, self._last = 0.0, time.perf_counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.note()

    def note(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now


def most_memory() -> int:
    """Give the most bytes that this process has had in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


def ask_one(folder: Path, name: str) -> dict[str, Any]:
    """Open a recording and ask one question."""
    logger = logging.getLogger("degentcivil_nb")
    silences, ask = Silences(), questions()[name]
    logger.addHandler(silences)
    logger.setLevel(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="fresh-") as to:
        silences.note()
        silences.longest, start = 0.0, time.perf_counter()
        with dc.open_recording(folder) as run:
            opened = time.perf_counter() - start
            answer = ask(run, Path(to))
            took = time.perf_counter() - start
            silences.note()
        size = len(answer) if hasattr(answer, "__len__") else 1
    return {"opened": opened, "took": took, "silence": silences.longest, "memory": most_memory(), "size": size}


def in_process(folder: Path, name: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_fresh", "--folder", str(folder), "--ask", name]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_S)
    if ran.returncode:
        raise RuntimeError(f"{name}: {ran.stderr}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def measure(folder: Path, only: str) -> list[Row]:
    """Ask each question in a process of its own."""
    rows = []
    for name in questions():
        if not re.search(only, name):
            continue
        found = in_process(folder, name)
        sys.stderr.write(f"{name}: {found}\n")
        rows += [
            Row(f"{name}: memory", "GB", found["memory"] / 1e9, target=at_most(MOST_GB), each=(found["took"],)),
            Row(f"{name}: silent in {found['took']:.1f} s", "s", found["silence"], target=at_most(MOST_SILENCE_S)),
        ]
    return rows


def main(made: Path, chosen: argparse.Namespace) -> None:
    folder = chosen.folder or make(made / "run", chosen.events)
    rows = measure(folder, chosen.only)
    finish(rows, chosen.out)
    if chosen.markdown is not None:
        chosen.markdown.write_text(markdown(rows) + "\n", "utf-8")


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--events", type=int, default=3_000_000)
    options.add_argument("--folder", type=Path, help="a recording that is there")
    options.add_argument("--only", default="", help="the questions whose names match this pattern")
    options.add_argument("--markdown", type=Path, help="write the table as Markdown")
    options.add_argument("--ask", help="ask this one here, and print what was measured as JSON")
    arguments = options.parse_args()
    if arguments.ask is not None:
        sys.stdout.write(json.dumps(ask_one(arguments.folder, arguments.ask)) + "\n")
    else:
        with tempfile.TemporaryDirectory(prefix="bench-fresh-") as name:
            main(Path(name), arguments)
