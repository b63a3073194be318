"""Many conditions judged together: each is met by the messages that it is met by alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec import UNSET

from degentcivil_nb.core.json_answers import AnswerCounts
from degentcivil_nb.expressions.candidates import Rule
from degentcivil_nb.expressions.conditions import compile_condition
from degentcivil_nb.expressions.detectors import Trail
from degentcivil_nb.expressions.judge import Judge, Match
from degentcivil_nb.protocol.messages import Links
from degentcivil_nb.simulation.payloads import Event, StateChange, as_dict

NAMES = (
    *("type", "state", "previous_state", "location", "event_type", "character_id", "code", "message", "data", "mood"),
    *("money", "tick", "time"),
)
TEXTS = ("A", "B", "x", "", "5", "state_change", "character_update", "event_notification", "error", "weather")
VALUES: tuple[Any, ...] = (
    *TEXTS,
    None,
    3,
    2.5,
    float("nan"),
    float("inf"),
    -float("inf"),
    True,
    2**70,
    [1],
    ["A"],
    {"a": 1},
)
TYPES = ("state_change", "state_change", "character_update", "event_notification", "error", "weather", "measure")
ABSENT = {
    "state_change": ("event_type", "code", "message", "data"),
    "character_update": ("event_type", "code", "message", "data"),
    "error": ("event_type", "data", "previous_state"),
    "event_notification": ("code", "message", "previous_state"),
}


def condition(dice: random.Random, depth: int = 0) -> str:
    """Make a condition out of comparisons, `and`, `or` and `not`."""
    if depth > 3 or dice.random() < 0.4:
        name, text = dice.choice(NAMES), repr(dice.choice(TEXTS))
        if name == "time":
            return dice.choice(["contains(location, 'A')", "startswith(type, 's')", "len(mood) > 0", "exception"])
        if name in ("tick", "code") or (name == "money" and dice.random() < 0.5):
            return f"{name} {dice.choice(['>', '==', '!='])} {dice.choice([0, 3])}"
        return dice.choice(
            [
                *(f"{name} == {text}", f"{name} != {text}", f"{text} == {name}", f"{name} in ['A', 'x']", name),
                *(f"contains({name}, {text})", f"{text} in {name}", f"startswith({name}, {text})"),
                *(f"{name} >= {text}", f"{name} > 2.5", f"3 != {name}", f"2 < {name} <= 3"),
            ]
        )
    one, other = condition(dice, depth + 1), condition(dice, depth + 1)
    return dice.choice([f"({one} and {other})", f"({one} or {other})", f"(not {one})"])


def message(dice: random.Random) -> tuple[str, Any]:
    """Make a message that may say anything."""
    if dice.random() < 0.05:
        return dice.choice(TYPES), dice.choice(VALUES[:-1])
    keys = (
        "new_state",
        "state",
        "location",
        "previous_state",
        "event_type",
        "money",
        "data",
        "code",
        "message",
        "mood",
    )
    payload = {key: dice.choice(VALUES) for key in keys if dice.random() < 0.4}
    if dice.random() < 0.8:
        payload["character_id"] = dice.choice(["a", "b", 5, "x", None])
    return dice.choice(TYPES), payload


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


class Alone:
    """What each name means at a message, written down without any index."""

    def __init__(self) -> None:
        self.states: dict[str, str | None] = {}
        self.money: dict[str, dict[str, Any]] = {}

    def scope(self, type: str, payload: Any, tick: int) -> dict[str, Any]:
        envelope = {"type": type, "tick": tick, "time": 1.0, "payload": payload}
        if not isinstance(payload, dict):
            return envelope
        id = payload.get("character_id")
        name = None if id is None else str(id)
        moves = type in ("state_change", "character_update")
        state = location = None
        known: dict[str, Any] = {}
        before = payload.get("previous_state") if moves else None
        if name is not None:
            known = self.money.setdefault(name, {})
            if moves:
                state = text(payload.get("new_state" if type == "state_change" else "state"))
                location = text(payload.get("location"))
            if state is not None:
                before = self.states.get(name) if before is None else before
                self.states[name] = state
            if type == "character_update":
                known.update({key: payload[key] for key in ("money", "mood") if key in payload})
        scope = {**known, **payload, **envelope, "character_id": name, "state": state, "location": location}
        scope |= {"previous_state": before, "exception": bool(payload.get("traceback")) if type == "error" else None}
        absent = ABSENT.get(type, ("event_type", "code", "message", "data", "previous_state"))
        return {**scope, **dict.fromkeys(absent)}


@pytest.mark.parametrize("seed", range(20))
def test_many_conditions_together_hold_of_the_messages_that_each_holds_of_alone(seed: int) -> None:
    dice = random.Random(seed)
    conditions = [compile_condition(condition(dice)).fresh() for _ in range(30)]
    judge: Judge[str] = Judge(
        [Rule(one, one.text) for one in conditions],
        lambda: (0.0, 0),
        lambda owner, error: pytest.fail(f"{owner}: {error}"),
    )
    alone, held = Alone(), 0
    for tick in range(60):
        type, payload = message(dice)
        found = sorted(match.rule for match in judge.event(type, payload, tick, 1.0))
        scope = alone.scope(type, payload, tick)
        wanted = sorted(one.text for one in conditions if one.test(scope) and not _needs_another_type(one.text, type))
        assert found == wanted, (type, payload)
        held += len(found)
    assert held > 0


def judge_of(conditions: list[str]) -> Judge[str]:
    rules = [Rule(compile_condition(one).fresh(), one) for one in conditions]
    return Judge(rules, lambda: (0.0, 0), lambda owner, error: pytest.fail(f"{owner}: {error}"))


def judged(judge: Judge[str], type: str, data: Any, tick: int, links: Links | None) -> list[Match[str]]:
    """Judge a message as the probe does: closely only if the look at its form says so."""
    looks = judge.looks
    look = {StateChange: looks.change, Event: looks.event, dict: looks.dicts.get(type, looks.others)}.get(
        data.__class__
    )
    if look is not None and not look(type, data, tick, 1.0, links):
        return []
    return judge.event(type, as_dict(data), tick, 1.0, links)


def any_form(dice: random.Random) -> tuple[str, Any, Links | None]:
    """Make a message of any form, with or without links."""
    links = None if dice.random() < 0.7 else Links(dice.choice([None, 2.5]), dice.choice([None, "A"]), "B")
    kind = dice.random()
    if kind < 0.4:
        befores: list[Any] = ["A", "B", "", UNSET]
        names: list[str | int] = ["a", "b", 5]
        before, location = dice.choice(befores), dice.choice(["A", "x", "", None])
        change = StateChange(dice.choice(names), dice.choice(["A", "B", "x", ""]), location, 1.0, before)
        return "state_change", change, links
    if kind < 0.6:
        whose: Any = dice.choice(["a", "b", 5, UNSET])
        return "event_notification", Event(dice.choice(TEXTS), dice.choice(VALUES), 1.0, whose), links
    type, payload = message(dice)
    if isinstance(payload, dict) and dice.random() < 0.2:
        payload |= {"id": "A", "cause": ["A", "B"]}
    return type, payload, links


MOVING = ["entered('A')", "left('B') and money > 2.5"]
LINKED = ["event_id == 'A'", "contains(cause, 'B') and money > 2", "not sim_time and state == 'A'", "sim_time"]
OTHER = ["mood not in ['A', 'x']", "alive != true", "alive == true or money > 2.5", "timestamp == 1.0", "exception"]


@pytest.mark.parametrize(
    "more", [MOVING, LINKED, OTHER, ["changed(mood)", "became(money > 2)"], ["loops(2)", "stuck(3)", "silent(2)"]]
)
@pytest.mark.parametrize("seed", range(8))
def test_a_look_at_a_message_leaves_out_nothing_that_judging_it_finds(seed: int, more: list[str]) -> None:
    dice = random.Random(f"{seed} {more}")
    conditions = [*(condition(dice) for _ in range(dice.choice([0, 2, 20]))), *more]
    quick, close = judge_of(conditions), judge_of(conditions)
    held = 0
    for tick in range(200):
        type, data, links = any_form(dice)
        found, wanted = judged(quick, type, data, tick, links), close.event(type, as_dict(data), tick, 1.0, links)
        assert in_order(found) == in_order(wanted), (tick, data)
        stood = quick.checkpoint(tick)
        assert in_order(stood) == in_order(close.checkpoint(tick)), tick
        assert states(quick) == states(close), (tick, data)
        assert quick.unseen == close.unseen
        held += len(found) + len(stood)
        if tick % 70 == 69:  # breakpoints that are set again keep what is known
            for judge in (quick, close):
                judge.set_rules([Rule(compile_condition(one).fresh(), one) for one in conditions[tick // 70 :]])
    assert held > 0


def states(judge: Judge[str]) -> dict[str, Any]:
    """Return all that is known of the characters, NaN made comparable."""
    slots = [slot for slot in Trail.__slots__ if slot != "known"]
    return {
        name: (*(str(getattr(trail, slot)) for slot in slots), sorted(map(str, trail.known.items())))
        for name, trail in judge._trails.items()
    }


@pytest.mark.parametrize(
    "condition",
    [
        "wealth > 8 and tick > 10",
        "not alive and wealth > 8",
        "wealth > 8 and cause == 'x'",
        "sim_time > 3 and event_id != 'x'",
        "wealth not in ['a'] and mood == 'sad'",
        "exception",
        "type == 'error' and code == 3",
        "entered('BARGAIN')",
    ],
)
def test_a_message_that_meets_no_condition_is_not_judged_at_all(condition: str) -> None:
    """With one such condition each message cost a simulation 3 to 12 µs more."""
    judge = judge_of([condition])
    for name in ("emma", "5"):
        judge.seed(name, "IDLE", "Park", {"wealth": 3, "mood": "calm", "alive": True}, 1)
    looks = judge.looks
    further: dict[str, dict[str, Any]] = {"weather": {}, "character_update": {"wealth": 4}}
    further["state_change"] = {"new_state": "A"}
    for whose in ("emma", 5):
        assert not looks.change("state_change", StateChange(whose, "MOVE", "Cafe", 1.0), 2, 1.0, None)
        assert not looks.event("event_notification", Event("trade", {"price": 3}, 1.0, whose), 2, 1.0, None)
        for type, more in further.items():
            look = looks.dicts.get(type, looks.others)
            assert not look(type, {"character_id": whose, **more}, 2, 1.0, None)
    assert states(judge)["emma"] == states(judge)["5"]


@pytest.mark.parametrize(
    "text",
    [
        *("malformed", "malformed == True", "malformed == False", "malformed or exception", "exception == False"),
        *("malformed or tick > 18", "malformed or code == 1", "not (malformed or exception)", "malformed in [True]"),
        *("exception or type == 'llm_call'", "tick > 3 and (malformed or contains(message, 'x'))"),
    ],
)
def test_a_calculated_value_counts_in_any_part_of_a_condition(text: str) -> None:
    """`malformed` was null wherever a condition was not about calls of models alone."""
    answers, messages = AnswerCounts(), list[tuple[str, Any, Any]]()
    for number in range(20):
        answer = "{}" if number % 5 else "oops"
        call = {"character_id": "a", "prompt_type": "p", "response": answer}
        error = {"character_id": "a", "code": number % 2, "message": "m", **({"traceback": "t"} if number % 3 else {})}
        malformed = answers.is_malformed("p", answer)
        messages += [("llm_call", call, {"malformed": malformed}), ("chat_message", {"character_id": "a"}, {})]
        messages.append(("error", error, {"exception": bool(number % 3)}))
    condition, judge = compile_condition(text), judge_of([text])
    found = [bool(judged(judge, type, data, tick, None)) for tick, (type, data, _) in enumerate(messages)]
    assert any(found)
    assert found == [
        condition.test({**data, "type": type, "tick": tick, **made}) for tick, (type, data, made) in enumerate(messages)
    ]


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("became(money < 0 and state == 'WORK')", [3, 9]),
        ("became(money < 0 and location == 'Home')", [3]),
        ("became(money < 0 or state == 'DEAD')", [3]),
        ("became(money > 3 and state == 'WORK')", [1, 10]),
        ("changed(state) or became(state == 'WORK')", [7, 9]),
        ("became(state == 'REST' and location == 'Home' and money < 0)", [7]),
    ],
)
def test_what_becomes_true_stays_so_at_messages_that_do_not_say_where_a_character_is(
    text: str, hits: list[int]
) -> None:
    judge = judge_of([text])
    work = ("state_change", {"character_id": "a", "new_state": "WORK", "location": "Home"})
    rest = ("state_change", {"character_id": "a", "new_state": "REST", "location": None})
    chat = ("chat_message", {"character_id": "a", "content": "hi"})
    poor = ("character_update", {"character_id": "a", "money": -5})
    other = ("state_change", {"character_id": "b", "new_state": "IDLE", "location": "Park"})
    rich = ("character_update", {"character_id": "a", "money": 5})
    told = [work, rich, chat, poor, other, work, chat, rest, chat, work, rich]
    met = [bool(judge.event(*message, tick, 1.0)) for tick, message in enumerate(told)]
    assert [place for place, is_met in enumerate(met) if is_met] == hits


def in_order(matches: list[Match[str]]) -> list[str]:
    """Make matches comparable, NaN in their scopes included."""
    return sorted(f"{match.rule} {match.character_id} {sorted(match.scope.items(), key=str)}" for match in matches)


def test_an_attribute_that_no_condition_named_for_a_while_is_read_anew() -> None:
    judge = judge_of(["money > 5"])
    judge.event("character_update", {"character_id": "a", "money": 3}, 1, 1.0)
    judge.set_rules([])
    judge.event("character_update", {"character_id": "a", "money": 9}, 2, 1.0)
    judge.set_rules([Rule(compile_condition("money > 5").fresh(), "again")])
    judge.seed("a", "IDLE", None, {"money": 9}, 2)
    assert [match.rule for match in judge.event("state_change", {"character_id": "a", "new_state": "ACT"}, 3, 1.0)] == [
        "again"
    ]


def _needs_another_type(text: str, type: str) -> bool:
    """Say whether it asks for an exception, which only errors have, whatever their payload says."""
    return compile_condition(text).needs.get("type", type) != type
