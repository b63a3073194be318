"""Commands are executed at most once and answered exactly once, whoever sends them, however often."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from degentcivil_nb.protocol.command_payloads import Command, CommandResult, CommandSpec
from degentcivil_nb.protocol.control_payloads import ClientInfo, RunState
from degentcivil_nb.protocol.errors import WebSocketError
from degentcivil_nb.protocol.json_text import decode, encode
from degentcivil_nb.protocol.messages import RawMessage, WebSocketMessage
from degentcivil_nb.protocol.rate_limits import RateLimiter
from degentcivil_nb.server.dispatch import MAX_DEADLINE_S, Change, Dispatcher
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from degentcivil_nb.server.stream.receipts import Receipt
from tests.support.sizes import examples

EPOCH = "e1"
SPECS = [CommandSpec("inspect", role="viewer"), CommandSpec("pause"), CommandSpec("boom")]


class Peer:
    def __init__(self, role: str = "debugger") -> None:
        self.name = "1 127.0.0.1:1"
        self.role = role
        self.client: ClientInfo | None = None
        self.replies: list[WebSocketMessage] = []

    def reply(self, message: WebSocketMessage) -> None:
        self.replies.append(message)

    def results(self) -> list[CommandResult]:
        assert all(message.type == "command_result" for message in self.replies)
        return [decode(CommandResult, message.data) for message in self.replies]

    def codes(self) -> list[int]:
        return [result.error.code for result in self.results() if result.error is not None]


class Handler:
    """Keep what is submitted until the test answers it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Command, str]] = []
        self.replies: dict[str, Callable[[CommandResult], None]] = {}
        self.withdrawn: list[tuple[str, str]] = []

    def specs(self) -> list[CommandSpec]:
        return SPECS

    def submit(self, id: str, command: Command, role: str, reply: Callable[[CommandResult], None]) -> None:
        if command.name == "boom":
            raise RuntimeError("s3cret")
        self.taken.append((id, command, role))
        self.replies[id] = reply

    def withdraw(self, id: str, reason: str) -> None:
        self.withdrawn.append((id, reason))


def command(id: str | None = "a", name: str = "pause", **more: Any) -> RawMessage:
    return RawMessage("command", Raw(encode({"name": name, "epoch": EPOCH, **more})), id=id)


def make(**settings: Any) -> tuple[Handler, Dispatcher]:
    handler = Handler()
    return handler, Dispatcher(handler, epoch=EPOCH, **settings)


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)  # one turn of the loop, no wait


async def test_a_command_is_answered_after_its_effect_from_any_thread() -> None:
    handler, dispatcher = make()
    peer = Peer()
    dispatcher.handle(peer, command(arguments={"x": 1}, deadline_s=3))
    await turn()
    assert peer.replies == []
    ((id, taken, role),) = handler.taken
    assert (id, taken.arguments, taken.deadline_s, role) == ("a", {"x": 1}, 3.0, "debugger")
    thread = threading.Thread(target=handler.replies["a"], args=(CommandResult(True, {"done": 1}),))
    thread.start()
    await asyncio.to_thread(thread.join)
    await turn()
    assert [(message.id, result.result) for message, result in zip(peer.replies, peer.results(), strict=True)] == [
        ("a", {"done": 1})
    ]


async def test_the_same_id_gets_the_first_answer_and_nothing_is_done_twice() -> None:
    handler, dispatcher = make()
    first, again, late = Peer(), Peer(), Peer()
    dispatcher.handle(first, command(deadline_s=5))
    dispatcher.handle(again, command(deadline_s=2))  # a resend in progress, from the next connection, with less time
    dispatcher.handle(again, command(deadline_s=1))
    handler.replies["a"](CommandResult(True, 1))
    await turn()
    dispatcher.handle(late, command())
    assert [peer.results() for peer in (first, again, late)] == [[CommandResult(True, 1)]] * 3
    assert len(handler.taken) == 1
    assert dispatcher.statistics().duplicates == 3


