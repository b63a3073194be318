"""The same run gives the same answers in memory, from its recording, and in SQL over either and over many runs."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs

import degentcivil_nb as dc
from degentcivil_nb.analysis.plain_columns import plain
from degentcivil_nb.analysis.sql import TABLES
from degentcivil_nb.protocol.errors import RecordingWarning
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.store.event_store import EventStore
from tests.store.test_model import NAMES, STEPS, batches_of
from tests.store.test_same_answers import Held
from tests.support.recording_helpers import EPOCH, assert_same_answers
from tests.support.sizes import examples

TOLD = st.one_of(
    st.tuples(
        st.just("chat_message"),
        st.fixed_dictionaries({"character_id": NAMES, "receivers": st.lists(NAMES), "content": st.text(max_size=4)}),
    ),
    st.tuples(st.just("tool_call"), st.fixed_dictionaries({"character_id": NAMES, "name": st.just("map")})),
    st.tuples(st.just("thought"), st.fixed_dictionaries({"character_id": NAMES, "kind": st.just("plan")})),
    st.tuples(st.just("measure"), st.fixed_dictionaries({"name": st.just("gini"), "value": st.floats(0, 1)})),
    st.tuples(st.just("character_left"), st.fixed_dictionaries({"character_id": NAMES})),
    st.tuples(st.just("character_update_llm"), st.fixed_dictionaries({"latestPromptType": st.just("PLAN")})),
    st.tuples(
        st.just("llm_call"),
        st.fixed_dictionaries(
            {"character_id": NAMES, "prompt_type": st.sampled_from(["PLAN", "TALK"]), "cost_usd": st.floats(0, 1)},
            optional={"id": st.text(max_size=3), "cause": st.lists(st.sampled_from(["a", "b"]), max_size=2)},
        ),
    ),
    st.tuples(st.sampled_from(["state_change", "error", "party"]), st.integers() | st.text(max_size=3)),
)
MESSAGES = st.lists(
    st.builds(
        lambda told, at, tick: RawMessage(told[0], Raw(encode(told[1])), at, None, tick),
        TOLD,
        st.none() | st.integers(1_000, 1_006),
        st.none() | st.integers(0, 5),
    ),
    max_size=12,
)
DIALECTS = ("v1", "guide", "game")


def of_dialect(dialect: str, steps: list[Any], more: list[RawMessage]) -> tuple[list[list[RawMessage]], str | None]:
    """Give lists of messages as a server of a dialect sends them: only v1 has positions, gaps and snapshots."""
    batches = [batch for batch in batches_of(steps) if batch]
    batches = [[*batch, *more[number::2]] for number, batch in enumerate(batches[:2])] + batches[2:]
    if dialect == "v1":
        return batches, EPOCH
    bare = [
        [structs.replace(one, seq=None) for one in batch if one.type not in ("gap", "snapshot")] for batch in batches
    ]
    return [batch for batch in bare if batch], None


@settings(max_examples=examples(8), deadline=None)
@given(
    STEPS, MESSAGES, st.sampled_from(DIALECTS), st.integers(1, 20), st.booleans(), st.booleans(),
    st.sampled_from(sorted(set(TABLES) - {"findings"})),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::UserWarning")  # names that a short run has none of
def test_memory_recording_and_sql_say_the_same(
    steps: list[Any], more: list[RawMessage], dialect: str, segment: int, taken: bool, sealed: bool, table: str
) -> None:
    batches, epoch = of_dialect(dialect, steps, more)
    store = EventStore()
    with tempfile.TemporaryDirectory() as name:
        writer = SegmentWriter(Path(name) / "run", run_id="run", segment_messages=segment)
        for number, batch in enumerate(batches):
            found = store.take(batch, 1_500.0 + number, epoch)
            writer.write([RecordedMessage(batch, 1_500.0 + number, epoch, found if taken else ())])
            if writer.full:
                writer.seal()
        writer.commit()
        if sealed:
            writer.close()
        writer.abandon()
        held = Held(store)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)  # one that is not sealed is unfinished
            recording, runs = dc.open_recording(Path(name) / "run"), dc.open_runs(name)
            assert_same_answers(held, recording)
            for asked in ("events", table):
                compare_tables(asked, held, recording, runs)
            for query in OF_COLUMNS:
                compare_queries(query, held, recording, runs)


OF_COLUMNS = (
    "select row, character_id, prompt_type, model, error, prompt_tokens, cost_usd, cause, event_id from llm_calls",
    "select count(*) as n, sum(cost_usd) as cost from llm_calls",
    "select row, code, message, traceback, excerpt, cause, sim_time from errors",
)
"""Queries of which files have all columns."""


def compare_queries(query: str, held: Held, recording: dc.Recording, runs: dc.Runs) -> None:
    """Ask the same in SQL of memory, of a recording and of a folder of runs."""
    expected = sorted_rows(held.sql(query))
    for found in (recording.sql(query), runs.sql(query)):
        pd.testing.assert_frame_equal(sorted_rows(found), expected, obj=query, check_dtype=False)


def compare_tables(name: str, held: Held, recording: dc.Recording, runs: dc.Runs) -> None:
    """Ask for a table in SQL of memory, of a recording and of a folder of runs."""
    query = f"select * from {name}"
    expected = sorted_rows(held.sql(query))
    if name not in ("attributes", "links"):
        frame = getattr(held, name)()
        said = plain(frame if frame.index.name is None else frame.reset_index())
        assert len(said) == len(expected) and [*said.columns] == [*expected.columns], name
    for found in (recording.sql(query), runs.sql(query).drop(columns="run")):
        pd.testing.assert_frame_equal(sorted_rows(found), expected, obj=name, check_dtype=False)


def sorted_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with its rows in an order of their own, for SQL gives them in any."""
    for name in {"cause", "intervention"} & set(frame.columns):  # JSON, of memory with spaces, of files without
        frame = frame.assign(**{name: frame[name].astype("object").map(compact, na_action="ignore")})
    order = frame.astype("str").apply(tuple, axis=1).sort_values(kind="stable").index if len(frame) else frame.index
    return frame.loc[order].reset_index(drop=True)


def compact(text: str) -> str:
    """Return JSON of several values without spaces, and any other text as it is."""
    return encode(json.loads(text)).decode() if text.startswith(("[", "{")) else text
