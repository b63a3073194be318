"""Healthy runs of many kinds, from a seed: whoever waits, sleeps, stays or goes in circles does so by design."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore
from tests.support.planted_runs import START, Held


class Run:
    """A run that is being told."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.tick = self.seq = 0
        self.now = float(START)
        self._messages: list[RawMessage] = []

    def tell(self, type: str, who: str, /, **data: Any) -> None:
        self.seq += 1
        self.now += 0.0001
        payload = {"character_id": who, **data}
        self._messages.append(RawMessage(type, Raw(encode(payload)), self.now, self.seq, self.tick))

    def state(self, who: str, state: str, place: str | None = None) -> None:
        self.tell("state_change", who, new_state=state, **({} if place is None else {"location": place}))

    def call(self, who: str, latency: float) -> None:
        prompt = f"You are {who} at {self.tick}"
        more = {"prompt_type": "PLAN", "response": '{"do": 1}', "model": "m", "prompt_tokens": 200}
        self.tell("llm_call", who, prompt=prompt, latency_s=latency, **more)

    def step(self) -> None:
        self.tick += 1
        self.now += self.rng.uniform(0.8, 1.6)

    def held(self) -> Held:
        store = EventStore()
        for start in range(0, len(self._messages), 2_000):
            store.append(self._messages[start : start + 2_000], self.now, "e")
        return Held(store)


def random_walk(run: Run, characters: int, ticks: int) -> None:
    """Walk on a grid, some seldom and some always; nobody has a state."""
    at = {f"w{number}": [run.rng.randrange(20), run.rng.randrange(20)] for number in range(characters)}
    eager = {who: run.rng.choice((0.02, 0.1, 0.5, 0.9)) for who in at}
    for _ in range(ticks):
        run.step()
        for who, place in at.items():
            if run.tick == 1 or run.rng.random() < eager[who]:
                place[run.rng.randrange(2)] += run.rng.choice((-1, 1))
                run.tell("character_update", who, location=f"({place[0]}, {place[1]})")


def shifts(run: Run, characters: int, ticks: int) -> None:
    """Work by day or by night; sleep for a third of the day, and on free days stay at home for all of it."""
    night = {f"w{number}": run.rng.random() < 0.3 for number in range(characters)}
    late = {who: run.rng.randrange(8) for who in night}
    now: dict[str, str] = {}
    for _ in range(ticks):
        run.step()
        for who, by_night in night.items():
            hour = (run.tick + late[who] + (48 if by_night else 0)) % 96 / 4
            free = (run.tick // 96 + len(who)) % 7 == 0
            state = "SLEEP" if hour < 8 else "HOME" if free or hour >= 17 else "WORK"
            if now.get(who) != state:
                now[who] = state
                run.state(who, state, "Factory" if state == "WORK" else f"home of {who}")


def queue(run: Run, characters: int, ticks: int) -> None:
    """Shop, and wait at one of two counters: some customers take far longer than others."""
    waiting: list[str] = []
    until = {f"c{number}": run.rng.randrange(1, 30) for number in range(characters)}
    counters: list[str | None] = [None, None]
    for _ in range(ticks):
        run.step()
        for place, who in enumerate(counters):
            if who is not None and run.tick >= until[who]:
                run.state(who, "SHOP", "Shop")
                until[who], counters[place] = run.tick + 1 + int(run.rng.expovariate(1 / 30)), None
            if counters[place] is None and waiting:
                next_one = counters[place] = waiting.pop(0)
                until[next_one] = run.tick + 1 + int(run.rng.lognormvariate(0.5, 0.9))
                run.state(next_one, "SERVED", "Counter")
        for who, when in until.items():
            if when == run.tick and who not in waiting and who not in counters:
                waiting.append(who)
                run.state(who, "WAIT", "Counter")


def epidemic(run: Run, characters: int, ticks: int) -> None:
    """Fall ill, recover, and stay immune for a long and varying time."""
    now = {f"p{number}": "SUSCEPTIBLE" for number in range(characters)}
    since = dict.fromkeys(now, 0)
    for who in now:
        run.state(who, "SUSCEPTIBLE")
    for _ in range(ticks):
        run.step()
        ill = sum(state == "INFECTED" for state in now.values())
        for who, state in now.items():
            age = run.tick - since[who]
            chance = 0.002 + 0.3 * ill / characters if state == "SUSCEPTIBLE" else 0.1 if state == "INFECTED" else 0.0
            chance = 0.5 if state == "IMMUNE" and age > 60 * (1 + len(who) % 3) else chance
            if run.rng.random() < chance:
                after = {"SUSCEPTIBLE": "INFECTED", "INFECTED": "IMMUNE", "IMMUNE": "SUSCEPTIBLE"}[state]
                now[who], since[who] = after, run.tick
                run.state(who, after)


def cells(run: Run, characters: int, ticks: int) -> None:
    """Play the game of life: cells rest, and go to and fro, because the rule says so."""
    side = max(3, math.isqrt(characters))
    alive = {(x, y): run.rng.random() < 0.3 for x in range(side) for y in range(side)}
    near = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0)]
    for x, y in alive:
        run.state(f"{x}-{y}", str(int(alive[x, y])))
    for _ in range(ticks):
        run.step()
        before = dict(alive)
        for x, y in alive:
            count = sum(before[(x + dx) % side, (y + dy) % side] for dx, dy in near)
            alive[x, y] = count == 3 or (before[x, y] and count == 2)
            if alive[x, y] != before[x, y]:
                run.state(f"{x}-{y}", str(int(alive[x, y])))


