"""The history: positions, eviction, and the frames that are cut from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from degentcivil_nb.protocol.codec import decode_frames
from degentcivil_nb.protocol.control_payloads import Resume
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import WebSocketMessage
from degentcivil_nb.server.stream.frames import Filter, Frames
from degentcivil_nb.server.stream.history import History


def add(history: History, *numbers: int, type: str = "event_notification", character_id: str | None = None) -> None:
    for number in numbers:
        history.append(encode(WebSocketMessage(type, {"n": number}, 0.0)), type, character_id)


def seqs(history: History) -> list[int | None]:
    return [entry.seq for entry in history.entries(history.start, 1_000_000)]


def test_positions_begin_at_one_and_grow_by_one() -> None:
    history = History()
    assert (history.head, history.oldest, len(history)) == (0, 1, 0)
    add(history, 1, 2, 3)
    assert (history.head, history.oldest, len(history)) == (3, 1, 3)
    assert json.loads(history.entries(0, 1)[0].frame) == {
        "type": "event_notification",
        "data": {"n": 1},
        "timestamp": 0.0,
        "seq": 1,
    }


def test_the_oldest_go_first_by_count() -> None:
    history = History(max_messages=3)
    add(history, *range(10))
    assert seqs(history) == [8, 9, 10]
    assert (history.oldest, history.head, history.start, history.end) == (8, 10, 7, 10)


def test_the_oldest_go_first_by_bytes_but_the_newest_is_always_held() -> None:
    history = History(max_bytes=1_000)
    add(history, *range(50))
    assert history.bytes <= 1_000
    assert 2 <= len(history) < 50
    history.append(encode(WebSocketMessage("big", "x" * 5_000, 0.0)), "big")
    assert seqs(history) == [51]


def test_the_oldest_go_first_by_age() -> None:
    now = 0.0
    history = History(max_age_s=10, clock=lambda: now)
    add(history, 1, 2)
    now = 8.0
    add(history, 3)
    now = 11.0
    add(history, 4)
    history.expire()
    assert seqs(history) == [3, 4]
    now = 100.0
    history.expire()
    assert (seqs(history), history.oldest) == ([], 5)


def test_a_history_that_can_hold_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="room for a message"):
        History(max_messages=0)


def test_letting_go_in_pieces_changes_no_place() -> None:
    history = History(max_messages=100)
    add(history, *range(20_000))
    assert (history.start, history.end) == (19_900, 20_000)
    assert history.entries(19_950, 1)[0].seq == 19_951
    assert history.offset_after(19_950) == 19_950


def test_control_messages_have_a_place_and_no_position() -> None:
    history = History()
    add(history, 1)
    history.append_control(b'{"type":"run_state","data":{"state":"paused"}}', "run_state")
    add(history, 2)
    assert seqs(history) == [1, None, 2]
    assert history.offset_after(1) == 1, "whether the control message arrived nobody knows, so it comes again"
    assert history.offset_after(2) == 3


def test_lost_messages_take_their_positions_along() -> None:
    history = History()
    add(history, 1)
    history.append_lost("e", 5)
    add(history, 2)
    assert seqs(history) == [1, None, 7]
    assert json.loads(history.entries(1, 1)[0].frame)["data"] == {
        "epoch": "e",
        "from": 2,
        "to": 6,
        "reason": "overflow",
    }
    assert history.offset_after(1) == 1
    assert history.offset_after(6) == 2
    assert history.offset_after(4) == 1, "who begins within a gap is told all of it"
    assert history.head_before(1) == 1


def test_the_bytes_still_to_come_are_known_at_every_place() -> None:
    history = History()
    add(history, 1, 2, 3)
    sizes = [len(entry.frame) for entry in history.entries(0, 3)]
    assert [history.bytes_after(offset) for offset in range(4)] == [sum(sizes[offset:]) for offset in range(4)]


def test_a_place_before_the_history_is_refused() -> None:
    history = History(max_messages=1)
    add(history, 1, 2, 3)
    assert history.offset_after(2) == 2
    with pytest.raises(ValueError, match="before the history"):
        history.offset_after(1)


operations = st.lists(st.one_of(st.just("event"), st.just("control"), st.integers(1, 5)), max_size=60)


@given(operations, st.integers(1, 20))
def test_every_position_is_in_the_history_or_in_one_gap_or_before_it(steps: list[Any], kept: int) -> None:
    history = History(max_messages=kept)
    for step in steps:
        if step == "event":
            add(history, 0)
        elif step == "control":
            history.append_control(b'{"type":"run_state"}', "run_state")
        else:
            history.append_lost("e", step)
    position = history.oldest - 1
    for offset in range(history.start, history.end):
        assert history.head_before(offset) == position
        entry = history.entries(offset, 1)[0]
        assert entry.seq in (None, position + 1)
        assert entry.head >= position
        position = entry.head
    assert position == history.head
    for seq in range(history.oldest - 1, history.head + 1):
        offset = history.offset_after(seq)
        assert history.head_before(offset) <= seq, "nothing is skipped"
        rest = [entry.seq for entry in history.entries(offset, 1_000) if entry.seq is not None]
        assert all(later > seq for later in rest), "nothing comes twice"


# --- frames ------------------------------------------------------------------------------------------------------


def opened(frame: bytes) -> list[tuple[str, int | None, tuple[int, int] | None]]:
    return [(message.type, message.seq, message.covers) for message in decode_frames([frame])]


def test_peers_at_the_same_place_share_one_frame() -> None:
    history = History()
    add(history, 1, 2, 3)
    frames = Frames(history, 1 << 20)
    chunk = frames.after(0)
    assert frames.after(0) is chunk
    assert (chunk.offset, chunk.head, chunk.messages) == (3, 3, 3)
    add(history, 4)
    assert frames.after(0) is not chunk, "the history has moved on"


def test_one_message_needs_no_batch() -> None:
    history = History()
    add(history, 1)
    assert opened(Frames(history, 1 << 20).after(0).frame) == [("event_notification", 1, None)]


def test_frames_stay_within_the_limit() -> None:
    history = History()
    for _ in range(100):
        history.append(encode(WebSocketMessage("note", "x" * 500, 0.0)), "note")
    frames = Frames(history, 2_000)
    offset, seen = 0, []
    while offset < history.end:
        chunk = frames.after(offset)
        assert len(chunk.frame) <= 2_000
        seen += [seq for _, seq, _ in opened(chunk.frame)]
        offset = chunk.offset
    assert seen == list(range(1, 101))


def test_a_filtered_frame_covers_what_it_leaves_out() -> None:
    history = History()
    add(history, 1, 2, type="a", character_id="emma")
    add(history, 3, type="b", character_id="emma")
    add(history, 4, type="a", character_id="liam")
    frames = Frames(history, 1 << 20)
    only = Filter.of(Resume(types=["a"], characters=["emma"]))
    assert opened(frames.after(0, only).frame) == [("batch", None, (1, 4)), ("a", 1, None), ("a", 2, None)]
    nothing = Filter.of(Resume(types=["c"]))
    assert opened(frames.after(2, nothing).frame) == [("batch", None, (3, 4))]


def test_a_filter_is_none_where_everything_is_wanted() -> None:
    assert Filter.of(Resume()) is None
    assert Filter.of(Resume(types=[])) is not None, "nothing is wanted"


def test_what_is_lost_is_never_covered_as_filtered() -> None:
    history = History()
    add(history, 1, type="a")
    history.append_lost("e", 2)
    history.append_control(b'{"type":"run_state","data":{"state":"paused"}}', "run_state")
    add(history, 4, type="b")
    frames = Frames(history, 1 << 20)
    only = Filter.of(Resume(types=["a"]))
    offset, seen = 0, []
    while offset < history.end:
        chunk = frames.after(offset, only)
        seen += opened(chunk.frame)
        offset = chunk.offset
    assert seen == [
        ("batch", None, (1, 1)),
        ("a", 1, None),
        ("gap", None, None),
        ("batch", None, (4, 4)),
        ("run_state", None, None),
    ]
