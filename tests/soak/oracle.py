"""The oracle: it knows everything that was published, and checks what a client has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from msgspec import Struct

from degentcivil_nb.client.circuit_breaker import Circuit
from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.control_payloads import Gap, Resumed
from degentcivil_nb.protocol.json_text import decode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.server.stream.history import History
from degentcivil_nb.store.event_store import EventStore

TYPES = ("event_notification", "trade", "error_report")


class _Numbered(Struct, gc=False):
    n: int = -1


class _Envelope(Struct, gc=False):
    data: _Numbered


class Witness(History):
    """Be a server's history, and remember of each position for good what was published at it."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.epoch = ""
        self.types: list[str | None] = [None]  # by seq; `None` for what an overflow lost
        self.numbers: list[int] = [-1]
        self.dead = False
        self.next_number = itertools.count()

    def append(self, message: bytes, type: str, character_id: str | None = None) -> int:
        seq = super().append(message, type, character_id)
        self.types.append(type)
        self.numbers.append(decode(_Envelope, message).data.n)
        return seq

    def append_lost(self, epoch: str, count: int, reason: str = "overflow") -> None:
        super().append_lost(epoch, count, reason)
        self.types += [None] * count
        self.numbers += [-1] * count


class FirstResumed:
    """Be a traffic recorder that looks for where a session starts, and then no more."""

    def __init__(self) -> None:
        self.enabled = True
        self.start: int | None = None
        self.epoch: str | None = None

    def record(self, direction: str, frame: bytes | str, peer: str) -> None:
        if direction == "received" and self.enabled:
            message = decode(RawMessage, frame)
            if message.type == "resumed":
                resumed = decode(Resumed, message.data)
                self.enabled, self.start, self.epoch = False, resumed.start, resumed.epoch


