"""What is wrong in a run is the same however the run is cut into pieces, in memory and in a recording."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.analysis.findings.ask import findings_of, pauses
from degentcivil_nb.analysis.findings.evidence import Evidence
from degentcivil_nb.protocol.errors import RecordingWarning
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.store.event_store import EventStore
from tests.analysis.test_three_ways import DIALECTS, MESSAGES, of_dialect
from tests.store.test_model import STEPS
from tests.support.planted_runs import FAULTS, PlantedTown
from tests.support.recording_helpers import EPOCH
from tests.support.sizes import examples

EAGER: Final[dict[str, dict[str, float]]] = {
    "stuck": {"least": 0, "factor": 0.5},
    "waiting_for_model": {"least": 0, "factor": 0.5},
    "silent": {"least": 0, "factor": 0.5, "messages": 1},
    "loop": {"rounds": 2, "surprise": -9.0},
    "ping_pong": {"least": 2, "factor": 0.5},
    "stalled": {"least_s": 0.0, "factor": 0.5},
    "error_burst": {"least": 1, "surprise": -9.0},
    "new_error": {"least": 1, "surprise": 0.0, "warm_up": 0.0},
    "slow_model": {"factor": 0.5, "least": 2, "stretch": 2},
    "dear": {"factor": 1.01, "least": 1},
    "malformed": {"least": 1, "surprise": -9.0, "ratio": 0.5},
    "rejected": {"least": 1, "surprise": -9.0, "ratio": 0.5},
    "repeated_prompt": {"least": 2, "surprise": -9.0},
}
"""Thresholds at which nearly everything is a finding, so that a short run has many."""


def found_in(store: EventStore, size: int) -> pd.DataFrame:
    """Give what is wrong in a run that is read in pieces of a size."""
    return findings_of(Evidence(store.pieces(size), store.gaps(), pauses=pauses(store)), thresholds=EAGER)


@pytest.mark.parametrize("size", (1, 13, 400))
@pytest.mark.parametrize("fault", ("loop", "stuck", "ping_pong"))
def test_a_town_is_judged_the_same_in_pieces_of_any_size(fault: str, size: int) -> None:
    assert fault in FAULTS
    store = PlantedTown(5, characters=6, ticks=90, fault=fault).run()._store
    assert isinstance(store, EventStore)
    whole = found_in(store, len(store))
    assert {"stuck", "stalled"} <= set(whole["kind"]) and whole["kind"].nunique() > 3
    pd.testing.assert_frame_equal(found_in(store, size), whole)


@settings(max_examples=examples(12), deadline=None)
@given(STEPS, MESSAGES, st.sampled_from(DIALECTS), st.integers(1, 25), st.sampled_from((1, 2)), st.booleans())
def test_any_run_is_judged_the_same_in_pieces_and_in_a_recording(
    steps: list[Any], more: list[RawMessage], dialect: str, pieces: int, format: int, sealed: bool
) -> None:
    """Also with snapshots, gaps, restarted ticks and clocks that go back."""
    batches, epoch = of_dialect(dialect, steps, more)
    size = max(1, sum(map(len, batches)) // pieces)  # each piece costs some ms: a long run in pieces of one took 5 min
    store = EventStore()
    with tempfile.TemporaryDirectory() as name:
        writer = SegmentWriter(Path(name) / "run", segment_messages=size, format=format)
        for number, batch in enumerate(batches):
            writer.write([RecordedMessage(batch, 1_500.0 + number, epoch, store.take(batch, 1_500.0 + number, epoch))])
            if writer.full:
                writer.seal()
        writer.commit()
        if sealed:
            writer.close()
        writer.abandon()
        whole = found_in(store, max(1, len(store)))
        pd.testing.assert_frame_equal(found_in(store, size), whole)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)  # one that is not sealed is unfinished
            recording = dc.open_recording(Path(name) / "run", memory_rows=0)
        pd.testing.assert_frame_equal(recording.findings(thresholds=EAGER), whole)


def test_what_a_damaged_segment_hides_is_a_gap(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "run", segment_messages=50)
    for seq in range(1, 301):
        data = {"character_id": f"c{seq % 3}", "new_state": ("A", "B")[seq % 2]}
        message = RawMessage("state_change", Raw(encode(data)), 1_000.0 + seq, seq, seq)
        writer.write([RecordedMessage([message], 1_000.0 + seq, EPOCH)])
        if writer.full:
            writer.seal()
    writer.close()
    kept, recording = dc.open_recording(tmp_path / "run"), dc.open_recording(tmp_path / "run")
    whole = kept.findings()
    path = sorted((tmp_path / "run").glob("*.parquet"))[2]
    path.write_bytes(path.read_bytes()[:100])
    pd.testing.assert_frame_equal(kept.findings(), whole)  # the extracts of the segment say all that is needed
    for extract in (tmp_path / "run").glob("*.extract"):
        extract.unlink()
    with pytest.warns(RecordingWarning, match="damaged after it was opened"):
        found = recording.findings()
    assert "50 messages are missing" in found[found["kind"] == "gap"]["text"].iloc[0]
