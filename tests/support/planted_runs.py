"""Towns made from a seed, healthy or with one planted fault whose place is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from msgspec import Raw

from degentcivil_nb.analysis.reader import Reader
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore

START: Final = 1_769_860_800  # 2026-01-31 12:00:00 UTC
STATES: Final = ("IDLE", "PLAN", "MOVE", "WORK", "CHAT", "TRADE", "REFLECT")
PLACES: Final = ("Cafe", "Park", "Shop", "Library", "Farm", "Harbour")
DAY: Final = 240
"""Ticks of a day; for a third of it characters sleep."""


class Held(Reader):
    """The questions over a store alone."""

    def __init__(self, store: EventStore) -> None:
        self._store = store


@dataclass
class Person:
    """A character and its habits."""

    id: str
    state: str = "IDLE"
    place: str = "Cafe"
    until: int = 0
    partner: str | None = None
    turns: int = 0
    calls: int = 0
    silent: bool = False
    stuck: bool = False
    cycle: list[str] = field(default_factory=list)


class PlantedTown:
    """A random town: every habit, dwell time, price and failure is drawn from the seed.

    Each fault is planted in its victim (a character, or all calls of `bad_model`) at `planted_at`, a tick after the
    middle.
    """

    def __init__(
        self, seed: int, *, characters: int = 20, ticks: int = 600, fault: str | Iterable[str] | None = None
    ) -> None:
        self.rng = rng = Random(seed)
        self.faults = () if fault is None else (fault,) if isinstance(fault, str) else tuple(fault)
        self.ticks = ticks
        self.people = {f"p{number}": Person(f"p{number}") for number in range(characters)}
        self.planted_at = int(ticks * rng.uniform(0.45, 0.6))
        self.victim = rng.choice(list(self.people))
        self.partner = rng.choice([name for name in self.people if name != self.victim])
        self.ways = {state: ["PLAN", "CHAT", *rng.choices(STATES, k=4)] for state in STATES}
        self.dwell = {state: rng.uniform(2, 12) for state in STATES}
        self.models = [f"model-{rng.randrange(100)}", f"model-{rng.randrange(100, 200)}"]
        self.latency = {model: rng.uniform(0.3, 2.0) for model in self.models}
        self.price = {model: rng.uniform(1e-5, 5e-5) for model in self.models}
        self.malformed = rng.uniform(0.0, 0.04)
        self.rejects = rng.uniform(0.0, 0.04)
        self.error_rate = rng.uniform(0.0, 0.03)
        self.tick = self.seq = 0
        self.messages: list[RawMessage] = []
        self.lost: list[int] = []
        self.time = float(START)
        self.now = self.time
        self.bad_model = rng.choice(self.models)
        self.epoch = "e"
        others = [name for name in self.people if name not in (self.victim, self.partner)]
        self.starts = dict.fromkeys(self.faults, self.planted_at)
        self.victims = dict.fromkeys(self.faults, self.victim)
        if len(self.faults) > 1:
            self.victims = dict(zip(self.faults, rng.sample(others, len(self.faults)), strict=True))

    @property
    def culprit(self) -> str | None:
        """What a finding must be about, where one fault was planted."""
        return self.victims[self.faults[0]] if self.faults[0] in OWNED else None

    def run(self) -> Held:
        """Run the town and return its reader."""
        store = EventStore()
        for part in self.parts():
            store.append(part, self.now, self.epoch)
        return Held(store)

    def parts(self, size: int = 500) -> Iterator[list[RawMessage]]:
        """Run the town, and give its messages in lists of about this size."""
        while self.tick < self.ticks:
            self._step()
            if len(self.messages) >= size or self.tick == self.ticks:
                part, self.messages = self.messages, []
                yield part

    def hits(self, fault: str, who: str | None = None) -> bool:
        """Whether a fault is at work, in this character if it is one of a character."""
        return fault in self.faults and self.tick >= self.starts[fault] and who in (None, self.victims[fault])

    def _tell(self, type: str, /, **data: Any) -> None:
        self.now += self.rng.uniform(0.0001, 0.001)
        self._send(RawMessage(type, Raw(encode(data)), self.now, self.seq + 1, self.tick))

    def _send(self, message: RawMessage) -> None:
        """Send a message; of those that follow the beginning of a gap 60 are lost and declared missing."""
        self.seq += 1
        if self.hits("gap") and len(self.lost) < LOST:
            self.lost.append(self.seq)
            if len(self.lost) == LOST:
                gap = {"epoch": self.epoch, "from": self.lost[0], "to": self.seq, "reason": "slow"}
                self.messages.append(RawMessage("gap", Raw(encode(gap))))
            return
        self.messages.append(message)

    def _step(self) -> None:
        self.tick += 1
        self.time += self.rng.uniform(0.8, 1.6)
        if self.hits("stalled") and self.tick == self.starts["stalled"]:
            self.time += 600
        self.now = max(self.now, self.time)
        if self.tick == 1:
            for one in self.people.values():
                self._tell("character_update", character_id=one.id, name=one.id.title(), money=10)
                self._tell("state_change", character_id=one.id, new_state="IDLE", location="Cafe")
        for one in self.people.values():
            self._live(one)
        self._errors()

    def _live(self, one: Person) -> None:
        awake = one.state != "SLEEP"
        if self.hits("silent", one.id) and awake:
            one.silent = True
        if self.hits("stuck", one.id) and awake and one.state != "PLAN":
            one.stuck = True
        if self.hits("waiting_for_model", one.id) and one.state == "PLAN":  # in PLAN a call is awaited
            one.stuck = True
        if one.silent:
            return
        if self.rng.random() < 0.05:
            self._tell("character_update", character_id=one.id, money=self.rng.randrange(100))
        if self.hits("repeated_prompt", one.id) and self.rng.random() < 0.2:
            self._call(one, prompt="You are in the cafe. What next?")
        if one.stuck or self.tick < one.until:
            return
        if one.partner is not None:
            self._talk(one)
            return
        self._next_state(one)

    def _next_state(self, one: Person) -> None:
        if one.state == "PLAN":
            self._call(one)
        night = self.tick % DAY > DAY * 2 // 3
        if self.hits("loop", one.id):
            one.cycle = one.cycle or [*self.rng.sample(STATES, 3)]
            one.cycle.append(one.cycle.pop(0))
            state = one.cycle[0]
        elif night and self.rng.random() < 0.3 and one.state != "SLEEP":
            state = "SLEEP"
        else:
            state = self.rng.choice([way for way in self.ways.get(one.state, STATES) if way != one.state] or STATES)
        if state == one.state:
            state = "IDLE" if one.state != "IDLE" else "PLAN"
        one.state = state
        if state == "MOVE":
            one.place = self.rng.choice(PLACES)
        length = (
            DAY / 3 * self.rng.uniform(0.7, 1.2) if state == "SLEEP" else self.rng.expovariate(1 / self.dwell[state])
        )
        one.until = self.tick + max(1, round(length))
        self._tell("state_change", character_id=one.id, new_state=state, location=one.place)
        if state == "CHAT":
            self._meet(one)

    def _meet(self, one: Person) -> None:
        ping_pong = self.hits("ping_pong") and one.id in (self.victims["ping_pong"], self.partner)
        free = [other for other in self.people.values() if other.id != one.id and other.partner is None]
        if ping_pong:
            victim = self.victims["ping_pong"]
            other = self.people[self.partner if one.id == victim else victim]
        elif free:
            other = self.rng.choice(free)
        else:
            return
        turns = 10_000 if ping_pong else 2 + int(self.rng.expovariate(1 / 4))
        one.partner, other.partner, one.turns, other.turns = other.id, one.id, turns, turns
        one.until, other.until = self.tick + 1, self.tick + 2

    def _talk(self, one: Person) -> None:
        other = self.people[one.partner or ""]
        self._tell(
            "chat_message", character_id=one.id, receivers=[other.id], content=f"{self.tick} {self.rng.random()}"
        )
        one.turns -= 1
        other.turns -= 1
        one.until = self.tick + 2
        if one.turns <= 0:
            one.partner = other.partner = None

    def _call(self, one: Person, prompt: str | None = None) -> None:
        one.calls += 1
        model = self.rng.choice(self.models)
        bad = model == self.bad_model
        latency = self.latency[model] * self.rng.lognormvariate(0, 0.4)
        if bad and self.hits("slow_model"):
            latency *= 6
        tokens = int(self.rng.lognormvariate(5.5, 0.4))
        if self.hits("dear", one.id):
            tokens *= 40
        wrong = self.rng.random() < (0.5 if bad and self.hits("malformed") else self.malformed)
        rejected = self.rng.random() < (0.5 if bad and self.hits("rejected") else self.rejects)
        self._tell(
            "llm_call",
            character_id=one.id,
            prompt_type="PLAN",
            prompt=prompt or f"You are {one.id} at {self.tick}: {self.rng.random()}",
            response="I would rather not say" if wrong else '{"action": "walk"}',
            model=model,
            latency_s=latency,
            prompt_tokens=tokens,
            completion_tokens=20,
            cost_usd=tokens * self.price[model],
            **({"rejected": "no such place", "retries": 1} if rejected else {}),
        )

    def _errors(self) -> None:
        if self.rng.random() < self.error_rate:
            who = self.rng.choice([one.id for one in self.people.values() if not one.silent])
            self._tell("error", code=self.rng.choice((2001, 2002)), message=f"{who} lost the way", character_id=who)
        if self.hits("error_burst") and self.tick < self.starts["error_burst"] + 15:
            for _ in range(3):
                self._tell("error", code=2001, message="the planner failed", character_id=self.victims["error_burst"])
        if self.hits("new_error") and self.rng.random() < 0.06:
            self._tell("error", code=2077, message=f"budget of {self.rng.randrange(9)} exceeded")


FAULTS: Final = (
    "stuck",
    "loop",
    "ping_pong",
    "silent",
    "waiting_for_model",
    "error_burst",
    "new_error",
    "malformed",
    "slow_model",
    "dear",
    "repeated_prompt",
    "rejected",
    "gap",
    "stalled",
)
"""The kinds of faults that can be planted."""
OWNED: Final = ("stuck", "loop", "silent", "waiting_for_model", "dear", "repeated_prompt")
"""Those of one character."""

LOST: Final = 60
"""Messages of a gap."""


def planted(
    seeds: range, make: Callable[..., PlantedTown] = PlantedTown, **size: int
) -> Iterator[tuple[str, PlantedTown]]:
    """Give a town for each kind of fault and each seed."""
    for seed in seeds:
        for fault in FAULTS:
            yield fault, make(seed, fault=fault, **size)