@dataclass
class Tally:
    """Hold the figures of one promise."""

    cuts: int = 0
    events: int = 0
    """Published, over all epochs."""
    stored: int = 0
    """Over all clients."""
    filtered: int = 0
    missing: int = 0
    """Positions in gaps with both bounds."""
    lost: int = 0
    duplicated: int = 0
    disordered: int = 0
    changed: int = 0
    """Stored with another type or payload than was published."""
    gaps: int = 0
    false_gaps: int = 0
    recovered_s: list[float] = field(default_factory=list, repr=False)
    more: dict[str, Any] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Take another one's figures on top."""
        for name, value in vars(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        self.recovered_s += other.recovered_s
        for name, value in other.more.items():
            if isinstance(value, dict):
                found = self.more.setdefault(name, {})
                for key, count in value.items():
                    found[key] = found.get(key, 0) + count
            else:
                self.more[name] = self.more[name] + value if name in self.more else value

    @property
    def faults(self) -> int:
        return self.lost + self.duplicated + self.disordered + self.changed + self.false_gaps

    @property
    def beyond(self) -> list[str]:
        """Name the figures that lie above what is allowed of them."""
        allowed = {
            name.removeprefix("allowed_"): more for name, more in self.more.items() if name.startswith("allowed_")
        }
        return [name for name, most in allowed.items() if self.more[name] > most]

    def figures(self) -> dict[str, Any]:
        seconds = np.array(self.recovered_s or [0.0])
        found = {name: value for name, value in vars(self).items() if name not in ("recovered_s", "more")}
        for name, percent in (("p50", 50), ("p99", 99), ("max", 100)):
            found[f"recovered_{name}_s"] = round(float(np.percentile(seconds, percent)), 3)
        return found | self.more


class Account:
    """Be the sink of a session, whoever its client is at the moment: the real store, and a judge of each gap."""

    def __init__(
        self, witnesses: dict[str, Witness], url: str, *, types: Sequence[str] | None = None, **options: Any
    ) -> None:
        self.witnesses = witnesses
        self.store = EventStore(max_rows=50_000_000)
        self.false: list[str] = []
        self.types = None if types is None else frozenset(types)
        self.first = FirstResumed()
        self._options = {"url": url, "types": types, **options}
        self.client = self.make_client(None)

    def make_client(self, position: tuple[str, int] | None) -> SimulationClient:
        """Make the session's next client, which goes on behind a position."""
        options = dict(self._options)
        self.client = SimulationClient(
            options.pop("url"),
            position=position,
            sink=self,
            traffic=self.first,
            delays=hurried,
            circuit=Circuit(failures=1_000_000),  # these cuts come faster than any that it is for
            **options,
        )
        return self.client

    def __call__(self, messages: list[RawMessage], received: float, epoch: str | None) -> None:
        for message in messages:
            if message.type == "gap":
                gap = decode(Gap, message.data)
                reason = self._is_false(gap)
                if reason:
                    self.false.append(f"{gap}: {reason}")
        self.store.append(messages, received, epoch)

    def is_at(self, witness: Witness) -> bool:
        return self.client.state == "live" and self.client.position == (witness.epoch, witness.head)

    def _is_false(self, gap: Gap) -> str | None:
        witness = self.witnesses.get(gap.epoch or "")
        if witness is None or gap.start is None or gap.start < 1:
            return "nobody knows that epoch"
        if gap.end is None:
            if not witness.dead or gap.reason != "restart":
                return "an open end of an epoch that lives"
            return "beyond what was ever heard of" if (gap.at_least or 0) > witness.head else None
        if not gap.start <= gap.end <= witness.head:
            return f"bounds beyond the head {witness.head}"
        overflowed = [kind is None for kind in witness.types[gap.start : gap.end + 1]]
        if gap.reason == "overflow":
            return None if all(overflowed) else "these were not lost"
        if gap.reason == "window":
            return None if gap.end < witness.oldest else f"held: the oldest is {witness.oldest}"
        if gap.reason == "slow":
            return None if gap.start < witness.oldest else f"held: the oldest is {witness.oldest}"
        return "a reason that no server gives"

    def settle(self) -> Tally:
        """Compare what is held with what was published, once everything is there."""
        tally = Tally(false_gaps=len(self.false))
        events = self.store.view()
        epochs = events.frame["epoch"].astype("object").to_numpy()
        seqs = events.frame["seq"].to_numpy(np.int64)
        types = events.frame["type"].astype("object").to_numpy()
        rows = events.frame.index.to_list()
        numbers = [decode(_Numbered, text).n for text in self.store.take_payloads(rows)]
        gaps = self.store.gaps()
        order = list(dict.fromkeys([*epochs, *gaps["epoch"]]))
        known = list(self.witnesses)
        blocks = [epoch for epoch, _ in itertools.groupby(epochs)]
        tally.disordered += len(blocks) != len(set(blocks)) or blocks != sorted(blocks, key=known.index)
        tally.stored, tally.gaps = len(rows), len(gaps)
        for epoch in order:
            self._settle_epoch(
                self.witnesses[epoch],
                epochs == epoch,
                seqs,
                types,
                np.array(numbers),
                gaps[gaps["epoch"] == epoch],
                tally,
            )
        return tally

    def _settle_epoch(
        self, witness: Witness, mine: Any, seqs: Any, types: Any, numbers: Any, gaps: Any, tally: Tally
    ) -> None:
        held = seqs[mine]
        tally.disordered += int((np.diff(held) <= 0).sum())
        expected = np.array(witness.types, object)
        tally.changed += int((expected[held] != types[mine]).sum())
        tally.changed += int((np.array(witness.numbers)[held] != numbers[mine]).sum())
        times = np.zeros(witness.head + 1, np.int64)
        np.add.at(times, held, 1)
        for gap in gaps.itertuples():
            start = int(gap.from_seq)
            known_end = not pd.isna(gap.to_seq)
            end = int(gap.to_seq) if known_end else witness.head
            times[start : end + 1] += 1
            tally.missing += end - start + 1 if known_end else 0
        first = (self.first.start or 1) if witness.epoch == self.first.epoch else 1
        tally.disordered += int(times[:first].sum())  # before the session began
        tally.duplicated += int((times[first:] > 1).sum())
        open_ones = np.flatnonzero(times[first:] == 0) + first
        filtered = [
            seq
            for seq in open_ones
            if self.types is not None and (kind := witness.types[seq]) and kind not in self.types
        ]
        tally.filtered += len(filtered)
        tally.lost += len(open_ones) - len(filtered)


def hurried() -> Iterator[float]:
    """Be a back-off for thousands of cuts: short, and not the same for all."""
    return itertools.cycle((0.01, 0.02, 0.03, 0.05))
