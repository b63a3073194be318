"""The demo town: an ordinary simulation that reports to a probe, as any other would."""

from __future__ import annotations

import json
import threading
from random import Random
from typing import Any

from ..core.names import did_you_mean
from ..simulation.probe import SimulationProbe
from . import town_model
from .town_data import HAPPENINGS, MOODS, MORNING, SIZE, TICKS_A_DAY, Trouble
from .town_like import ModelReply
from .town_lives import live
from .town_model import TownModel
from .town_people import Character, Place, build_places, settle_people

_SETTABLE = {
    "money": (float, -1e9, 1e9),
    "health": (float, 0, 100),
    "energy": (float, 0, 100),
    "age": (int, 0, 150),
    "x": (float, 0, SIZE),
    "y": (float, 0, SIZE),
}
_TEXTS = ("name", "bio", "goal", "job", "mood")
_MEASURE_TICKS = 20
"""How often the town publishes its measures."""
_HAPPENING_ODDS = 1 / 60


class Town:
    """A town of characters, simulated in ticks; the same seed gives the same run.

    Everything is published by `probe`. There may be thousands of `characters`: a tick costs only those that act in it.
    """

    def __init__(self, probe: SimulationProbe, characters: int = 12, seed: int = 0) -> None:
        if characters < 1:
            raise ValueError(f"a town needs at least one character, not {characters}")
        self.probe = probe
        self.tick = 0
        self.rng = Random(seed)
        self.places = build_places(self.rng, characters)
        self.people = {one.id: one for one in settle_people(self.rng, characters, self.places)}
        self._model = TownModel(self.rng)
        self._by_kind: dict[str, list[Place]] = {}
        for place in self.places:
            self._by_kind.setdefault(place.kind.name, []).append(place)
        self._due: dict[int, list[Character]] = {}
        self._last_id = 0
        self._stopping = threading.Event()
        for one in self.people.values():
            one.life = live(self, one)
            self.wake(one, self.rng.randint(1, 12))
        probe.inspector(self.describe)
        probe.attributes(self.set_attribute)
        probe.asker(self.answer)
        probe.command(self.give_money)
        probe.command(self.announce)

    def __repr__(self) -> str:
        return f"<Town of {len(self.people):,} at tick {self.tick}, {self.clock()}>"

    # --- time ----------------------------------------------------------------------------------------------------

    def run(self, ticks: int | None = None) -> None:
        """Run for so many ticks or until `stop`; `announce` is called first."""
        self.probe.checkpoint(self.tick)
        while not self._stopping.is_set() and (ticks is None or self.tick < ticks):
            self.step()
            self.probe.checkpoint(self.tick)

    def stop(self) -> None:
        """End `run` after the current tick."""
        self._stopping.set()

    def step(self) -> None:
        """Simulate one tick."""
        self.tick += 1
        for one in self._due.pop(self.tick, ()):
            if one.wake == self.tick:  # else another character has engaged this one meanwhile
                self.wake(one, next(one.life))
        if self.rng.random() < _HAPPENING_ODDS:
            name, data = self.rng.choice(HAPPENINGS)
            self.probe.event(name, data, id=self.new_id("happening"))
        if self.tick % _MEASURE_TICKS == 0:
            self._measure()
        if self.tick % (TICKS_A_DAY // 2) == 0:
            self._announce_places()  # for new clients with little history

    def _measure(self) -> None:
        """Publish the town's measures: what all own together, and how unequally."""
        owned = sorted(one.money for one in self.people.values())
        total = sum(owned)
        ranked = sum((2 * rank - len(owned) - 1) * money for rank, money in enumerate(owned, start=1))
        self.probe.measure("money", round(total, 2))
        self.probe.measure("gini", round(ranked / (len(owned) * total), 4) if total > 0 else 0.0)

    def wake(self, one: Character, ticks: int) -> None:
        """Let a character continue after so many ticks, replacing its earlier plan."""
        one.wake = self.tick + max(ticks, 1)
        self._due.setdefault(one.wake, []).append(one)

    def hour(self, one: Character | None = None) -> float:
        """Return the hour of the day, 0 to 24, by a character's own rhythm."""
        lag = 0.0 if one is None else one.chronotype
        return (MORNING + self.tick * 24 / TICKS_A_DAY - lag) % 24

    def clock(self) -> str:
        """Return the time of the town as text."""
        minutes = int(self.hour() * 60)
        day = 1 + int(self.tick * 24 / TICKS_A_DAY + MORNING) // 24
        return f"day {day}, {minutes // 60:02}:{minutes % 60:02}"

    # --- publishing ------------------------------------------------------------------------------------------------

    def announce(self) -> None:
        """Publish the places and everything about each character."""
        self._announce_places()
        for one in self.people.values():
            self.probe.character_update(one.id, **one.attributes())
            self.probe.state_change(one.id, one.state, one.place.name if one.place else None)

    def _announce_places(self) -> None:
        self.probe.publish("all_buildings", [place.describe() for place in self.places])

    def enter_state(self, one: Character, state: str, location: str | None = None) -> None:
        """Set a character's state, and publish it."""
        one.state = state
        self.probe.state_change(one.id, state, location or (one.place.name if one.place else None))

    def tell(self, one: Character, *names: str) -> None:
        """Publish some of a character's attributes."""
        self.probe.character_update(one.id, **{name: getattr(one, name) for name in names})

    def new_id(self, kind: str) -> str:
        """Return a new event id, for use as a cause."""
        self._last_id += 1
        return f"{kind}-{self._last_id}"

    # --- used by the lives ---------------------------------------------------------------------------------------

    def pick(self, kind: str) -> Place:
        """Pick a place of that kind."""
        return self.rng.choice(self._by_kind[kind])

    def company(self, one: Character, ready: frozenset[str]) -> Character | None:
        """Find a character in the same place in one of the states `ready`, among a few of those there."""
        visitors = one.place.visitors if one.place else []
        if len(visitors) < 2:
            return None
        for _ in range(min(len(visitors), 5)):
            other = self.rng.choice(visitors)
            if other is not one and other.state in ready:
                return other
        return None

    def engage(self, other: Character, state: str, ticks: int) -> None:
        """Put another character into a state for so many ticks, before it continues its own life."""
        if other.state != state:
            self.enter_state(other, state)
        self.wake(other, ticks)

    def ask(
        self, one: Character, prompt_type: str, request: str, answer: dict[str, Any], cause: str | None = None
    ) -> ModelReply:
        """Make a character's model call; publish the call, and what was wrong with it."""
        place = one.place.name if one.place else "the street"
        prompt = (
            f"You are {one.name}, {one.age}, who {one.bio}. Your goal: {one.goal}. "
            f"It is {self.clock()}, you are at {place}, you feel {one.mood} and own {one.money:.0f} coins. "
            f"You remember: {'; '.join(one.memory) or 'nothing much'}.\n{request}\nAnswer in JSON."
        )
        call = self._model.ask(prompt, answer)
        id = self.new_id("llm")
        self.probe.llm_call(
            one.id,
            prompt_type=prompt_type,
            prompt=prompt,
            response=call.response,
            model=town_model.NAME,
            prompt_tokens=call.prompt_tokens,
            completion_tokens=call.completion_tokens,
            latency_s=call.latency_s,
            cost_usd=call.cost_usd,
            error=call.error,
            id=id,
            cause=cause,
        )
        one.last_call = {"prompt_type": prompt_type, "prompt": prompt, "response": call.response}
        ticks = 1 + int(call.latency_s * 1.5)
        if call.response is None:
            self.probe.error(Trouble.MODEL_TIMED_OUT, f"no answer to {prompt_type} in time", character_id=one.id)
            return ModelReply(None, id, ticks)
        try:
            return ModelReply(json.loads(call.response), id, ticks)
        except ValueError as error:
            message = f"the answer to {prompt_type} is not JSON"
            self.probe.error(Trouble.REPLY_UNREADABLE, message, character_id=one.id, exception=error)
            return ModelReply(None, id, ticks)

    # --- inspection and changes from outside -----------------------------------------------------------------------

    def describe(self, character_id: str) -> dict[str, Any]:
        """Return everything known of a character; `KeyError` if there is none."""
        one = self.people[character_id]
        return {
            "character_id": one.id,
            "state": one.state,
            "location": one.place.name if one.place else None,
            "attributes": one.attributes(),
            "home": one.home.name,
            "workplace": one.workplace.name if one.workplace else None,
            "temper": {"haggling": one.haggling, "artistry": one.artistry, "chronotype_h": one.chronotype},
            "plan": one.plan,
            "works": list(one.works),
            "friends": dict(one.friends),
            "memory": list(one.memory),
            "last_llm_call": one.last_call,
            "next_move_tick": one.wake,
        }

    def answer(self, character_id: str, question: str) -> str:
        """Return what a character says of itself, whatever it is asked; `KeyError` if there is none."""
        one = self.people[character_id]
        where = f"I am at {one.place.name}" if one.place else "I am on my way"
        what = f"{where}, in the state {one.state}."
        last = one.memory[-1] if one.memory else None
        return what if last is None else f"{what} I remember: {last}"

    def set_attribute(self, character_id: str, name: str, value: Any) -> None:
        """Change a character; `KeyError` if there is none, `AttributeError` for an unknown name, else `ValueError`."""
        one = self.people[character_id]
        if name in _SETTABLE:
            number, low, high = _SETTABLE[name]
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise ValueError(f"{name} is a number from {low:g} to {high:g}, not {value!r:.80}")
            value = number(value)
        elif name in _TEXTS:
            if not isinstance(value, str) or (name == "mood" and value not in MOODS):
                raise ValueError(f"{name} is {' or '.join(MOODS) if name == 'mood' else 'text'}, not {value!r:.80}")
        else:
            raise AttributeError(f"there is no {name!r:.80} to set; there are {', '.join([*_SETTABLE, *_TEXTS])}")
        setattr(one, name, value)

    def give_money(self, character_id: str, amount: float) -> dict[str, Any]:
        """Give a character money, or take it with a negative amount."""
        one = self.people.get(character_id)
        if one is None:
            hint = did_you_mean(character_id, self.people)
            raise ValueError(f"there is no character {character_id!r:.80}{hint}")
        one.money = round(one.money + amount, 2)
        self.tell(one, "money")
        return {"character_id": one.id, "money": one.money}