def buses(run: Run, characters: int, ticks: int) -> None:
    """Drive a fixed round, among people who walk as they like."""
    for _ in range(ticks):
        run.step()
        for number in range(characters):
            if number < max(1, characters // 8):
                if run.tick % 4 == 0:
                    run.state(f"bus {number}", f"STOP {run.tick // 4 % 4}", f"Stop {run.tick // 4 % 4}")
            elif run.rng.random() < 0.12:
                run.state(f"p{number}", run.rng.choice(("WALK", "EAT", "READ", "TALK")), run.rng.choice("ABCDE"))


def market(run: Run, characters: int, ticks: int) -> None:
    """Trade and talk; nobody has a state, and some say little."""
    eager = {f"t{number}": run.rng.uniform(0.01, 0.4) for number in range(characters)}
    names = list(eager)
    for _ in range(ticks):
        run.step()
        for who, share in eager.items():
            if run.rng.random() < share:
                other = run.rng.choice(names)
                run.tell("chat_message", who, receivers=[other], content=f"{run.rng.random()}")
                if run.rng.random() < 0.3:
                    run.tell("event_notification", who, event_type="trade", data={"price": run.rng.randrange(9)})


def slow_thinkers(run: Run, characters: int, ticks: int) -> None:
    """Ask a model whose answers take between a second and minutes, and do what it says for as long as it says."""
    until = {f"a{number}": 1 for number in range(characters)}
    thinks, since = dict.fromkeys(until, False), dict.fromkeys(until, 0)
    for _ in range(ticks):
        run.step()
        for who, when in until.items():
            if when > run.tick:
                continue
            if thinks[who]:
                run.call(who, (run.tick - since[who]) * 1.2)
                run.state(who, run.rng.choice(("WORK", "MOVE", "REST", "TALK")), run.rng.choice("ABCDE"))
                until[who] = run.tick + 1 + int(run.rng.lognormvariate(2.3, 0.8))
            else:
                run.state(who, "THINK")
                until[who] = run.tick + 1 + int(run.rng.lognormvariate(0.7, 1.0))
                since[who] = run.tick
            thinks[who] = not thinks[who]


def hibernation(run: Run, characters: int, ticks: int) -> None:
    """Forage all summer, and sleep for all winter: each a little earlier or later."""
    asleep = {f"bear {number}": False for number in range(characters)}
    for _ in range(ticks):
        run.step()
        for number, who in enumerate(asleep):
            winter = (run.tick + number * 3 % 25) % 400 > 250
            if winter != asleep[who]:
                asleep[who] = winter
                run.state(who, "HIBERNATE" if winter else "FORAGE", "Cave" if winter else "Wood")
            elif not winter and run.rng.random() < 0.2:
                run.state(who, run.rng.choice(("FORAGE", "EAT", "ROAM")), run.rng.choice(("Wood", "River", "Hill")))


def shopkeepers(run: Run, characters: int, ticks: int) -> None:
    """Some stand in their shops all day, and others go round and come by."""
    for _ in range(ticks):
        run.step()
        for number in range(characters):
            keeper = number % 5 == 0
            who = f"{'keeper' if keeper else 'guest'} {number}"
            if keeper and run.tick % 120 in (1, 90):
                opens = run.tick % 120 == 1
                run.state(who, "SELL" if opens else "REST", f"Shop {number}" if opens else "Home")
            if not keeper and run.rng.random() < 0.08:
                run.state(who, run.rng.choice(("SHOP", "WALK", "SIT")), run.rng.choice(("Shop 0", "Shop 5", "Park")))


HEALTHY: Final[Mapping[str, Callable[[Run, int, int], None]]] = {
    make.__name__: make
    for make in (random_walk, shifts, queue, epidemic, cells, buses, market, slow_thinkers, hibernation, shopkeepers)
}


def healthy(name: str, seed: int, *, characters: int, ticks: int) -> Held:
    """Make the run of this kind."""
    run = Run(seed)
    HEALTHY[name](run, characters, ticks)
    return run.held()
