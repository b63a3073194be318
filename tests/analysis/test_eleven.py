"""The first eleven questions of a researcher: each is one call, and its answer is right, live and recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

import degentcivil_nb as dc
from tests.benchmarks.bench_eleven import markdown, measure, rows_of
from tests.support.eleven import ELEVEN, questions
from tests.support.planted_day import PlantedDay

SEED = 3


@pytest.mark.slow
def test_each_of_the_eleven_questions_is_one_call_whose_answer_is_right(tmp_path: Path) -> None:
    day, changed = PlantedDay(SEED, characters=34, ticks=400), PlantedDay(SEED, characters=34, ticks=400, changed=True)
    lines = measure(day.record(tmp_path / "run"), day, changed.record(tmp_path / "changed"))
    assert [line.question.call for line in lines if not line.right] == []
    assert {line.question.number for line in lines} == {*ELEVEN, 0}
    assert all(row.target is not None and row.ours > 0 for row in rows_of(lines))
    table = markdown(lines).splitlines()
    assert len(table) == len(lines) + 2
    assert "**no**" not in "".join(table)


@pytest.mark.parametrize("number", [1, 4, 9])
def test_a_wrong_answer_is_seen(number: int, tmp_path: Path) -> None:
    """The answers about another run are none of this one."""
    day, other = PlantedDay(SEED, characters=34, ticks=400), PlantedDay(SEED + 1, characters=34, ticks=60)
    for _ in day.parts():
        pass
    with dc.open_recording(other.record(tmp_path / "run")) as run:
        asked = [question for question in questions(day) if question.number == number and question.prepare is None]
        assert [question.right(question.ask(run)) for question in asked] == [False] * len(asked)
