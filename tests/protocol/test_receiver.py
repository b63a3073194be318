"""Resuming, both halves: the seven cases of the protocol, and what the receiver makes of a server that errs."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from degentcivil_nb.protocol.codec import decode_frames, encode_batch
from degentcivil_nb.protocol.control_payloads import Gap, Heartbeat, Hello, Resume, Resumed, RunState, Snapshot
from degentcivil_nb.protocol.errors import WebSocketError
from degentcivil_nb.protocol.json_text import decode, encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.protocol.receiver import StreamReceiver, gap_message, plan_resume
from degentcivil_nb.protocol.resume import ResumePlan

# --- the server's half ---------------------------------------------------------------------------------------------


def plan(resume: Resume, *, oldest: int = 11, head: int = 20) -> ResumePlan:
    return plan_resume(epoch="now", oldest=oldest, head=head, resume=resume)


def test_case_1_a_position_in_history_goes_on_from_there() -> None:
    assert plan(Resume("now", 15)) == ResumePlan(16, recovered=True)


def test_case_1_reaches_from_just_before_the_oldest_to_the_head() -> None:
    assert plan(Resume("now", 10)) == ResumePlan(11, recovered=True)
    assert plan(Resume("now", 20)) == ResumePlan(21, recovered=True)


def test_case_2_a_position_too_old_gets_one_gap_and_a_snapshot() -> None:
    gap = Gap("now", 6, 10, "window")
    assert plan(Resume("now", 5)) == ResumePlan(11, recovered=False, gaps=(gap,), snapshot=True)


def test_case_2_holds_for_an_empty_history() -> None:
    gap = Gap("now", 6, 20, "window")
    assert plan(Resume("now", 5), oldest=21) == ResumePlan(21, recovered=False, gaps=(gap,), snapshot=True)


def test_case_3_another_epoch_gets_two_gaps_and_a_snapshot() -> None:
    gaps = (Gap("then", 8, None, "restart"), Gap("now", 1, 10, "window"))
    assert plan(Resume("then", 7)) == ResumePlan(11, recovered=False, gaps=gaps, snapshot=True)


def test_case_3_leaves_out_the_second_gap_where_the_new_history_is_whole() -> None:
    gaps = (Gap("then", 8, None, "restart"),)
    assert plan(Resume("then", 7), oldest=1) == ResumePlan(1, recovered=False, gaps=gaps, snapshot=True)


def test_case_4_a_position_beyond_the_head_is_refused() -> None:
    with pytest.raises(WebSocketError, match="cannot resume after seq 21: the last one is 20") as refused:
        plan(Resume("now", 21))
    assert refused.value.code == WebSocketError.INVALID_MESSAGE


@pytest.mark.parametrize(("history", "start"), [(0, 21), (3, 18), (10, 11), (1000, 11)])
def test_case_5_a_newcomer_gets_as_much_history_as_it_wants_and_there_is(history: int, start: int) -> None:
    assert plan(Resume(history=history)) == ResumePlan(start, recovered=True, snapshot=True)


# --- the client's half ---------------------------------------------------------------------------------------------


def control(type: str, payload: Any) -> RawMessage:
    return RawMessage(type, Raw(encode(payload)))


def events(*seqs: int) -> list[RawMessage]:
    return [RawMessage("event_notification", seq=seq) for seq in seqs]


def seqs(messages: list[RawMessage]) -> list[int]:
    return [message.seq for message in messages if message.seq is not None]


def gaps(messages: list[RawMessage]) -> list[Gap]:
    return [decode(Gap, message.data) for message in messages if message.type == "gap"]


def receiver_at(seq: int, epoch: str = "now", **options: Any) -> StreamReceiver:
    receiver = StreamReceiver(**options)
    receiver.hello(Hello(epoch, head=seq))
    receiver.accept([control("resumed", Resumed(epoch, seq, seq + 1))])
    return receiver


def again(receiver: StreamReceiver, epoch: str = "now", head: int = 0) -> None:
    receiver.cut()
    receiver.accept([control("hello", Hello(epoch, head=head)), control("resumed", Resumed(epoch, head, 1))])


def test_a_newcomer_asks_for_history_and_is_one_until_resumed() -> None:
    receiver = StreamReceiver(history=50, types=["error"])
    assert receiver.resume_request() == Resume(None, None, 50, ["error"])
    receiver.hello(Hello("now", head=100))
    receiver.cut()
    assert receiver.resume_request() == Resume(None, None, 50, ["error"])


def test_a_newcomer_cut_before_its_first_message_resumes_from_before_it() -> None:
    receiver = receiver_at(50)
    assert (receiver.resume_request().epoch, receiver.resume_request().seq) == ("now", 50)


@pytest.mark.parametrize(
    ("history", "missing"),
    [(0, []), (10, []), (11, [Gap("now", 90, 90, "window")]), (1000, [Gap("now", 1, 90, "window")])],
)
def test_what_a_newcomer_wants_and_the_server_no_longer_holds_is_a_gap(history: int, missing: list[Gap]) -> None:
    receiver = StreamReceiver(history=history)
    receiver.hello(Hello("now", head=100, oldest=91))
    start = max(91, 101 - history)
    accepted = receiver.accept([control("resumed", Resumed("now", 100, start)), control("snapshot", Snapshot(100))])
    assert gaps(accepted) == missing and (not missing or accepted[0].type == "gap")
    assert (
        receiver.unheld == receiver.missing == sum(gap.end - gap.start + 1 for gap in missing if gap.end and gap.start)
    )
    assert seqs(receiver.accept(events(*range(start, 101)))) == list(range(start, 101))
    again(receiver, head=100)
    assert receiver.gaps == len(missing), "it is declared once"


def test_a_run_of_messages_is_handed_on_as_it_came() -> None:
    receiver = receiver_at(0)
    messages = events(*range(1, 5001))
    assert receiver.accept(messages) is messages
    assert receiver.position == ("now", 5000) and receiver.received == 5000


def test_a_run_that_only_looks_whole_from_both_ends_is_looked_through() -> None:
    receiver = receiver_at(0)
    accepted = receiver.accept(events(1, 2, 2, 4))
    assert seqs(accepted) == [1, 2, 4] and gaps(accepted) == [Gap("now", 3, 3, "skipped")]
    assert receiver.duplicates == 1


def test_case_6_duplicates_are_dropped_and_counted() -> None:
    receiver = receiver_at(0)
    receiver.accept(events(1, 2, 3))
    assert seqs(receiver.accept(events(2, 3, 4))) == [4]
    assert receiver.duplicates == 2


def test_case_6_a_skipped_position_is_a_gap_that_the_receiver_declares() -> None:
    receiver = receiver_at(0)
    accepted = receiver.accept(events(1, 5))
    assert [message.type for message in accepted] == ["event_notification", "gap", "event_notification"]
    assert gaps(accepted) == [Gap("now", 2, 4, "skipped")]
    assert (receiver.gaps, receiver.missing, receiver.skipped) == (1, 3, 1)


def test_a_declared_gap_moves_the_position() -> None:
    receiver = receiver_at(10)
    again(receiver, head=40)
    accepted = receiver.accept([gap_message(Gap("now", 11, 30, "window")), *events(31)])
    assert gaps(accepted) == [Gap("now", 11, 30, "window")]
    assert receiver.position == ("now", 31) and receiver.missing == 20 and receiver.skipped == 0


def test_a_gap_that_overlaps_what_is_held_is_cut_to_what_is_missing() -> None:
    receiver = receiver_at(10)
    assert gaps(receiver.accept([gap_message(Gap("now", 5, 12, "slow"))])) == [Gap("now", 11, 12, "slow")]
    assert receiver.accept([gap_message(Gap("now", 5, 12, "slow"))]) == []


def test_a_gap_behind_a_hole_leaves_the_hole_to_be_declared_too() -> None:
    receiver = receiver_at(10)
    accepted = receiver.accept([gap_message(Gap("now", 15, 20, "overflow"))])
    assert gaps(accepted) == [Gap("now", 11, 14, "skipped"), Gap("now", 15, 20, "overflow")]


def test_case_3_the_tail_of_a_dead_epoch_is_open_and_says_what_it_holds_at_least() -> None:
    receiver = receiver_at(10)
    receiver.accept([control("heartbeat", Heartbeat("now", 10))])
    receiver.cut()
    receiver.accept([control("hello", Hello("now", head=14))])  # seen, but cut before anything else
    again(receiver, "next")
    accepted = receiver.accept([gap_message(Gap("now", 11, None, "restart")), gap_message(Gap("next", 1, 4, "window"))])
    assert gaps(accepted) == [Gap("now", 11, None, "restart", at_least=14), Gap("next", 1, 4, "window")]
    assert receiver.position == ("next", 4)


def test_case_3_a_restart_that_the_server_does_not_declare_is_declared_all_the_same() -> None:
    receiver = receiver_at(10)
    again(receiver, "next")
    accepted = receiver.accept(events(1))
    assert gaps(accepted) == [Gap("now", 11, None, "restart")]
    assert receiver.position == ("next", 1)


def test_two_restarts_in_a_row_leave_two_open_tails() -> None:
    receiver = receiver_at(10)
    again(receiver, "second")
    first = receiver.accept([gap_message(Gap("now", 11, None, "restart"))])
    again(receiver, "third")
    second = receiver.accept([gap_message(Gap("second", 1, None, "restart"))])
    assert gaps(first + second) == [Gap("now", 11, None, "restart"), Gap("second", 1, None, "restart")]
    assert receiver.position == ("third", 0)


def test_a_heartbeat_exposes_what_was_lost_at_the_tail() -> None:
    receiver = receiver_at(10)
    assert gaps(receiver.heartbeat(Heartbeat("now", 13))) == [Gap("now", 11, 13, "skipped")]
    assert receiver.heartbeat(Heartbeat("now", 13)) == []


def test_a_heartbeat_of_before_resumed_or_of_another_epoch_says_nothing() -> None:
    receiver = receiver_at(10)
    receiver.cut()
    receiver.hello(Hello("now", head=90))
    assert receiver.heartbeat(Heartbeat("now", 90)) == []
    again(receiver, "now", head=90)
    assert receiver.heartbeat(Heartbeat("other", 90)) == []
    assert receiver.position == ("now", 10)


def batch(covers: tuple[int, int], *carried: int) -> list[RawMessage]:
    return decode_frames([encode_batch([encode(message) for message in events(*carried)], covers)])


def test_filtered_positions_are_neither_lost_nor_missing() -> None:
    receiver = receiver_at(0)
    accepted = receiver.accept(batch((1, 10), 3, 4, 8) + batch((11, 20)))
    assert seqs(accepted) == [3, 4, 8] and gaps(accepted) == []
    assert (receiver.filtered, receiver.received, receiver.position) == (17, 3, ("now", 20))


def test_a_filtered_batch_that_comes_again_counts_only_what_is_new() -> None:
    receiver = receiver_at(0)
    receiver.accept(batch((1, 10), 3))
    assert seqs(receiver.accept(batch((1, 12), 3, 11))) == [11]
    assert (receiver.filtered, receiver.duplicates, receiver.position) == (10, 1, ("now", 12))


def test_a_hole_between_filtered_batches_is_a_gap() -> None:
    receiver = receiver_at(0)
    accepted = receiver.accept(batch((1, 5)) + batch((8, 9), 9))
    assert gaps(accepted) == [Gap("now", 6, 7, "skipped")]


def test_a_message_behind_its_batch_s_range_ends_the_range() -> None:
    receiver = receiver_at(0)
    accepted = receiver.accept([*batch((1, 5), 2), *events(8)])
    assert gaps(accepted) == [Gap("now", 6, 7, "skipped")] and receiver.filtered == 4


def test_control_messages_are_sorted_by_who_acts_on_them() -> None:
    receiver = receiver_at(0)
    run, snapshot = control("run_state", RunState("paused")), control("snapshot", Snapshot(1))
    reply, error = RawMessage("command_result", id="x"), RawMessage("error")
    accepted = receiver.accept([*events(1), run, reply, snapshot, error])
    assert accepted == [*events(1), run, snapshot, error]
    assert receiver.controls == [run, reply, snapshot, error]
    receiver.accept(events(2))
    assert receiver.controls == []


def test_nothing_of_the_stream_counts_before_hello() -> None:
    receiver = receiver_at(10)
    receiver.cut()
    assert receiver.accept([*events(11), gap_message(Gap("now", 11, 20, "slow"))]) == []
    assert receiver.violations == 2 and receiver.position == ("now", 10)


def test_a_second_hello_on_one_connection_changes_nothing() -> None:
    receiver = receiver_at(10)
    receiver.accept([control("hello", Hello("other"))])
    assert receiver.epoch == "now" and receiver.violations == 1


@pytest.mark.parametrize(
    "gap", [Gap("other", 1, 5, "slow"), Gap("now", 11, None, "slow"), Gap(None), Gap("now", 20, 12, "slow")]
)
def test_a_gap_that_makes_no_sense_moves_nothing(gap: Gap) -> None:
    receiver = receiver_at(10)
    assert receiver.accept([gap_message(gap)]) == []
    assert receiver.violations == 1 and receiver.position == ("now", 10)


@pytest.mark.parametrize("type", ["gap", "resumed", "heartbeat", "hello"])
def test_a_control_message_that_cannot_be_read_becomes_an_error_row(type: str) -> None:
    receiver = receiver_at(10)
    accepted = receiver.accept([control(type, {"epoch": 7, "from": "x", "head": []}), *events(11)])
    assert [message.type for message in accepted] == ["error", "event_notification"]


def test_a_client_resumes_from_where_an_earlier_one_had_committed() -> None:
    receiver = StreamReceiver(position=("now", 41))
    assert receiver.resume_request() == Resume("now", 41)
    again(receiver, head=60)
    assert seqs(receiver.accept(events(41, 42))) == [42]
