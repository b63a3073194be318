"""Errors that are new since a moment are the same in memory and in a recording that is read by its extracts."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pandas as pd
import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.analysis.message_kinds import message_kind
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.store.event_store import EventStore
from tests.support.planted_runs import Held
from tests.support.recording_helpers import EPOCH

TEXTS = ("lost at 5", "lost at 17", "no 'bread'", "Ada is gone", "Bo is gone", "", None)


def errors(seed: int) -> list[RawMessage]:
    """Give errors with and without codes and texts, at times that go back now and then."""
    chance, found = Random(seed), []
    for seq in range(1, 120):
        data = {"code": chance.choice((1, 2, 3, None)), "message": chance.choice(TEXTS[: 3 + seq // 20])}
        data |= {"character_id": chance.choice(("Ada", "Bo", None))}
        told = {key: value for key, value in data.items() if value is not None}
        kind = "error" if chance.random() < 0.7 else "party"
        found.append(RawMessage(kind, Raw(encode(told)), 1_000.0 + seq + chance.choice((0, 0, -9)), seq, seq))
    return found


def expected(errors: pd.DataFrame, since: pd.Timestamp) -> list[int]:
    """Say which are new by looking at each of them."""
    names = set(errors["character_id"].dropna().astype(str))
    codes = errors["code"].astype("object").where(errors["code"].notna(), None)
    texts = [message_kind(text if isinstance(text, str) else None, names) for text in errors["message"].astype(object)]
    kinds = [*zip(codes.tolist(), texts, strict=True)]
    late = (errors["time"] >= since).to_list()
    known = {kind for kind, is_late in zip(kinds, late, strict=True) if not is_late}
    new = zip(errors.index.tolist(), kinds, late, strict=True)
    return [row for row, kind, is_late in new if is_late and kind not in known]


@pytest.mark.parametrize("seed", range(6))
def test_new_errors_are_those_that_a_look_at_each_finds(seed: int, tmp_path: Path) -> None:
    told = errors(seed)
    store, writer = EventStore(), SegmentWriter(tmp_path / "run", segment_messages=30)
    for start in range(0, len(told), 10):
        part = told[start : start + 10]
        writer.write([RecordedMessage(part, 2_000.0, EPOCH, store.take(part, 2_000.0, EPOCH))])
        if writer.full:
            writer.seal()
    writer.close()
    held, recording = Held(store), dc.open_recording(tmp_path / "run")
    for seconds in (1_000, 1_040, 1_090, 2_000):
        since = pd.Timestamp(seconds, unit="s", tz="UTC")
        rows = expected(held._store.errors(), since)
        for found in (dc.Session.errors(held, new_since=since), recording.errors(new_since=since)):
            assert found.index.to_list() == rows
    assert any(expected(held._store.errors(), pd.Timestamp(at, unit="s", tz="UTC")) for at in (1_040, 1_090))