async def test_an_id_used_for_something_else_is_refused() -> None:
    handler, dispatcher = make()
    peer = Peer()
    dispatcher.handle(peer, command())
    dispatcher.handle(peer, command(arguments={"x": 1}))
    dispatcher.handle(peer, command(name="inspect"))
    assert peer.codes() == [1001, 1001]
    assert len(handler.taken) == 1


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (command(name="nonsense"), 1101),
        (command(name="nonsense" * 10_000), 1101),
        (command(epoch="e0"), 1105),
        (RawMessage("command", Raw(b"[1]"), id="a"), 1001),
        (RawMessage("command", Raw(b'{"name":5}'), id="a"), 1001),
        (command(deadline_s=-1), 1001),
        (command(arguments=[1]), 1001),
        (command(name="boom"), 1004),
    ],
)
async def test_what_cannot_be_done_is_answered_once_and_not_done(sent: RawMessage, code: int) -> None:
    handler, dispatcher = make()
    peer = Peer()
    dispatcher.handle(peer, sent)
    await turn()
    assert peer.codes() == [code]
    assert handler.taken == []
    assert "s3cret" not in peer.replies[0].to_json()
    assert len(peer.replies[0].to_json()) < 1_000


async def test_a_server_without_commands_says_so() -> None:
    peer = Peer()
    Dispatcher(None, epoch=EPOCH).handle(peer, command())
    assert peer.codes() == [1101]


@pytest.mark.parametrize("id", [None, "", "x" * 129])
async def test_a_command_without_an_id_to_answer_to_is_an_error(id: str | None) -> None:
    with pytest.raises(WebSocketError, match="has an id"):
        make()[1].handle(Peer(), command(id))


async def test_a_viewer_tries_every_debugger_command_and_gets_no_one_else_s_answer() -> None:
    handler, dispatcher = make()
    debugger, viewer = Peer(), Peer("viewer")
    dispatcher.handle(debugger, command("secret"))
    handler.replies["secret"](CommandResult(True, "for the debugger only"))
    await turn()
    dispatcher.handle(viewer, command("secret"))  # the id is known from the stream's run_state
    dispatcher.handle(viewer, command("b"))
    dispatcher.handle(viewer, command("c", name="boom"))
    assert viewer.codes() == [1103, 1103, 1103]
    assert [id for id, _, _ in handler.taken] == ["secret"]
    dispatcher.handle(viewer, command("d", name="inspect"))
    assert handler.taken[-1][2] == "viewer"


async def test_a_role_lowered_in_mid_session_holds_for_the_next_command() -> None:
    handler, dispatcher = make()
    peer = Peer()
    dispatcher.handle(peer, command("a"))
    peer.role = "viewer"
    dispatcher.handle(peer, command("b"))
    peer.role = "nobody"
    dispatcher.handle(peer, command("c", name="inspect"))
    assert peer.codes() == [1103, 1103]
    assert len(handler.taken) == 1


@pytest.mark.parametrize("result", [object(), {"x": {1: object()}}, "y" * 2_000_000])
async def test_a_result_that_does_not_fit_is_an_answer_too(result: Any) -> None:
    handler, dispatcher = make()
    peer = Peer()
    dispatcher.handle(peer, command())
    handler.replies["a"](CommandResult(True, result))
    await turn()
    assert peer.codes() == [1004]


async def test_a_handler_that_answers_twice_is_heard_once() -> None:
    handler, dispatcher = make()
    peer = Peer()
    dispatcher.handle(peer, command())
    handler.replies["a"](CommandResult(True, 1))
    handler.replies["a"](CommandResult(True, 2))
    await turn()
    dispatcher.handle(peer, command())
    assert [result.result for result in peer.results()] == [1, 1]


async def test_who_has_left_is_not_answered_and_its_command_is_done_all_the_same() -> None:
    handler, dispatcher = make()
    gone, back = Peer(), Peer()
    dispatcher.handle(gone, command())
    dispatcher.remove_peer(gone)
    dispatcher.handle(back, command())
    handler.replies["a"](CommandResult(True, 1))
    await turn()
    assert (gone.results(), back.results()) == ([], [CommandResult(True, 1)])


