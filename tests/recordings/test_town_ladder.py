"""The copies of a recorded town by which moments are replayed change no answer, whatever was looked at before."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pandas as pd
import pytest
from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings import town_ladder
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.column_store import ColumnStore
from degentcivil_nb.session.recording import Recording
from degentcivil_nb.store.event_store import EventStore
from tests.support.recording_helpers import EPOCH, written

EVENTS = 600


def odd_event(seq: int, chance: random.Random) -> RawMessage:
    """Make an event that changes a town, or may not."""
    who = f"c{chance.randrange(20)}"
    data = {"character_id": who, "location": chance.choice(["Park", "Café", None]), "mood": chance.randrange(9)}
    kind = chance.choice(["state_change", "state_change", "character_left", "event_notification", "error"])
    if kind == "state_change":
        data["new_state"] = chance.choice(["IDLE", "MOVE", ""])
    return RawMessage(kind, Raw(encode(data)), 1_000.0 + seq / 10, seq, seq // 10)


@pytest.mark.parametrize("most", [1, 6, 64])
def test_moments_in_any_order_and_on_any_thread_have_the_town_of_the_store_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(town_ladder, "EVERY_ROWS", 20)
    monkeypatch.setattr(town_ladder, "MOST", most)
    chance, store = random.Random(most), EventStore()
    batches = [[odd_event(seq, chance) for seq in range(first, first + 10)] for first in range(1, EVENTS, 10)]
    for batch in batches:
        store.append(batch, 2_000.0, EPOCH)
    entries = [RecordedMessage(batch, 2_000.0, EPOCH) for batch in batches]
    folder = written(tmp_path / "run", entries, close=True, segment_messages=200)
    recorded = Recording(folder, memory_rows=0)._store
    assert isinstance(recorded, ColumnStore)
    used: list[int] = []
    known = town_ladder.TownLadder._last

    def watched(ladder: town_ladder.TownLadder, start: int, stop: int) -> object:
        found = known(ladder, start, stop)
        used.extend([] if found is None else [found[1]])
        return found

    monkeypatch.setattr(town_ladder.TownLadder, "_last", watched)
    wrong: list[str] = []

    def look(seed: int) -> None:
        for row in random.Random(seed).choices(range(len(store)), k=60):
            try:
                pd.testing.assert_frame_equal(
                    recorded.characters(row=row), store.characters(row=row), check_like=True, check_categorical=False
                )
            except Exception as error:  # noqa: BLE001 — of whatever kind, on the thread of the test
                wrong.append(f"row {row}: {error}")

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert used, "copies were used"
    assert len(recorded._sealed._ladder._towns) <= most
