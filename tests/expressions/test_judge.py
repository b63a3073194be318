"""Many conditions judged together: each is met by the messages that it is met by alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec import UNSET

from degentcivil_nb.expressions.candidates import Rule
from degentcivil_nb.expressions.conditions import compile_condition
from degentcivil_nb.expressions.judge import Judge, Match
from degentcivil_nb.simulation.payloads import StateChange, as_dict

NAMES = (
    *("type", "state", "previous_state", "location", "event_type", "character_id", "code", "message", "data", "mood"),
    *("money", "tick", "time"),
)
TEXTS = ("A", "B", "x", "", "5", "state_change", "character_update", "event_notification", "error", "weather")
VALUES: tuple[Any, ...] = (*TEXTS, None, 3, 2.5, float("nan"), float("inf"), True, 2**70, [1], ["A"], {"a": 1})
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


@pytest.mark.parametrize("seed", range(10))
def test_a_plain_change_of_state_meets_the_conditions_that_the_same_message_as_a_dict_meets(seed: int) -> None:
    dice = random.Random(seed)
    moves = ["entered('A')", "left('B') and money > 2.5", "changed(mood)", "loops(2)", "stuck(3)", "timestamp == 1.0"]
    conditions = [*(condition(dice) for _ in range(20)), *moves]
    plain, whole = judge_of(conditions), judge_of(conditions)
    held = 0
    for tick in range(80):
        if dice.random() < 0.3:
            type, payload = message(dice)
            found, wanted = (one.event(type, payload, tick, 1.0) for one in (plain, whole))
        else:
            befores: list[Any] = ["A", "B", "", UNSET]
            names: list[str | int] = ["a", "b", 5]
            before, location = dice.choice(befores), dice.choice(["A", "x", "", None])
            change = StateChange(dice.choice(names), dice.choice(["A", "B", "x", ""]), location, 1.0, before)
            found = plain.change(change, tick, 1.0, as_dict)
            wanted = whole.event("state_change", as_dict(change), tick, 1.0)
        assert in_order(found) == in_order(wanted), tick
        assert in_order(plain.checkpoint(tick)) == in_order(whole.checkpoint(tick)), tick
        held += len(found)
    assert held > 0


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
