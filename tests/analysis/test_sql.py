"""SQL over the tables of one session: the answers, and nothing else that can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import degentcivil_nb as dc


@pytest.fixture(scope="module")
def session() -> Iterator[dc.Session]:
    with dc.start_local_server(characters=5, tick_s=0.02, paused=False) as server, dc.connect(server) as session:
        session.wait_for("llm_call", timeout=20)
        session.pause()
        yield session


@pytest.mark.parametrize("table", ["events", "characters", "timeline", "errors", "llm_calls", "places"])
def test_each_table_has_the_rows_that_its_question_gives(session: dc.Session, table: str) -> None:
    assert session.sql(f"select count(*) as n from {table}")["n"][0] == len(getattr(session, table)())


def test_counting_by_type_agrees_with_pandas(session: dc.Session) -> None:
    counted = session.sql("select type, count(*) as n from events group by type").set_index("type")["n"]
    expected = session.events()["type"].value_counts()
    assert counted.to_dict() == {name: count for name, count in expected.items() if count}


def test_values_of_mixed_types_come_as_json_text(session: dc.Session) -> None:
    found = session.sql("select prompt, response from llm_calls where prompt is not null limit 1")
    assert isinstance(found["prompt"][0], str)


def test_the_present_can_be_asked_by_attribute(session: dc.Session) -> None:
    rich = session.sql("select character_id from characters where money > 50 order by character_id")
    expected = session.characters().query("money > 50").index
    assert list(rich["character_id"]) == sorted(expected)


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('{file}')",
        "select * from '{file}'",
        "select * from read_text('{file}')",
        "select * from glob('/*')",
        "copy (select 1) to '{file}'",
        "attach '{file}'",
        "set enable_external_access = true",
        "install httpfs",
        "create table mine as select 1",
        "drop view events",
        "select 1; select 2",
        "select getenv('HOME')",
        "select * from secret",
        "selec",
        "",
    ],
)
def test_a_query_reaches_no_file_no_variable_and_no_setting(session: dc.Session, query: str, tmp_path: Path) -> None:
    secret = pd.DataFrame({"token": ["hidden"]})  # a variable of this process, which DuckDB would find by its name
    assert len(secret) == 1
    file = tmp_path / "secret.csv"
    file.write_text("token\nhidden\n")
    with pytest.raises(ValueError, match=r"\w"):
        session.sql(query.format(file=file))
    assert file.read_text() == "token\nhidden\n"
