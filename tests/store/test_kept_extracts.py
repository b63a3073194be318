"""What questions need of a live run's full pieces is made once, and is forgotten with its events."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from degentcivil_nb.analysis.findings.ask import ask_findings
from degentcivil_nb.store import event_store, pieces
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.store.pieces import Extract, Extracted, Piece
from degentcivil_nb.store.tick_extract import TICKS
from tests.support.planted_runs import FAULTS, PlantedTown

SIZE = 300


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_store, "PIECE_ROWS", SIZE)
    monkeypatch.setattr(pieces.pieces_of, "__defaults__", (SIZE, None))
    monkeypatch.setattr(EventStore.pieces, "__defaults__", (SIZE,))


@pytest.mark.parametrize("most", (700, 100_000))
def test_a_run_that_grows_and_forgets_is_judged_as_one_that_is_asked_first(most: int) -> None:
    parts = [*PlantedTown(4, characters=20, ticks=300, fault=FAULTS).parts(90)]
    asked = EventStore(max_rows=most)
    for number, part in enumerate(parts):
        asked.append(part, 1e9, "e")
        if number % 4 == 3:
            fresh = EventStore(max_rows=most)
            for one in parts[: number + 1]:
                fresh.append(one, 1e9, "e")
            pd.testing.assert_frame_equal(ask_findings(asked), ask_findings(fresh))
    assert len(asked) == min(most, asked.next_row)


def test_a_full_piece_is_looked_at_once_and_forgotten_with_its_events() -> None:
    made: list[tuple[int, int]] = []

    def make(piece: Piece) -> Extracted:
        made.append((piece.first_row, piece.next_row))
        return TICKS.make(piece)

    extract: Extract = replace(TICKS, make=make)
    store = EventStore(max_rows=1_000)
    messages = [one for part in PlantedTown(4, characters=9, ticks=700).parts() for one in part]

    def ask() -> list[tuple[int, int]]:
        made.clear()
        for _ in range(2):
            store.by_pieces(lambda told: [part.extracted(extract) for part in told.parts])
        return [*made]

    store.append(messages[:700], 1e9, "e")
    assert ask() == [(0, 300), (300, 600), (600, 700)]
    store.append(messages[700:750], 1e9, "e")
    assert ask() == [(600, 750)]
    store.append(messages[750:1_450], 1e9, "e")
    first = store.first_row
    assert first > 300
    assert ask() == [(first, 600), (600, 900), (900, 1_200), (1_200, 1_450)]
    assert ask() == []
    assert len(store._extracts._made) == 4
