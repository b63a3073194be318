"""Resuming behaves as its model: a history, a connection that is cut anywhere, restarts, filters, and a receiver.

`DC_STREAM_EXAMPLES` sets how many runs of 50 steps are made (promise 3: 20,000).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from itertools import chain

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Raw, Struct

from degentcivil_nb.protocol.control_payloads import Gap, Heartbeat, Hello, Resumed, RunState, Snapshot
from degentcivil_nb.protocol.json_text import decode, encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.protocol.receiver import StreamReceiver, gap_message, plan_resume

EXAMPLES = int(os.environ.get("DC_STREAM_EXAMPLES", "60"))
KINDS = ("state_change", "event_notification", "error")
Frame = list[RawMessage]
Position = tuple[str, int]


def control(type: str, payload: Struct) -> RawMessage:
    return RawMessage(type, Raw(encode(payload)))


class History:
    """Be what a server knows: the kind of each position of its epoch, `None` for one that it had to drop itself."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.kinds: list[str | None] = []
        self.oldest = 1

    @property
    def head(self) -> int:
        return len(self.kinds)


class Connection:
    """Be one connection: the server's cursor, and the frames that are on their way."""

    def __init__(self, hello: Frame) -> None:
        self.on_the_way: deque[Frame] = deque([hello])
        self.cursor: int | None = None
        self.delivered: deque[Frame] = deque(maxlen=3)


