"""Lengths of spans are counted in bounded memory, and the same however they come."""

from __future__ import annotations

import numpy as np
import pytest

from degentcivil_nb.analysis.findings import spans
from degentcivil_nb.analysis.findings.spans import LengthCounts, Lengths

MOST = 1_000


def counted(lengths: np.ndarray, pieces: int) -> LengthCounts:
    """Give the counts of lengths that come in pieces, by two kinds and three characters."""
    found = Lengths()
    numbers = np.arange(len(lengths))
    for some in np.array_split(numbers, pieces):
        found.add(some % 2, some % 3, lengths[some])
    return found.frozen()


@pytest.mark.parametrize("size", (300, 5_000))
def test_how_exact_lengths_are_does_not_depend_on_their_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few are exact. Of many, what is told of them differs little, and each can be taken out again."""
    monkeypatch.setattr(spans, "MOST_LENGTHS", MOST)
    monkeypatch.setattr(spans, "BUFFERED", 50)
    lengths = np.random.default_rng(size).exponential(30.0, size)
    whole, cut = counted(lengths, 1), counted(lengths, 17)
    for name in ("kinds", "who", "lengths", "counts"):
        order = [np.lexsort((one.who, one.kinds, one.lengths)) for one in (whole, cut)]
        assert (getattr(whole, name)[order[0]] == getattr(cut, name)[order[1]]).all()
    assert len(whole) == size
    assert len(whole.lengths) == size if size <= MOST else len(whole.lengths) <= MOST
    assert whole.usual == pytest.approx(np.quantile(lengths, 0.95), rel=0.0 if size <= MOST else 0.25)
    assert len(whole.without(float(lengths[7]))) == size - 1
