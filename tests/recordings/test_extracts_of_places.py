"""Where characters were is answered without the segments, once what that needs of them is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.sealed_columns import SealedColumns
from tests.support.planted_runs import PlantedTown
from tests.support.recording_helpers import opened, written

KINDS = ("loop", "silent", "stalled", "error_burst", "new_error", "ping_pong")


def test_questions_about_places_states_and_silences_read_no_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = PlantedTown(3, characters=4, ticks=200)
    parts = [RecordedMessage(part, town.now, town.epoch) for part in town.parts(20)]
    folder = written(tmp_path / "run", parts, close=False, segment_messages=40)
    held = PlantedTown(3, characters=4, ticks=200).run()
    recorded = opened(folder)
    read: list[Any] = []
    monkeypatch.setattr(SealedColumns, "read", lambda _, names: read.append(names))
    assert len(list(folder.glob("*.parquet"))) > 2
    pd.testing.assert_frame_equal(recorded.timeline(), held.timeline())
    pd.testing.assert_frame_equal(recorded.timeline("p1"), held.timeline("p1"))
    pd.testing.assert_frame_equal(recorded.meetings("p1"), held.meetings("p1"))
    assert len(held.meetings("p1")["how"].unique()) == 2
    for kind in KINDS:
        pd.testing.assert_frame_equal(recorded.findings(kind), held.findings(kind))
    assert not read
