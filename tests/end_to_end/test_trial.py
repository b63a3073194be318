"""What a user finds out about a recorded run with planted faults, by a few clicks in the dashboard."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.conftest import OpenNotebook
from tests.end_to_end.trial import CELL, TRUTH, answer, planted

MOST = {"who is stuck": 1, "what did she": 3, "what did the town": 2, "which calls": 3}
"""The most clicks that the answer to each question may take."""


def test_the_first_questions_about_a_run_are_answered_by_a_few_clicks(notebook: OpenNotebook, tmp_path: Path) -> None:
    town = planted(tmp_path / "recorded", 5)
    cells = CELL.format(folder=str(tmp_path / "recorded")), TRUTH.format(victim=town.victim)
    book = notebook(*cells, width=1800)
    told = answer(book, town.victim)
    for question, clicks, _ in told:
        most = next(most for start, most in MOST.items() if question.startswith(start))
        assert clicks <= most, question
    assert len(told) == len(MOST)
    assert book.problems == []
