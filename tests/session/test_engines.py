"""What the documents say of other engines, executed with those that every environment has."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

import degentcivil_nb as dc
from tests.support.documented import executed, the_example
from tests.support.many_runs import RUNS, calls_of, write_runs

ENGINES = "docs/how-to/engines.md"


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write runs into the working folder, where the examples look for them."""
    write_runs(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)


def test_duckdb_reads_them_as_they_are() -> None:
    costs = duckdb.connect().execute(the_example(ENGINES, "sql", "prompt_type")).fetchall()
    assert {name: (calls, cost) for name, calls, cost in costs} == calls_of()


def test_pandas_reads_them_as_they_are() -> None:
    costs = executed(the_example(ENGINES, "python", "import pandas"))["costs"]
    told = {str(name): (int(calls), float(cost)) for name, calls, cost in costs.itertuples()}
    assert told.keys() == calls_of().keys()
    for name, (calls, cost) in calls_of().items():
        assert told[name][0] == calls
        assert told[name][1] == pytest.approx(cost)


@pytest.mark.parametrize("word", ["runs.sql", ".arrow()"])
def test_the_package_gives_the_same(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    costs = executed(the_example(ENGINES, "python", word))["costs"]
    rows = costs.to_pandas() if word == ".arrow()" else costs
    assert {name: (calls, cost) for name, calls, cost in rows.itertuples(index=False)} == calls_of()
    assert "PLAN" in capsys.readouterr().out


def test_the_dataset_has_every_run_with_its_columns() -> None:
    found = dc.open_runs("runs")
    table = found.arrow().to_table()
    assert set(table.column("run").to_pylist()) == {f"run-{number}" for number in range(RUNS)}
    rows = found.sql("select run, row from events order by run, row")
    assert sorted(
        zip(table.column("run").to_pylist(), table.column("row").to_pylist(), strict=True), key=str
    ) == sorted(
        [*rows.itertuples(index=False, name=None), *((f"run-{number}", None) for number in range(RUNS))], key=str
    )