class Resuming(RuleBasedStateMachine):
    """Cut, restart, filter and lose at random; nothing may be lost silently, doubled, disordered or made up."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = 1
        self.history = History("epoch-1")
        self.histories = {self.history.epoch: self.history}
        self.connection: Connection | None = None
        self.lost: set[Position] = set()  # what a server declared or a frame took with it: all that a gap may hold
        self.stored: list[Position] = []
        self.missing: set[Position] = set()
        self.open_tails: dict[str, int] = {}
        self.first: dict[str, int] = {}
        self.last: Position | None = None

    @initialize(
        types=st.sampled_from([None, ["error"], ["state_change", "error"]]), history=st.sampled_from([0, 3, 1000])
    )
    def begin(self, types: list[str] | None, history: int) -> None:
        self.types = types
        self.wanted = history
        self.receiver = StreamReceiver(history=history, types=types)

    def wants(self, kind: str | None) -> bool:
        return kind is not None and (self.types is None or kind in self.types)

    # --- the simulation and its server -----------------------------------------------------------------------------

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=8))
    def publish(self, kinds: list[str]) -> None:
        self.history.kinds.extend(kinds)

    @rule(number=st.integers(1, 4))
    def overflow(self, number: int) -> None:
        self.history.kinds.extend([None] * number)

    @rule(number=st.integers(1, 10))
    def evict(self, number: int) -> None:
        self.history.oldest = min(self.history.oldest + number, self.history.head + 1)

    @rule()
    def restart(self) -> None:
        if self.connection is not None:
            self.cut()
        self.epochs += 1
        self.history = History(f"epoch-{self.epochs}")
        self.histories[self.history.epoch] = self.history

    @rule(
        kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=8),
        together=st.booleans(),
        arrive=st.integers(1, 20),
        lose=st.integers(0, 9),
    )
    def read_until(self, kinds: list[str], together: bool, arrive: int, lose: int) -> None:
        """Be an ordinary moment: something is published, sent, and mostly arrives."""
        self.publish(kinds)
        if self.connection is None:
            self.connect()
            self.deliver(1)
        elif not self.is_streaming():
            self.deliver(1)
        self.send(len(kinds) + 2, together)
        if lose == 9:
            self.lose(0)
        self.deliver(arrive)

    @precondition(lambda self: self.connection is None)
    @rule()
    def connect(self) -> None:
        history = self.history
        hello = Hello(history.epoch, head=history.head, oldest=history.oldest)
        self.connection = Connection([control("hello", hello)])

    @precondition(lambda self: self.is_streaming())
    @rule(number=st.integers(1, 12), together=st.booleans())
    def send(self, number: int, together: bool) -> None:
        connection, history = self.connection, self.history
        assert connection is not None and connection.cursor is not None
        if connection.cursor + 1 < history.oldest:
            self.fall_behind()
        start, end = connection.cursor + 1, min(connection.cursor + number, history.head)
        frames: list[Frame] = []
        while start <= end:
            kind = history.kinds[start - 1]
            stop = start
            while stop < end and (history.kinds[stop] is None) == (kind is None):
                stop += 1
            if kind is None:
                frames.append([self.declared(Gap(history.epoch, start, stop, "overflow"))])
            elif self.types is None:
                frames.extend([RawMessage(history.kinds[seq - 1] or "", seq=seq)] for seq in range(start, stop + 1))
            else:
                carried = [seq for seq in range(start, stop + 1) if self.wants(history.kinds[seq - 1])]
                marker = RawMessage("batch", covers=(start, stop))
                frames.append([marker, *(RawMessage(history.kinds[seq - 1] or "", seq=seq) for seq in carried)])
            start = stop + 1
        connection.cursor = max(end, connection.cursor)
        if together and self.types is None and frames:
            frames = [list(chain.from_iterable(frames))]
        connection.on_the_way.extend(frames)

    @precondition(lambda self: self.is_streaming())
    @rule()
    def fall_behind(self) -> None:
        connection, history = self.connection, self.history
        assert connection is not None and connection.cursor is not None
        if connection.cursor < history.head:
            gap = self.declared(Gap(history.epoch, connection.cursor + 1, history.head, "slow"))
            connection.cursor = history.head
            connection.on_the_way.append([gap, control("snapshot", Snapshot(history.head))])

    @precondition(lambda self: self.is_streaming())
    @rule()
    def heartbeat(self) -> None:
        assert self.connection is not None
        beat = Heartbeat(self.history.epoch, self.connection.cursor)
        self.connection.on_the_way.append([control("heartbeat", beat)])

    @precondition(lambda self: self.is_streaming())
    @rule()
    def change_run_state(self) -> None:
        assert self.connection is not None
        self.connection.on_the_way.append([control("run_state", RunState("paused"))])

    # --- the network ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.connection is not None)
    @rule()
    def cut(self) -> None:
        self.connection = None
        self.receiver.cut()

    @precondition(lambda self: self.connection is not None and self.connection.on_the_way)
    @rule(number=st.integers(1, 20))
    def deliver(self, number: int) -> None:
        connection = self.connection
        assert connection is not None
        together: Frame = []
        for _ in range(min(number, len(connection.on_the_way))):
            frame = connection.on_the_way.popleft()
            connection.delivered.append(frame)
            together.extend(frame)
        self.take(together)
        if connection.cursor is None:
            self.answer(connection)

    @precondition(lambda self: self.connection is not None and self.connection.cursor is not None)
    @rule(which=st.integers(0, 2))
    def repeat(self, which: int) -> None:
        assert self.connection is not None
        frames = [frame for frame in self.connection.delivered if frame[0].seq is not None]
        if frames:
            self.take(frames[which % len(frames)])

    @precondition(lambda self: self.connection is not None and self.connection.on_the_way)
    @rule(which=st.integers(0, 5))
    def lose(self, which: int) -> None:
        """Lose a frame of stream messages: TCP never does that, a server's bug may."""
        assert self.connection is not None
        frames = self.connection.on_the_way
        which %= len(frames)
        frame = frames[which]
        if any(message.seq is None and message.type != "batch" for message in frame):
            return
        del frames[which]
        for message in frame:
            first, last = message.covers or (message.seq or 0, message.seq or 0)
            self.lost.update((self.history.epoch, seq) for seq in range(first, last + 1))

    # --- what must hold ------------------------------------------------------------------------------------------

    def is_streaming(self) -> bool:
        return self.connection is not None and self.connection.cursor is not None

    def declared(self, gap: Gap) -> RawMessage:
        assert gap.epoch is not None and gap.start is not None
        if gap.end is not None:
            self.lost.update((gap.epoch, seq) for seq in range(gap.start, gap.end + 1))
        return gap_message(gap)

    def answer(self, connection: Connection) -> None:
        history, request = self.history, self.receiver.resume_request()
        if request.epoch is None:  # a newcomer: what it wants and the server no longer holds is missing
            self.lost.update((history.epoch, seq) for seq in range(self.first_wanted(history.head), history.oldest))
        plan = plan_resume(epoch=history.epoch, oldest=history.oldest, head=history.head, resume=request)
        connection.cursor = plan.start - 1
        frames = connection.on_the_way
        frames.append([control("resumed", Resumed(history.epoch, history.head, plan.start, plan.recovered))])
        frames.extend([self.declared(gap)] for gap in plan.gaps)
        if plan.snapshot:
            frames.append([control("snapshot", Snapshot(history.head))])

    def first_wanted(self, head: int) -> int:
        return max(1, head - self.wanted + 1)

    def take(self, messages: Iterable[RawMessage]) -> None:
        before = self.receiver.position
        accepted = self.receiver.accept(list(messages))
        after = self.receiver.position
        if before is None and after is not None:
            resumed = next(message for message in messages if message.type == "resumed")
            self.first[after[0]] = self.first_wanted(decode(Resumed, resumed.data).head)
        for message in accepted:
            if message.type == "gap":
                self.took_gap(decode(Gap, message.data))
            elif message.seq is not None:
                epoch = self.receiver.epoch
                assert epoch is not None
                assert self.last is None or self.last[0] != epoch or self.last[1] < message.seq, "disordered or doubled"
                self.last = (epoch, message.seq)
                self.stored.append(self.last)
                assert self.histories[epoch].kinds[message.seq - 1] == message.type

    def took_gap(self, gap: Gap) -> None:
        epoch, start = gap.epoch, gap.start
        assert epoch is not None and start is not None
        assert self.last is None or self.last[0] != epoch or self.last[1] < start, "a gap over what was accounted for"
        if gap.end is None:
            assert epoch != self.history.epoch, "an open end of an epoch that lives"
            self.open_tails[epoch] = start
            return
        declared = {(epoch, seq) for seq in range(start, gap.end + 1)}
        assert declared <= self.lost, "a gap that is none"
        self.missing |= declared
        self.last = (epoch, gap.end)

    @invariant()
    def everything_is_accounted_for_once(self) -> None:
        position = self.receiver.position
        if position is None:
            assert not self.stored and not self.missing
            return
        stored = set(self.stored)
        assert len(stored) == len(self.stored) == self.receiver.received
        assert not stored & self.missing
        filtered = 0
        for epoch, history in self.histories.items():
            if epoch == position[0]:
                end = position[1]
            elif epoch in self.open_tails:
                end = self.open_tails[epoch] - 1
            else:
                continue  # never met
            for seq in range(self.first.get(epoch, 1), end + 1):
                if (epoch, seq) not in stored and (epoch, seq) not in self.missing:
                    assert not self.wants(history.kinds[seq - 1]), f"{seq} of {epoch} vanished"
                    filtered += 1
        assert filtered == self.receiver.filtered
        assert len(self.missing) == self.receiver.missing

    def teardown(self) -> None:
        """Let everything through in the end: then nothing may be open."""
        self.cut()
        self.connect()
        while self.connection is not None and self.connection.on_the_way:
            self.deliver(20)
        self.send(10_000, together=True)
        self.heartbeat()
        while self.connection is not None and self.connection.on_the_way:
            self.deliver(20)
        self.everything_is_accounted_for_once()
        assert self.receiver.position == (self.history.epoch, self.history.head)


TestResuming = Resuming.TestCase
TestResuming.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
