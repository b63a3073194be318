"""The lives of the characters: each is a generator of the ticks until its next action."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

from .town_data import MOODS, SIGHTS, TITLES, TOPICS, Trouble
from .town_like import TownLike
from .town_people import Character, Place
from .town_trade import barter, buy_food, sell_to_visitor

Life = Iterator[int]
_SPEED: Final = 6.0
"""The distance walked in a tick."""
_APPROACHABLE: Final = frozenset({"IDLE", "USE", "APPRECIATE", "EMOTION", "PERSP"})


def live(town: TownLike, me: Character) -> Life:
    """Sleep at night; by day plan, go somewhere, do something there, and sometimes think about it, forever."""
    while True:
        if _is_night(town, me):
            yield from sleep(town, me)
        kind, cause = yield from plan(town, me)
        yield from go(town, me, _where(town, me, kind))
        yield from ACTIVITIES[kind](town, me, cause)
        if town.rng.random() < 0.3:
            yield from reflect(town, me, cause)
        yield from be(town, me, "IDLE", 4)


def be(town: TownLike, me: Character, state: str, mean: float) -> Life:
    """Stay in a state for so many ticks on average, seldom much longer."""
    town.enter_state(me, state)
    yield _while(town, mean)


def _while(town: TownLike, mean: float) -> int:
    return 1 + int(min(town.rng.expovariate(1 / mean), 4 * mean))


def _is_night(town: TownLike, me: Character) -> bool:
    hour = town.hour(me)
    return hour >= 23.5 or hour < 6 or me.energy < 8


def _where(town: TownLike, me: Character, kind: str) -> Place:
    if kind == "Home":
        return me.home
    if kind == "Work":
        return me.workplace or town.pick("Workshop")
    return town.pick(kind)


def sleep(town: TownLike, me: Character) -> Life:
    """Go home and sleep until the morning."""
    yield from go(town, me, me.home)
    town.enter_state(me, "SLEEPING")
    for _ in range(200):
        yield 8
        me.energy = min(me.energy + 5, 100.0)
        town.tell(me, "energy")
        if not _is_night(town, me) and me.energy > 60:
            break
    me.health = min(me.health + 3, 100.0)
    me.feel(town.rng.choice((-1, 0, 1)))
    town.tell(me, "health", "mood")
    yield from be(town, me, "EMOTION", 2)


def plan(town: TownLike, me: Character) -> Generator[int, None, tuple[str, str]]:
    """Decide what to do next, by the model's advice if it is valid; return the destination and the call's id."""
    town.enter_state(me, "PLAN")
    me.energy = max(me.energy - 3, 0.0)
    wish = _wish(town, me)
    reply = town.ask(
        me,
        "PLAN",
        f"Where do you go next? Choose one of {', '.join(ACTIVITIES)} and say why.",
        {"go_to": wish, "why": town.rng.choice((me.goal, f"because of {town.rng.choice(TOPICS)}", "no reason"))},
    )
    yield reply.ticks
    chosen = reply.answer.get("go_to") if reply.answer else None
    # an invalid reply is ignored, and the choice is random
    kind = chosen if chosen in ACTIVITIES else town.rng.choice(("Home", "Park"))
    me.plan = f"{kind}: {reply.answer.get('why')}" if reply.answer else f"{kind}, for want of a better idea"
    town.probe.thought(me.id, "plan", me.plan, evidence=[reply.id], id=town.new_id("plan"), cause=reply.id)
    return kind, reply.id


def _wish(town: TownLike, me: Character) -> str:
    hour = town.hour(me)
    working = me.workplace is not None and 8 <= hour < 16
    odds = {
        "Work": 6.0 if working else 0.3,
        "Cafe": 2.5 if me.money >= 3 else 0.5,
        "Park": 1.6,
        "Gallery": 1.6 if 10 <= hour < 20 else 0.1,
        "Market": (2.0 + me.haggling * 3) if 7 <= hour < 19 else 0.1,
        "Workshop": me.artistry * 3,
        "Library": 0.7,
        "Home": 3.0 if hour >= 21 or me.energy < 25 else 0.5,
    }
    return town.rng.choices(list(odds), list(odds.values()))[0]


def go(town: TownLike, me: Character, place: Place) -> Life:
    """Walk to a place, step by step."""
    if me.place is place:
        return
    me.leave()
    town.enter_state(me, "MOVE", place.name)
    distance = math.hypot(place.x - me.x, place.y - me.y)
    steps = max(1, round(distance / _SPEED))
    dx, dy = (place.x - me.x) / steps, (place.y - me.y) / steps
    for step in range(steps):
        yield 1
        if town.rng.random() < 0.002:
            town.probe.error(Trouble.PATH_BLOCKED, f"the way to {place.name} is blocked", character_id=me.id)
            yield 5
        me.x, me.y = (place.x, place.y) if step == steps - 1 else (round(me.x + dx, 1), round(me.y + dy, 1))
        if step % 2 == 1 or step == steps - 1:
            town.tell(me, "x", "y")
    me.energy = max(me.energy - 1, 0.0)
    me.enter(place)


# --- activities at a place -----------------------------------------------------------------------------------------


def work(town: TownLike, me: Character, cause: str) -> Life:
    """Work for a wage; without a job, do odd jobs."""
    hours = town.rng.randint(2, 5)
    for _ in range(hours):
        yield from be(town, me, "WORK", 16)
        if town.rng.random() < 0.3:
            yield from be(town, me, "ACT", 3)
    wage = 2.0 * hours if me.job else 1.0 * hours
    me.money = round(me.money + wage, 2)
    me.energy = max(me.energy - 4.0 * hours, 0.0)
    town.tell(me, "money", "energy")
    town.probe.event("wage", {"amount": wage, "job": me.job}, character_id=me.id, id=town.new_id("wage"), cause=cause)


def visit_cafe(town: TownLike, me: Character, cause: str) -> Life:
    """Drink something, and talk to a character who is there."""
    yield from be(town, me, "USE", 4)
    yield from buy_food(town, me, cause)
    yield from chat(town, me, cause)


def chat(town: TownLike, me: Character, cause: str) -> Life:
    """Talk to another character in the same place, in turns, and remember it."""
    other = town.company(me, _APPROACHABLE)
    if other is None:
        yield from be(town, me, "IDLE", 5)
        return
    topic = town.rng.choice(TOPICS)
    town.enter_state(me, "CHATINIT")
    town.engage(other, "RECEIVECHAT", 4)
    yield 2
    id = town.new_id("chat")
    data = {"with": other.id, "topic": topic}
    town.probe.event("chat_started", data, character_id=me.id, id=id, cause=cause)
    town.enter_state(me, "CHATING")
    for turn in range(town.rng.randint(2, 4)):
        speaker, listener = (me, other) if turn % 2 == 0 else (other, me)
        request = f"You talk with {listener.name} about {topic}. What do you say?"
        line = town.rng.choice(("I would not be so sure.", "That is what I said!", "Go on.", "Who told you that?"))
        reply = town.ask(speaker, "CHATING", request, {"say": line, "to": listener.id}, id)
        town.engage(other, "CHATING", reply.ticks + 2)
        yield reply.ticks + 1
        if reply.answer is not None:  # an unreadable answer is not said
            said = str(reply.answer.get("say"))
            town.probe.said(speaker.id, [listener.id], said, channel=topic, id=town.new_id("said"), cause=reply.id)
    warmth = town.rng.choice((-1, -1, 1, 1, 2))
    for one, friend in ((me, other), (other, me)):
        one.friends[friend.id] = one.friends.get(friend.id, 0) + warmth
        one.memory.append(f"talked with {friend.name} about {topic}")
    me.feel(warmth if warmth < 2 else 0)
    town.tell(me, "mood")
    yield from be(town, me, "SUM", 2)
    yield from be(town, me, "EMOTION", 2)


def wonder(town: TownLike, me: Character, cause: str) -> Life:
    """Look around, ask a question, and answer it."""
    sight = town.rng.choice(SIGHTS)
    yield from be(town, me, "PERSP", 6)
    town.enter_state(me, "PERSPQ")
    question = town.ask(
        me, "PERSPQ", f"You see {sight}. What do you ask yourself?", {"question": f"Why {sight}?"}, cause
    )
    yield question.ticks
    town.enter_state(me, "PERSPA")
    thought = {"answer": town.rng.choice(("It was always so.", "Someone must have wanted it.", "I shall ask."))}
    reply = town.ask(me, "PERSPA", "Answer yourself.", thought, question.id)
    yield reply.ticks
    memory = f"saw {sight}"
    me.memory.append(memory)
    town.probe.thought(me.id, "memory", memory, evidence=[question.id, reply.id], id=town.new_id("memory"))
    me.feel(town.rng.choice((0, 1)))
    town.tell(me, "mood")
    yield from chat(town, me, cause)


def make_art(town: TownLike, me: Character, cause: str) -> Life:
    """Begin a work, make it, judge it, and keep it if it is good."""
    yield from be(town, me, "DRAWINIT", 3)
    title = town.rng.choice(TITLES)
    idea = town.ask(me, "DRAW", "What do you make?", {"title": title, "size": town.rng.choice("SML")}, cause)
    town.enter_state(me, "DRAW")
    yield idea.ticks + _while(town, 20)
    town.enter_state(me, "CRITIC")
    score = round(min(max(town.rng.gauss(4 + 3 * me.artistry, 1.5), 0), 10), 1)
    verdict = town.ask(me, "CRITIC", f"Judge {title!r} from 0 to 10.", {"score": score, "keep": score > 4}, idea.id)
    yield verdict.ticks
    kept = verdict.answer is not None and score > 4
    data = {"title": title, "score": score, "kept": kept}
    town.probe.event("artwork", data, character_id=me.id, id=town.new_id("artwork"), cause=verdict.id)
    if kept and len(me.works) < 8:
        me.works.append(title)
    me.feel(1 if kept else -1)
    me.energy = max(me.energy - 6, 0.0)
    town.tell(me, "mood", "energy")
    yield from be(town, me, "SUM", 2)


def visit_gallery(town: TownLike, me: Character, cause: str) -> Life:
    """Look at a work, estimate its price, and try to buy it."""
    yield from be(town, me, "APPRECIATE", 8)
    title = town.rng.choice(TITLES)
    town.enter_state(me, "ESTIMATE")
    worth = round(town.rng.uniform(4, 30), 0)
    arguments, found = {"title": title}, {"usual": worth}
    town.probe.tool_call(me.id, "price_list", arguments, found, latency_s=0.1, id=town.new_id("tool"), cause=cause)
    reply = town.ask(me, "ESTIMATE", f"What is {title!r} worth?", {"title": title, "worth": worth}, cause)
    yield reply.ticks
    if reply.answer is not None and town.rng.random() < 0.5:
        yield from barter(town, me, reply.id)
    else:
        yield from be(town, me, "APPRECIATE", 6)


def visit_market(town: TownLike, me: Character, cause: str) -> Life:
    """Sell own works, haggle, and buy food."""
    if me.works and town.rng.random() < 0.4:
        yield from sell_to_visitor(town, me, cause)
    yield from barter(town, me, cause)
    yield from buy_food(town, me, cause)


def read(town: TownLike, me: Character, cause: str) -> Life:
    """Read, and think about it."""
    yield from be(town, me, "USE", 14)
    yield from reflect(town, me, cause)


def stay_home(town: TownLike, me: Character, cause: str) -> Life:
    """Do chores at home."""
    for state, mean in (("ACT", 5), ("USE", 6), ("IDLE", 8)):
        yield from be(town, me, state, mean)
    me.energy = min(me.energy + 8, 100.0)
    town.tell(me, "energy")


def reflect(town: TownLike, me: Character, cause: str) -> Life:
    """Think about recent actions, and change the mood."""
    town.enter_state(me, "ACTREFLECTION")
    mood = town.rng.choice(MOODS)
    insight = town.rng.choice((f"I should {me.goal}", "less talk, more bread", "it went as it goes"))
    answer: dict[str, Any] = {"insight": insight, "mood": mood}
    reply = town.ask(me, "ACTREFLECTION", f"You planned: {me.plan}. How did it go?", answer, cause)
    yield reply.ticks
    if reply.answer is not None:
        me.memory.append(insight)
        town.probe.thought(me.id, "reflection", insight, evidence=[reply.id], id=town.new_id("insight"), cause=reply.id)
        me.feel(1 if MOODS.index(mood) > MOODS.index(me.mood) else -1)
        town.tell(me, "mood")
    yield from be(town, me, "EMOTION", 2)


ACTIVITIES: Final[dict[str, Callable[[TownLike, Character, str], Life]]] = {
    "Work": work,
    "Cafe": visit_cafe,
    "Park": wonder,
    "Gallery": visit_gallery,
    "Market": visit_market,
    "Workshop": make_art,
    "Library": read,
    "Home": stay_home,
}
