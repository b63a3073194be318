"""Conditions that nobody means well: they are refused when set or judged, and neither escape, hang nor raise."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from degentcivil_nb.expressions.candidates import Rule
from degentcivil_nb.expressions.conditions import compile_condition
from degentcivil_nb.expressions.judge import Judge
from degentcivil_nb.expressions.standing import compile_standing
from degentcivil_nb.protocol.breakpoints import BreakpointSpec
from degentcivil_nb.protocol.control_payloads import ClientInfo
from degentcivil_nb.simulation.breakpoint import Breakpoint
from degentcivil_nb.simulation.log_text import A_SECOND, LogText
from tests.support.clock import Clock
from tests.support.sizes import examples

WORDS = [
    *("money", "state", "new_state", "data", "payload", "type", "tick", "character_id", "previous_state", "gini"),
    *("len", "abs", "min", "max", "lower", "contains", "startswith", "changed", "entered", "left", "silent", "stuck"),
    *("became", "became(money > 0)", "not"),
    *("loops", "total_cost", "total_calls", "exception", "malformed", "and", "or", "not", "in", "is", "lambda", "if"),
    *("__class__", "__import__", "os", "open", "exec", "True", "None", "null", "(", ")", "[", "]", "{", "}", ",", "."),
    *("==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "**", "~", ":=", "'MOVE'", '"a"', "1", "0", "1e308"),
    *("9" * 19, "-1", "0x1f", "1j", "b''", "f''", "…", "\u202e", "\\", "#", ";", "\n", "\x00", "character_id="),
]
TEXTS = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    *("character_id", "new_state", "state", "location", "previous_state", "event_type", "money", "data"),
    *("name", "value", "traceback", "response", "prompt_type", "code"),
)
PAYLOADS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(KEYS, VALUES),
    ),
)
TYPES = st.sampled_from(
    ["state_change", "character_update", "event_notification", "error", "llm_call", "measure", "character_left", "x"]
)
ME = ClientInfo("me")


@settings(deadline=None, max_examples=examples(300))
@given(TEXTS, st.lists(st.tuples(TYPES, PAYLOADS), max_size=4))
def test_whatever_a_condition_says_it_is_refused_or_judged(text: str, messages: list[tuple[str, Any]]) -> None:
    broken: list[Exception] = []
    point = Breakpoint(BreakpointSpec("b", text, log="{" + text + "} is {money}"), ME)
    assert (point.condition is None) == (point.problem is not None)
    if point.condition is None:
        return
    judge: Judge[Breakpoint] = Judge(
        [Rule(point.condition, point, names=frozenset({"money"}))],
        lambda: (0.5, 3),
        lambda _, error: broken.append(error),
    )
    for tick, (type, payload) in enumerate(messages):
        for match in (*judge.event(type, payload, tick, 0.0), *judge.checkpoint(tick)):
            point.take(match, tick)
        judge.values(point.condition, None, tick)
    assert broken == []


@settings(deadline=None, max_examples=examples(200))
@given(TEXTS)
def test_a_mistake_is_a_value_error_that_points_into_the_text(text: str) -> None:
    for compile in (compile_condition, compile_standing):
        try:
            compile(text)
        except ValueError as error:
            assert 0 <= getattr(error, "at", 0) <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 500 + "1" + ")" * 500,
        "not " * 400 + "money",
        "money" + " + 1" * 400,
        "2 ** 1000000000",
        "'a' * 1000000000",
        "[" * 200,
        "x" * 5_000,
        "().__class__.__bases__[0].__subclasses__()",
        "__import__('os').system('true')",
        "data['a'].__init__",
        "(lambda: 1)()",
        "[x for x in data]",
        "exec('1')",
    ],
)
def test_what_would_escape_or_hang_is_refused_when_it_is_set(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_condition(text)


def test_a_log_point_tells_at_most_so_many_texts_a_second_and_says_how_many_it_left_out() -> None:
    clock = Clock(10.0)
    text = LogText("{money}", clock)
    told = [text.text({"money": n}) for n in range(A_SECOND + 30)]
    assert [one for one in told if one is not None] == [str(n) for n in range(A_SECOND)]
    clock.now += 1
    assert text.text({"money": 7}) == "(30 more left out) 7"
    assert len(text.text({"money": "x" * 10_000}) or "") <= 1_000


def test_messages_with_impossible_keys_cost_no_other_breakpoint_its_match(caplog: pytest.LogCaptureFixture) -> None:
    rules = [Rule(compile_condition(text).fresh(), text) for text in ("entered('MOVE')", "gini > 0", "location == 'x'")]
    judge: Judge[str] = Judge(rules, lambda: (0.0, 0), lambda owner, error: pytest.fail(f"{owner}: {error}"))
    with caplog.at_level(logging.WARNING):
        for type in ("state_change", "character_update", "event_notification", "measure"):
            odd: Any = [1]
            payload = {"character_id": odd, "new_state": odd, "state": odd, "location": odd, "previous_state": odd}
            assert judge.event(type, {**payload, "event_type": odd}, 1, 0.0) == []
            assert judge.event(type, {"name": odd, "value": odd}, 1, 0.0) == []
        assert [match.rule for match in judge.event("measure", {"name": "gini", "value": 0.3}, 1, 0.0)] == ["gini > 0"]
    assert caplog.text == ""
