"""Numbers with what they count."""

from __future__ import annotations

import pytest

from degentcivil_nb.core.counting import counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1 gap"), (0, "0 gaps"), (1234.0, "1,234 gaps"), (2**53 + 1, "9,007,199,254,740,993 gaps")],
)
def test_a_number_is_written_exactly_with_one_or_several(number: float, text: str) -> None:
    assert counted(number, "gap") == text
