"""How long a character is silent or stuck, and how often it goes round."""

from __future__ import annotations

import pytest

from degentcivil_nb.expressions.detectors import Trail


def test_silence_and_standing_still_are_counted_in_ticks() -> None:
    trail = Trail(10, "IDLE", "Home")
    trail.note(12, "IDLE")
    assert (trail.silent(15), trail.stuck(15)) == (3, 5)
    trail.note(16, "MOVE")
    trail.note(18, location="Park")
    assert (trail.silent(20), trail.stuck(20)) == (2, 2)
    trail.note(19, location="")  # it left its place
    assert trail.location is None
    assert trail.stuck(20) == 1


@pytest.mark.parametrize(
    ("states", "times"),
    [("A", 1), ("AB", 1), ("ABA", 1), ("ABAB", 2), ("ABABA", 2), ("XYABCABCABC", 3), ("ABCABD", 1), ("AABB", 1)],
)
def test_rounds_through_the_same_states_are_counted(states: str, times: int) -> None:
    trail = Trail(0)
    for tick, state in enumerate(states):
        trail.note(tick, state)
    assert trail.loops() == times


def test_a_round_of_eight_is_seen_and_a_broken_one_counts_anew() -> None:
    trail = Trail(0)
    for state in "ABCDEFGH" * 5:
        trail.note(0, state)
    assert trail.loops() == 5
    trail.note(0, "X")
    assert trail.loops() == 1
