"""Polars, Dask and DuckDB's own shell read a folder of runs without this package; a cluster is asked through it."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

import degentcivil_nb as dc
from tests.support.documented import executed, the_example
from tests.support.many_runs import calls_of, write_runs

ENGINES = "docs/how-to/engines.md"
pytest.importorskip("dask.distributed")
pytestmark = [
    pytest.mark.filterwarnings("ignore:The inplace keyword"),  # of Dask 2026.8 with pandas 3.1
    pytest.mark.timeout(900),  # a cluster starts slowly on a busy machine
]


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write runs into the working folder, where the examples look for them."""
    write_runs(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)


def test_polars_reads_them_as_they_are() -> None:
    costs = executed(the_example(ENGINES, "python", "polars"))["costs"].collect()
    assert {name: (calls, cost) for name, calls, cost in costs.rows()} == calls_of()


def test_the_shell_of_duckdb_reads_them_as_they_are() -> None:
    shell = Path(sys.executable).with_name("duckdb")
    query = the_example(ENGINES, "sql", "prompt_type")
    told = subprocess.run([shell, "-csv", "-c", query], check=True, capture_output=True, text=True).stdout
    rows = csv.DictReader(io.StringIO(told))
    assert {row["prompt_type"]: (int(row["calls"]), float(row["cost_usd"])) for row in rows} == calls_of()


def test_dask_reads_them_as_they_are() -> None:
    costs = executed(the_example(ENGINES, "python", "dd.read_parquet"))["costs"]
    assert {name: (int(row["count"]), row["sum"]) for name, row in costs.iterrows()} == calls_of()


def test_worker_processes_are_asked_through_the_package(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(the_example(ENGINES, "python", 'runs").dask('), encoding="utf-8")
    done = subprocess.run([sys.executable, program], check=True, capture_output=True, text=True, timeout=800)
    for name, (calls, cost) in calls_of().items():
        (line,) = [line.split() for line in done.stdout.splitlines() if line.startswith(name)]
        assert (int(line[1]), float(line[2])) == (calls, cost)


def test_a_cluster_gets_each_event_once_with_its_types() -> None:
    runs = dc.open_runs("runs")
    frame = runs.dask()
    assert frame.npartitions == sum(1 for _ in Path("runs").glob("*/segment-*.parquet"))
    events = frame.compute(scheduler="synchronous")
    told = runs.sql("select run, row, type, tick, character_id from events order by run, row")
    ours = events.sort_values(["run", "row"])[list(told.columns)].reset_index(drop=True)
    assert ours.astype(object).equals(told.astype(object))
    assert events.dtypes.equals(frame.dtypes)
