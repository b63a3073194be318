"""A long run of a town in whose last day every kind of fault is planted, with a story whose links are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.packed_messages import pack
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.store.event_store import EventStore
from tests.support.planted_runs import FAULTS, PlantedTown

RUMOUR: Final = "They say that the harbour closes"
HEARD: Final = "Bread will be dear on Monday"
CHANGED_BY: Final = {"client": {"id": "1", "name": "Ada"}, "command_id": "set-1"}
PART: Final = 8_000
"""Messages of a list, at most."""
WHEN: Final = {
    **dict.fromkeys(("stuck", "waiting_for_model", "silent", "dear"), 0.45),
    **dict.fromkeys(("loop", "ping_pong", "repeated_prompt"), 0.4),
    **dict.fromkeys(("malformed", "slow_model", "rejected"), 0.35),
    **{"error_burst": 0.42, "new_error": 0.55, "gap": 0.85, "stalled": 0.9},
}
"""Where in the last day a fault begins."""
STORY: Final = 0.7
CHANGE: Final = 0.8


@dataclass
class Truth:
    """What is known of a run by whoever made it."""

    towns: dict[int, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """State and place of everybody, at the end of some ticks."""
    costs: dict[str, float] = field(default_factory=dict)
    """By the day on the calendar."""
    spent: dict[str, float] = field(default_factory=dict)
    """By character."""
    malformed: list[tuple[int, str, str]] = field(default_factory=list)
    """Tick, character and model of each malformed answer."""
    met: set[str] = field(default_factory=set)
    """Who had been in one place with the trader before the trade."""
    chain: tuple[str, ...] = ()
    """The ids from the state back to the rumour."""
    moments: dict[str, float] = field(default_factory=dict)
    """When something happened, in seconds since 1970."""


class PlantedDay(PlantedTown):
    """A town that lives through some days, with every fault planted in the last of them.

    A `changed` one is the same, but that a command changes a character late in the last day, which has a consequence.
    """

    def __init__(
        self, seed: int = 0, *, characters: int = 100, ticks: int = 1_440, days: int = 1, changed: bool = False
    ) -> None:
        super().__init__(seed, characters=characters, ticks=ticks * days, fault=FAULTS)
        self.day = ticks
        self.starts = {fault: self.at(share) for fault, share in WHEN.items()}
        free = [name for name in self.people if name not in (*self.victims.values(), self.partner)]
        self.teller, self.between, self.trader, self.other, self.hearer, self.rich = free[:6]
        self.changed = changed
        self.truth = Truth()
        self.known: dict[str, tuple[str, str]] = {}
        self.watched = (self.at(0.3), self.ticks)

    def at(self, share: float) -> int:
        """Return a tick of the last day."""
        return self.ticks - self.day + int(self.day * share)

    def record(self, path: Path) -> Path:
        """Write the run as a recording."""
        writer, store = SegmentWriter(path, run_id=path.name), EventStore(max_rows=PART)
        try:
            for part in self.parts(PART // 2):
                taken = store.take(part, self.now, self.epoch)
                writer.write([pack([RecordedMessage(part, self.now, self.epoch, taken)])])
                if writer.full:
                    writer.seal()
            writer.close()
        finally:
            writer.abandon()
        return path

    # --- what happens ------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        super()._step()
        for one in self.people.values():
            for _ in range(0 if one.silent else self.rng.choice((0, 1, 1, 1, 1, 1, 1, 1, 2, 2))):
                energy = self.rng.randrange(100)
                followed = self.changed and one.id == self.rich and self.tick > self.at(CHANGE) + 2
                self._tell("character_update", character_id=one.id, energy=energy + 1_000 * followed)
        if self.tick == self.at(STORY):
            self._story()
        if self.changed and self.tick == self.at(CHANGE):
            data = Raw(encode({"character_id": self.rich, "money": 5_000}))
            self._send(RawMessage("character_update", data, self.now, self.seq + 1, self.tick, intervention=CHANGED_BY))
        if self.tick in self.watched:
            self.truth.towns[self.tick] = dict(self.known)

    def _story(self) -> None:
        """Tell how a rumour leads, by two calls, to a state and a trade; and the like without ids."""
        said = f"{RUMOUR} at noon."
        self._linked("chat_message", self.teller, "said-1", receivers=[self.between], content=said)
        self._linked("llm_call", self.between, "call-1", "said-1", **_asked(f"You heard: {said}", self.models[0]))
        self._linked("chat_message", self.between, "said-2", "call-1", receivers=[self.trader], content=said)
        self._linked("llm_call", self.trader, "call-2", "said-2", **_asked(f"You heard: {said}", self.models[0]))
        self._linked("state_change", self.trader, "state-1", "call-2", new_state="TRADE", location="Farm")
        self.truth.chain = ("state-1", "call-2", "said-2", "call-1", "said-1")
        self._tell("chat_message", character_id=self.other, receivers=[self.hearer], content=HEARD)
        self._tell("llm_call", character_id=self.hearer, **_asked(f"{self.other} says: {HEARD}", self.models[0]))
        self._tell("state_change", character_id=self.hearer, new_state="REFLECT", location="Shop")
        self.truth.moments["trade"] = self.now + 0.00005
        self._tell("event_notification", event_type="trade", data={"by": self.trader, "price": 3})

    def _linked(self, type: str, who: str, id: str, cause: str | None = None, **data: Any) -> None:
        self.now += 0.0005
        payload = Raw(encode({"character_id": who, **data}))
        self._send(RawMessage(type, payload, self.now, self.seq + 1, self.tick, event_id=id, cause=cause))
        self._note(type, {"character_id": who, **data})

    # --- what is known of it -----------------------------------------------------------------------------------------

    def _tell(self, type: str, /, **data: Any) -> None:
        super()._tell(type, **data)
        if not self.lost or self.seq > self.lost[-1]:
            self._note(type, data)

    def _note(self, type: str, data: dict[str, Any]) -> None:
        truth = self.truth
        if type == "state_change":
            who, place = data["character_id"], data["location"]
            self.known[who] = (data["new_state"], place)
            if "trade" not in truth.moments:
                mine = self.known.get(self.trader, ("", ""))[1]
                if who == self.trader:
                    truth.met |= {other for other, (_, at) in self.known.items() if at == place}
                elif place == mine:
                    truth.met.add(who)
        elif type == "llm_call":
            day = datetime.fromtimestamp(self.now, UTC).date().isoformat()
            who, cost = data["character_id"], data["cost_usd"]
            truth.costs[day] = truth.costs.get(day, 0.0) + cost
            truth.spent[who] = truth.spent.get(who, 0.0) + cost
            if data["response"][0] != "{":
                truth.malformed.append((self.tick, who, data["model"]))
        if self.tick == self.at(0.5):
            truth.moments.setdefault("noon", self.now)


def _asked(prompt: str, model: str) -> dict[str, Any]:
    answer = {"prompt_type": "PLAN", "prompt": prompt, "response": '{"action": "tell"}', "model": model}
    return {**answer, "latency_s": 0.5, "prompt_tokens": 50, "completion_tokens": 20, "cost_usd": 0.001}
