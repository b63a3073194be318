"""A model that answers at once with the right shape for each prompt type, and wrongly where the run is told to."""

from __future__ import annotations

import itertools
import os
import re
import threading
import time
from types import SimpleNamespace

LATENCY_S = float(os.environ.get("STAND_IN_LATENCY_S", "0.01"))
_numbers = itertools.count(1)
_acts = itertools.count(1)
_turns: dict[str, int] = {}
_lock = threading.Lock()


def _these(name):
    return {int(number) for number in os.environ.get(name, "").split(",") if number}


MALFORMED = _these("STAND_IN_MALFORMED")
"""Numbers of the requests that are answered with text that is no dict."""
WRONG_KEYS = _these("STAND_IN_WRONG_KEYS")
"""Numbers of the requests whose answer lacks its keys."""
FAILING = _these("STAND_IN_FAILING")
"""Numbers of the requests that raise, as after an HTTP error."""
POISON = _these("STAND_IN_POISON")
"""Numbers, among the ACT requests, of those whose answer makes the chain after it fail."""

ACTS = ("Cafe", "Cafe.Ordering", "Park", "Cafe.Ordering", "other")


def answer(messages):
    number = next(_numbers)
    time.sleep(LATENCY_S)  # what a model takes
    if number in FAILING:
        raise RuntimeError("Error code: 429 - rate limit reached")
    prompt = messages[-1]["content"]
    text = _content(prompt, number)
    return SimpleNamespace(
        model="fake-model-1",
        usage=SimpleNamespace(prompt_tokens=len(prompt) // 4, completion_tokens=len(text) // 4),
        cost=0.0001 * (1 + len(prompt) // 400),
        choices=[SimpleNamespace(message=SimpleNamespace(content=text))],
    )


def _content(prompt, number):
    if number in MALFORMED:
        return "I would rather not say it as JSON."
    if number in WRONG_KEYS:
        return repr({"surprise": "no such keys"})
    kinds = re.findall(r"^# ([A-Z_]+) of (.+)$", prompt, re.MULTILINE)
    if not kinds:
        return repr({"think_twice": "done", "content": "Thank you. TERMINATE"})
    kind, name = kinds[-1]
    if kind == "ACT":
        with _lock:
            turn = _turns[name] = _turns.get(name, -1) + 1
        target = ACTS[(turn + sum(map(ord, name))) % len(ACTS)]
        return repr(_act(target))
    return repr(SHAPES[kind])


def _act(target):
    if target == "other":
        return {"action": "CHAT", "act_obj": "Ann Lee", "purpose": "a chat", "emoji": "💬"}
    action = "USE" if "." in target else "MOVE"
    act = {"action": action, "act_obj": target, "purpose": "coffee", "emoji": "☕"}
    if next(_acts) in POISON:
        act["act_obj"] = None
    return act


SHAPES = {
    "PERSPECT": {
        "AnalyseExternalObservations": [
            {
                "perception": {"category": "place", "object": "Cafe", "description": "busy"},
                "word_understanding": "a place to sit",
                "difference_level": 2,
            }
        ],
        "AnalysePlanAction": [],
    },
    "PLAN": {
        "Goal": "a quiet day",
        "GoalRubrics": "calm",
        "CurrentSituation": "awake",
        "Plans": ["rest", "work"],
        "BestPlan": {"GeneralDescription": "rest in the Cafe", "Steps": {"1": "walk", "2": "order"}},
    },
    "SUM": {
        "interaction_summary": "had a coffee",
        "act_obj": "Cafe.Ordering",
        "modified_properties": {"Character": {"satiety": 2}},
    },
    "EMOTION": {"emotions": [{"emotion": "joy", "change": 2, "explanation": "good coffee"}]},
    "ACTREFLECTION": {
        "step_complete": True,
        "entities": ["Cafe"],
        "new_understanding": {"people": {}, "building": {"Cafe": "serves good coffee"}},
    },
    "CHATINIT": {"init_conversation": "Good morning!"},
    "USE": {"think_twice": "polite", "content": "One coffee, please."},
    "INNER_MONOLOGUE": {"monologue_plan": "I look forward to it", "emoji": "🙂"},
}
