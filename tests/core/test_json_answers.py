"""Answers that are not JSON although JSON is usual for their kind of prompt."""

from __future__ import annotations

import pytest

from degentcivil_nb.core.json_answers import AnswerCounts, is_json


@pytest.mark.parametrize(
    ("prompt_type", "json", "malformed"),
    [("offer", 5, True), ("offer", 1, False), (None, 5, False), (None, 19, True)],
    ids=["half of a kind", "a tenth of a kind", "half of no kind", "nearly all of no kind"],
)
def test_json_is_usual_for_fewer_answers_of_a_named_kind_than_of_calls_that_name_none(
    prompt_type: str | None, json: int, malformed: bool
) -> None:
    counts = AnswerCounts()
    for _ in range(json):
        assert not counts.is_malformed(prompt_type, '{"price": 3}')
    for _ in range(max(0, 10 - json - 1)):
        counts.is_malformed(prompt_type, "I would rather not.")
    assert counts.is_malformed(prompt_type, "Good morning!") is malformed


@pytest.mark.parametrize(
    ("answer", "is_one"),
    [
        ("```\n[1]\n```", True),
        ('  ```JSON  \n\n {"a": 1} \n\n```  ', True),
        ("``````", False),
        ("```json [1]```", False),
        ("```two words\n[1]\n```", False),
        ("```\n[1]\n``` and so on", False),
        ("```\n" + " " * 2_000_000 + "x", False),  # a pattern with two runs of white space took hours for it
        ("```\n" + "\n" * 2_000_000 + "```", False),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_fence_around_json_is_allowed_and_white_space_takes_no_time(answer: str, is_one: bool) -> None:
    assert is_json(answer) is is_one