async def test_an_id_is_remembered_longer_than_the_longest_deadline_and_not_for_ever() -> None:
    now = [0.0]
    handler, dispatcher = make(clock=lambda: now[0])
    peer = Peer()
    dispatcher.handle(peer, command(deadline_s=1e300))
    assert handler.taken[0][1].deadline_s == MAX_DEADLINE_S
    handler.replies["a"](CommandResult(True))
    await turn()
    now[0] = MAX_DEADLINE_S + 1
    dispatcher.handle(peer, command())
    assert len(handler.taken) == 1
    now[0] = MAX_DEADLINE_S + 61
    dispatcher.handle(peer, command("b"))
    assert dispatcher.statistics().remembered == 1


async def test_an_id_without_a_deadline_is_remembered_until_it_is_answered_and_an_hour_longer() -> None:
    now = [0.0]
    handler, dispatcher = make(clock=lambda: now[0])
    peer = Peer()
    dispatcher.handle(peer, command(deadline_s="none"))
    assert handler.taken[0][1].deadline_s == "none"
    now[0] = 100_000.0
    dispatcher.handle(peer, command("b"))
    dispatcher.handle(peer, command())
    handler.replies["a"](CommandResult(True))
    await turn()
    now[0] += 3_600
    dispatcher.handle(peer, command())
    assert [id for id, _, _ in handler.taken] == ["a", "b"]
    assert dispatcher.statistics().remembered == 2
    now[0] += 61
    dispatcher.handle(peer, command("c"))
    assert dispatcher.statistics().remembered == 2, "a was answered over an hour ago"


async def test_only_who_waits_alone_can_withdraw_a_command() -> None:
    handler, dispatcher = make()
    one, other = Peer(), Peer()
    dispatcher.handle(one, command())
    dispatcher.withdraw(other, "a")
    dispatcher.withdraw(one, "b")
    dispatcher.withdraw(one, None)
    dispatcher.handle(other, command())
    dispatcher.withdraw(one, "a")
    assert handler.withdrawn == []
    dispatcher.remove_peer(other)
    dispatcher.withdraw(one, "a")
    assert [id for id, _ in handler.withdrawn] == ["a"]


async def test_a_command_without_a_deadline_is_withdrawn_when_its_client_stays_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("degentcivil_nb.server.dispatch.ABANDONED_S", 0.01)
    handler, dispatcher = make()
    gone, back = Peer(), Peer()
    for id in ("stays", "comes back", "has a deadline"):
        dispatcher.handle(gone, command(id, deadline_s=5 if id == "has a deadline" else "none"))
    dispatcher.remove_peer(gone)
    dispatcher.handle(back, command("comes back", deadline_s="none"))
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, passed.set)  # after all timers that were set before
    await passed.wait()
    assert [id for id, _ in handler.withdrawn] == ["stays"]


async def test_a_full_memory_refuses_rather_than_forgets_what_may_be_sent_again() -> None:
    now = [0.0]
    handler, dispatcher = make(clock=lambda: now[0], max_remembered=3)
    peer = Peer()
    for id in "abc":
        dispatcher.handle(peer, command(id, deadline_s=10))
        if id != "c":
            handler.replies[id](CommandResult(True, id))
    await turn()
    dispatcher.handle(peer, command("d"))
    assert peer.codes() == [1106]
    dispatcher.handle(peer, command("a"))
    assert len(handler.taken) == 3
    now[0] = 70.0  # past a's and b's last resend; c is not answered yet
    dispatcher.handle(peer, command("d"))
    assert [id for id, _, _ in handler.taken] == ["a", "b", "c", "d"]
    assert dispatcher.statistics().remembered == 2


