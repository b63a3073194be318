"""Questions about a recording larger than one reads: ours, beside DuckDB over the very same Parquet files.

    python -m tests.benchmarks.bench_questions --events 3000000
    python -m tests.benchmarks.bench_questions --folder RECORDING --markdown TABLE.md

Each question is asked `--rounds` times of one recording, and of DuckDB with one connection; the median counts.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

import degentcivil_nb as dc
from tests.benchmarks.made_recording import make
from tests.benchmarks.report import Row, at_most, finish, markdown, parser, so_far

WHO = "c7"
SLACK_S = 0.1
KINDS = ("malformed", "dear", "repeated_prompt", "slow_model", "rejected", "stuck")


def _findings(run: dc.Recording, kind: str) -> Any:
    return run.findings(kind)


def median(ask: Callable[[], Any], rounds: int) -> tuple[float, tuple[float, ...]]:
    """Give the median of some runs in seconds, and all of them."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    return statistics.median(times), tuple(times)


def questions(folder: Path, rounds: int, only: str = "") -> list[Row]:
    database = duckdb.connect()
    files = f"read_parquet('{folder}/segment-*.parquet')"
    is_event, stays = "row is not null", f"character_id = '{WHO}' and (state is not null or location is not null)"

    def theirs(query: str) -> Callable[[], Any]:
        return lambda: database.sql(query).df()

    def ours(ask: Callable[[dc.Recording], Any]) -> Callable[[], Any]:
        return lambda: ask(recording)

    took, each = median(lambda: dc.open_recording(folder).close(), rounds)
    recording = dc.open_recording(folder)
    events, tick = len(recording), int(recording.info()["last_tick"] * 0.6)
    limits = [0.5] if events <= 3_000_000 else [2.0] if events <= 10_000_000 else [10.0]
    rows = so_far([Row(f"open {events:,} events", "s", took, target=at_most(limits[0]), each=each)])
    columns = "row, epoch, seq, tick, time, character_id"
    errors = f"select {columns}, received, code, message, traceback, excerpt from {files} where type = 'error'"
    stay = f"select row, time, tick, state, location from {files} where {stays}"
    count = f"select type, count(*) as n from {files} where {is_event} group by type"
    calls = f"select {columns}, prompt_type, model, prompt_tokens, latency_s, cost_usd, payload_call from {files} "
    by_type = "select type, count(*) as n from events group by type"
    asked: list[tuple[str, Callable[[dc.Recording], Any], str, float]] = [
        ("errors()", lambda one: one.errors(), errors, 2.0),
        (f'timeline("{WHO}")', lambda one: one.timeline(WHO), stay, 2.0),
        ("sql: count by type", lambda one: one.sql(by_type), count, 1.5),
        ("llm_calls()", lambda one: one.llm_calls(), f"{calls} where type = 'llm_call'", 3.0),
        (
            "costs()",
            lambda one: one.costs(),
            "select character_id, count(*), count(error), sum(prompt_tokens), sum(completion_tokens), sum(latency_s), "
            f"sum(cost_usd) from {files} where type = 'llm_call' group by character_id",
            2.0,
        ),
    ]
    for name, ask, query, factor in asked:
        if not re.search(only, name):
            continue
        took, each = median(ours(ask), rounds)
        peer, _ = median(theirs(query), rounds)
        rows += so_far([Row(name, "s", took, peer, "DuckDB", target=at_most(factor * peer + SLACK_S), each=each)])
    alone: list[tuple[str, Callable[[dc.Recording], Any], float]] = [
        ("characters(tick=…)", lambda one: one.characters(tick=tick), 0.3),
        ("payload(row)", lambda one: one.payload(events // 2), 0.3),
        ("events(last=100)", lambda one: one.events(last=100), 0.3),
        ("errors(last=100)", lambda one: one.errors(last=100), 0.3),
        ("llm_calls(last=100)", lambda one: one.llm_calls(last=100), 0.3),
        (f'llm_calls(character_id="{WHO}")', lambda one: one.llm_calls(character_id=WHO), 1.0),
        ('rates(by="character_id")', lambda one: one.rates("1min", by="character_id"), 1.0),
        *((f'findings("{kind}")', partial(_findings, kind=kind), 1.0) for kind in KINDS),
    ]
    for name, ask, limit in alone:
        if not re.search(only, name):
            continue
        took, each = median(ours(ask), rounds)
        rows += so_far([Row(name, "s", took, target=at_most(limit), each=each)])
    if re.search(only, "findings()"):
        names = [name for name, *_ in database.sql(f"describe select * from {files}").fetchall()]
        scan = f"select {', '.join(f'max({name})' for name in names)} from {files}"
        took, each = median(ours(lambda one: one.findings()), rounds)
        peer, _ = median(theirs(scan), rounds)
        rows += so_far([Row("findings()", "s", took, peer, "DuckDB, a full scan", target=at_most(1.0), each=each)])
    return rows


def main(made: Path) -> None:
    options = parser(__doc__)
    options.add_argument("--events", type=int, default=3_000_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--folder", type=Path, help="a recording that is there")
    options.add_argument("--only", default="", help="the questions whose names match this pattern")
    options.add_argument("--markdown", type=Path, help="write the table as Markdown")
    chosen = options.parse_args()
    folder = chosen.folder or make(made / "run", chosen.events)
    rows = questions(folder, chosen.rounds, chosen.only)
    finish(rows, chosen.out)
    if chosen.markdown is not None:
        chosen.markdown.write_text(markdown(rows) + "\n", "utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bench-questions-") as name:
        main(Path(name))
