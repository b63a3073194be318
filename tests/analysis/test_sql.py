"""SQL over the tables of one session: the answers, and nothing else that can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import degentcivil_nb as dc
from degentcivil_nb.analysis.plain_columns import plain
from degentcivil_nb.analysis.sql import answer


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


@pytest.mark.parametrize(
    "query",
    [
        "select avg(value) from t",
        "select value from t where value > 1",
        "select value + 1 from t",
        "select cast(value as double) from t",
        "select sum(json_extract(said, '$.price')) from t",
        "select cast(json_extract(said, '$.price') as double) from t",
    ],
)
def test_a_text_used_as_a_number_is_answered_with_what_to_write_instead(query: str) -> None:
    frame = pd.DataFrame({"value": [1, "much"], "said": ['{"price": "much"}', None]})
    with pytest.raises(ValueError, match=r"(?s)uses a text as a number.*try_cast\(value as double\)") as failed:
        answer(query, {"t": lambda: plain(frame)})
    assert "Candidate functions" not in str(failed.value)
    instead = answer("select try_cast(value as double) as value from t order by value", {"t": lambda: plain(frame)})
    assert instead["value"].tolist()[:1] == [1.0] and instead["value"].isna().sum() == 1


@pytest.mark.parametrize(
    ("values", "kind", "first"),
    [
        ([1, 2.5, None], "DOUBLE", 1.0),
        ([1, 2.5, pd.NA], "DOUBLE", 1.0),
        ([2.5, 2**60 + 1], "VARCHAR", "2.5"),
        ([2**63, 1], "VARCHAR", str(2**63)),
        ([2**63 - 1, 1], "BIGINT", 2**63 - 1),
        ([True, 2], "VARCHAR", "true"),
    ],
)
def test_numbers_of_two_kinds_are_one_column_of_numbers_where_that_is_exact(values: Any, kind: str, first: Any) -> None:
    frame = pd.DataFrame({"value": pd.Series(values, dtype=object)})
    shown = answer("select typeof(value) as kind, value from t", {"t": lambda: plain(frame)})
    assert (shown["kind"][0], shown["value"][0]) == (kind, first)