async def test_large_answers_are_let_go_and_the_command_is_still_not_done_again() -> None:
    handler, dispatcher = make(max_answer_bytes=2_000)
    peer = Peer()
    for id in "abc":
        dispatcher.handle(peer, command(id))
        handler.replies[id](CommandResult(True, "x" * 900))
    await turn()
    assert dispatcher.statistics().answer_bytes <= 2_500
    peer.replies.clear()
    dispatcher.handle(peer, command("a"))
    dispatcher.handle(peer, command("c"))
    assert peer.codes() == [1004]
    assert "not executed again" in str(peer.results()[0].error)
    assert peer.results()[1].ok
    assert len(handler.taken) == 3


async def test_an_answer_after_the_loop_s_end_raises_nothing_in_the_simulation() -> None:
    handler, dispatcher = make()

    def elsewhere() -> None:
        async def ask() -> None:
            dispatcher.handle(Peer(), command())

        asyncio.run(ask())

    await asyncio.to_thread(elsewhere)
    handler.replies["a"](CommandResult(True))


async def test_a_command_over_the_limit_gets_its_command_result_too() -> None:
    handler = Handler()
    server = SimulationWebSocket("127.0.0.1", 0, commands=handler, limiter=RateLimiter(2, 60), heartbeat_s=60)
    await server.start()
    try:
        async with connect(server.url, subprotocols=[Subprotocol("degentcivil.v1")]) as client:
            await client.send(encode(RawMessage("resume", Raw(b"{}"))).decode())
            for id in "ab":
                sent = RawMessage("command", Raw(encode({"name": "inspect"})), id=id)
                await client.send(encode(sent).decode())
            while (heard := WebSocketMessage.from_json(await asyncio.wait_for(client.recv(), 5))).id is None:
                pass
    finally:
        await server.close()
    assert (heard.type, heard.id, [id for id, _, _ in handler.taken]) == ("command_result", "b", ["a"])
    assert heard.data["error"]["code"] == 1003
    assert heard.data["error"]["retryable"]
    assert 0 < heard.data["error"]["details"]["retry_after_s"] <= 60


_STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "answer", "leave"]), st.sampled_from("abc"), st.integers(0, 2)), max_size=40
)


@settings(max_examples=examples(50), deadline=None)
@given(_STEPS)
def test_at_most_once_whatever_happens(steps: list[tuple[str, str, int]]) -> None:
    async def play() -> None:
        handler, dispatcher = make()
        peers = [Peer() for _ in range(3)]
        for step, id, number in steps:
            if step == "send":
                dispatcher.handle(peers[number], command(id))
            elif step == "leave":
                dispatcher.remove_peer(peers[number])
            elif id in handler.replies:
                handler.replies[id](CommandResult(True, f"{id} {len(handler.taken)}"))
            await turn()
        assert all(times == 1 for times in Counter(id for id, _, _ in handler.taken).values())
        answers: dict[str | None, set[bytes]] = {}
        for peer in peers:
            for message in peer.replies:
                answers.setdefault(message.id, set()).add(bytes(message.data))
        assert all(len(different) == 1 for different in answers.values())

    asyncio.run(play())


# --- where the effect is seen ------------------------------------------------------------------------------------


async def test_a_command_that_may_change_something_is_answered_with_the_last_position_at_which_that_is_seen() -> None:
    peer = Peer()
    receipt = Receipt()

    def drain() -> int:
        receipt.seq = 41
        return 42

    handler, dispatcher = make(drain=drain)
    for id in ("look", "state", "change", "own", "failed"):
        dispatcher.handle(peer, command(id, "inspect" if id == "look" else "pause"))
    handler.replies["look"](CommandResult(True, "all there is"))
    handler.replies["state"](CommandResult(True, RunState("paused")))
    handler.replies["change"](CommandResult(True, Change(RunState("running"), receipt)))
    handler.replies["own"](CommandResult(True, 5))
    handler.replies["failed"](CommandResult(False))
    await turn()
    assert peer.results() == [
        CommandResult(True, "all there is"),
        CommandResult(True, {"state": "paused", "head": 42}, head=42),
        CommandResult(True, {"state": "running", "head": 42, "seq": 41}, head=42),
        CommandResult(True, 5, head=42),
        CommandResult(False),
    ]
