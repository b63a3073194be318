"""Conditions: what they mean, what they refuse, and that a mask over columns says what each row says."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from degentcivil_nb.expressions.columns import Whole, Words
from degentcivil_nb.expressions.conditions import compile_condition, scope_of
from degentcivil_nb.expressions.mistakes import ConditionError
from tests.support.sizes import examples

SCOPE: dict[str, Any] = {
    "character_id": "emma",
    "state": "BARGAIN",
    "previous_state": "TRADE",
    "tick": 12,
    "wealth": 8.5,
    "happy": True,
    "response": "I agree. TERMINATE",
    "data": {"price": 3, "goods": ["bread", "wine"], "buyer": {"name": "ann"}},
    "empty": "",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("wealth >= 8", True),
        ('character_id == "emma" and new_state == "BARGAIN"', True),
        ('contains(response, "TERMINATE")', True),
        ('startswith(lower(response), "i agree")', True),
        ('data["price"] * 2 + 1', 7),
        ('data["goods"][-1]', "wine"),
        ('data["buyer"]["name"]', "ann"),
        ('data["nothing"]["at all"]', None),
        ('data["goods"][7]', None),
        ('"bread" in data["goods"]', True),
        ('"price" in data', True),
        ('state in ("BARGAIN", "TRADE")', True),
        ('state not in ["MOVE"]', True),
        ("0 < tick <= 12 < 13", True),
        ("0 < tick < 12", False),
        ("tick % 5 == 2", True),
        ("tick + 1", 13),
        ("tick / 0", None),
        ("tick % 0", None),
        ("-tick", -12),
        ("len(response)", 18),
        ("len(tick)", None),
        ("abs(-3)", 3),
        ("min(tick, 5, 7.5)", 5),
        ("max(tick, state)", None),
        ("missing", None),
        ("missing == None", False),
        ("missing != 3", False),
        ("missing not in [1]", False),
        ("missing < 3", False),
        ("missing + 3", None),
        ("not missing", True),
        ("happy == True", True),
        ("happy == 1", False),
        ("happy + 1", None),
        ("true and not false and null", False),
        ("empty or tick", True),
        ("state + previous_state", "BARGAINTRADE"),
        ("state * 3", None),
        ("9007199254740993 + 0 == 9007199254740992", False),
        ("9007199254740993 + 0 == 9007199254740993", True),
        ("9007199254740993 * 9007199254740993 % 10", 9),
        ("max(9007199254740993, 9007199254740992.0) == 9007199254740993", True),
        ("1e308 * 10", None),
        ("'a\\'b' == \"a'b\"", True),
    ],
)
def test_a_condition_means_what_it_says(text: str, value: Any) -> None:
    got = compile_condition(text).evaluate(SCOPE)
    assert (type(got), got) == (type(value), value)
    assert compile_condition(text).test(SCOPE.get) is bool(value)


@pytest.mark.parametrize(
    ("text", "caret", "says"),
    [
        ("wealth.real > 3", 0, "dot"),
        ("().__class__", 0, "dot"),
        ("tick > 3 and __import__('os')", 13, "no function"),
        ("tick < '12'", 7, "tick is a number, so it cannot be compared with a text"),
        ("'late' == code", 0, "code is a number"),
        ("5 < tick != '7'", 12, "tick is a number"),
        ("code in [1004, 'late']", 8, "code is a number"),
        ("time >= 'noon'", 8, "write it like '2026-01-31 12:00'"),
        ("wealth == 18446744073709551616", 10, "whole numbers go up to 2 to the power of 63"),
        ("__builtins__ == 1", 0, "underscores"),
        ("eval('1')", 0, "no function eval"),
        ("data['x'](3)", 0, "function's name"),
        ("9 ** 9 ** 9", 0, "operators"),
        ("1 << 40", 0, "operators"),
        ("lambda: 3", 0, "functions"),
        ("[x for x in data]", 0, "ListComp"),
        ("f'{tick}'", 0, "f-strings"),
        ("'a' * 1000000000", 0, "multiplied"),
        ("3 * 'a'", 4, "multiplied"),
        ("'%s' % tick", 0, "formatted"),
        ("tick = 3", 5, "not a condition"),
        ("(x := 3)", 1, "assigned"),
        ("tick if tick else 3", 0, "if and else"),
        ("tick is None", 8, "=="),
        ("b'x' == state", 0, "bytes"),
        ("3j", 0, "complex"),
        ("1e999", 0, "too large"),
        (f"tick == {10**30}", 8, "too large"),
        ("'é' == state and tick >>> 3", 24, "not a condition"),
        ("'éé' == state and nope(3)", 18, "nope"),
        ("  tick.x", 2, "dot"),
        ("len", 0, "function"),
        ("len()", 0, "takes 1"),
        ("lower(text=state)", 6, "named"),
        ("changed(data['x'])", 0, "one name"),
        ("changed(null)", 8, "never changes"),
        ("data[1:2]", 5, "slices"),
        ("{'a': 1}", 0, "objects"),
        ("~tick", 0, "not"),
        ("tick\n> 3", 4, "one line"),
        ("tick >\0 3", 6, "one line"),
    ],
)
def test_what_is_refused_is_pointed_at(text: str, caret: int, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_condition(text)
    message, *shown = str(caught.value).split("\n")
    assert says in message
    assert shown[-1].index("^") == caret + 2


@pytest.mark.parametrize(
    "text", ["", "   ", "(" * 900, "[" * 1900, "not " * 450 + "1", "-" * 1900 + "1", "1" + "+1" * 900, "a" * 2001]
)
def test_hostile_texts_are_mistakes(text: str) -> None:
    with pytest.raises(ValueError):
        compile_condition(text)


def test_the_caret_of_a_long_text_stays_in_sight() -> None:
    with pytest.raises(ValueError) as caught:
        compile_condition("tick > 3 and " * 60 + "nope(1)")
    _, shown, caret = str(caught.value).split("\n")
    assert shown[caret.index("^") :].startswith("nope(1)")
    assert len(shown) < 100


def test_names_are_told() -> None:
    condition = compile_condition('new_state == "A" and changed(mood) and data["x"] > null')
    assert condition.names == {"state", "mood", "data"}


def test_changed_follows_each_character() -> None:
    condition = compile_condition("changed(mood)")

    def say(who: str, mood: Any) -> bool:
        return condition.test({"character_id": who, "mood": mood})

    assert [say("a", "calm"), say("b", "sad"), say("a", "calm"), say("a", None), say("a", "sad"), say("b", "sad")] == [
        False,
        False,
        False,
        False,
        True,
        False,
    ]
    assert condition.fresh().test({"character_id": "a", "mood": "calm"}) is False
    with pytest.raises(ValueError, match="cannot be used here"):
        condition.mask(lambda name: None, 1, lambda row: {})


def test_changed_sees_messages_that_the_rest_of_the_condition_passes_over() -> None:
    condition = compile_condition('type == "x" and changed(n)')
    assert not condition.test({"type": "x", "n": 1})
    assert not condition.test({"type": "y", "n": 2})
    assert not condition.test({"type": "x", "n": 2})


def test_the_scope_of_a_message_is_its_columns_then_its_payload_then_its_character() -> None:
    scope = scope_of({"type": "trade", "code": None}, {"code": 5, "price": 3, "new_state": "A"}, {"mood": "calm"})
    assert [scope(name) for name in ("type", "code", "price", "mood", "state", "nothing")] == [
        "trade",
        None,
        3,
        "calm",
        "A",
        None,
    ]
    assert scope_of({}, {"wealth": 3})("payload") == {"wealth": 3}
    assert scope_of({}, [1, 2])("payload") == [1, 2]
    payload = {"event_type": "trade", "data": {"price": 3}}
    assert scope_of({"type": "event_notification"}, payload)("data") == {"price": 3}
    assert scope_of({"type": "character_update"}, payload)("data") is None, "an attribute that is called so"
    assert scope_of({"type": "event_notification"}, {"wealth": 3})("data") is None
    assert scope_of({}, [1, 2])("data") is None
    assert scope_of({}, [1, 2])("price") is None


def test_what_pandas_and_numpy_hand_over_is_read() -> None:
    scope = {
        "tick": np.int64(3),
        "wealth": np.float64(2.5),
        "time": pd.Timestamp(10, unit="s", tz="UTC"),
        "seq": pd.NA,
        "received": pd.NaT,
        "price": np.nan,
        "goods": ("bread",),
        "flag": np.True_,
        "odd": object(),
    }
    condition = compile_condition('[tick + 1, wealth, time, seq, received, price, "bread" in goods, flag, odd]')
    assert condition.evaluate(scope) == [4, 2.5, 10.0, None, None, None, True, True, None]


# --- masks -----------------------------------------------------------------------------------------------------

STATES = ["MOVE", "TRADE", "BARGAIN", ""]
TYPES = ["event_notification", "chat"]
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.sampled_from(STATES)
PAYLOADS = st.dictionaries(st.sampled_from(["p", "q", "data"]), SCALARS | st.lists(SCALARS, max_size=2), max_size=3)
ROW = st.fixed_dictionaries(
    {
        "tick": st.integers(-4, 4) | st.sampled_from([2**53 + 1, -(2**62)]),
        "seq": st.none() | st.integers(2**53 - 1, 2**53 + 2) | st.integers(1, 4),
        "type": st.sampled_from(TYPES),
        "time": st.none() | st.floats(-10, 10) | st.sampled_from([1e308, 0.1]),
        "state": st.none() | st.sampled_from(STATES),
        "character_id": st.none() | st.sampled_from(["emma", "MOVE"]),
        "payload": PAYLOADS | st.just([1]) | st.none(),
    }
)
NAMES = st.sampled_from(["tick", "seq", "time", "state", "type", "character_id", "p", "q", "data", "payload", "nobody"])
LITERALS = st.sampled_from(["0", "1", "-2", "2.5", "'MOVE'", "''", "True", "None", "9007199254740993", "('MOVE', 1)"])


def _combine(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
    binary = st.builds("({} {} {})".format, inner, st.sampled_from(operators), inner)
    chain = st.builds("({} < {} <= {})".format, inner, inner, inner)
    unary = st.builds("{}({})".format, st.sampled_from(["not ", "-", "abs", "len", "lower"]), inner)
    two = st.builds("{}({}, {})".format, st.sampled_from(["min", "max", "contains", "startswith"]), inner, inner)
    return binary | chain | unary | two | st.builds("{}['MOVE']".format, NAMES)


EXPRESSIONS = st.recursive(NAMES | LITERALS, _combine, max_leaves=8)


@settings(max_examples=examples(600), deadline=None)
@given(EXPRESSIONS, st.lists(ROW, max_size=6))
def test_a_mask_says_what_each_row_says(text: str, rows: list[dict[str, Any]]) -> None:
    try:
        condition = compile_condition(text)
    except ValueError:  # a text repeated by a literal, say
        return
    columns: dict[str, Any] = {
        "tick": np.array([row["tick"] for row in rows], dtype=np.int64),
        "seq": Whole(
            np.array([row["seq"] or 0 for row in rows], dtype=np.int64),
            np.array([row["seq"] is None for row in rows], dtype=bool),
        ),
        "type": Words(np.array([_code(row["type"], TYPES) for row in rows], dtype=np.int8), TYPES),
        "time": np.array([np.nan if row["time"] is None else row["time"] for row in rows], dtype=np.float64),
        "state": Words(np.array([_code(row["state"], STATES) for row in rows], dtype=np.int8), STATES),
        "character_id": Words(
            np.array([_code(row["character_id"], ["emma", "MOVE"]) for row in rows], dtype=np.int32), ["emma", "MOVE"]
        ),
    }
    try:
        mask = condition.mask(columns.get, len(rows), lambda row: rows[row]["payload"])
    except ConditionError:  # a text beside a column of numbers
        return
    scopes = [scope_of({name: row[name] for name in columns}, row["payload"]) for row in rows]
    assert mask.dtype == np.bool_
    assert mask.tolist() == [condition.test(scope) for scope in scopes]


def _code(word: str | None, words: list[str]) -> int:
    return -1 if word is None else words.index(word)


def test_only_rows_that_matter_are_decoded() -> None:
    asked: list[int] = []

    def payload(row: int) -> dict[str, Any]:
        asked.append(row)
        return {"price": row, "goods": "bread"}

    columns: dict[str, Any] = {"type": Words(np.array([0, 1, 0, 1]), ["trade", "move"]), "tick": np.arange(4)}
    condition = compile_condition('price > 0 and type == "trade" and goods == "bread" and tick < 3')
    assert condition.mask(columns.get, 4, payload).tolist() == [False, False, True, False]
    assert asked == [0, 2]


def test_attributes_are_refused_as_of_a_row() -> None:
    condition = compile_condition('type == "trade" and wealth >= 8')
    with pytest.raises(ValueError, match="wealth is an attribute") as caught:
        condition.mask(lambda name: None, 3, lambda row: {}, attributes={"wealth", "mood"})
    assert str(caught.value).split("\n")[-1].index("^") == 2 + 20


def test_a_mask_over_a_million_rows_is_quick() -> None:
    rows = 1_000_000
    columns: dict[str, Any] = {
        "state": Words(np.arange(rows, dtype=np.int32) % 4, STATES),
        "tick": np.arange(rows),
    }
    condition = compile_condition('state in ("MOVE", "TRADE") and tick % 10 == 0')
    started = time.perf_counter()
    mask = condition.mask(columns.get, rows, lambda row: {})
    assert mask.sum() == rows // 20
    assert time.perf_counter() - started < 2


def test_a_condition_is_read_and_evaluated_without_numpy() -> None:
    program = (
        "import sys; sys.modules['numpy'] = None\n"
        "from degentcivil_nb.expressions.conditions import compile_condition\n"
        "sys.exit(not compile_condition('money * 2 > 3 and abs(-x) == 1').test({'money': 2, 'x': 1}))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("entered(3)", 8, "a state"),
        ("left()", 0, "one state"),
        ("stuck('x')", 6, "whole number of ticks"),
        ("loops(0)", 6, "at least 1"),
        ("silent(money)", 7, "whole number"),
        ("stuck(5, who=3)", 13, "character_id="),
        ("stuck(5) and changed(mood)", 0, "two"),
        ("entered('A') and total_cost > 5", 17, "two"),
        ("state == 'A' and lower(3)", 23, "a text"),
        ("len(len(name))", 4, "a number"),
        ("startswith(name, 3)", 17, "a text"),
        ("abs([1])", 4, "a list"),
        ("min('a', 3 > 2)", 9, "a truth value"),
    ],
)
def test_the_arguments_of_functions_are_checked_when_a_condition_is_set(text: str, at: int, says: str) -> None:
    with pytest.raises(ConditionError, match=says) as caught:
        compile_condition(text)
    assert caught.value.at == at
    assert str(caught.value).splitlines()[-1] == " " * (at + 2) + "^"


def test_a_state_is_entered_and_left_once() -> None:
    messages = [
        ("e", "A", None),
        ("e", "A", "A"),
        ("e", "B", "A"),
        ("n", "A", None),
        ("e", "A", None),
        ("e", None, None),
    ]
    scopes = [{"character_id": who, "state": state, "previous_state": before} for who, state, before in messages]
    entered, left = compile_condition("entered('A')").fresh(), compile_condition("left('A')").fresh()
    assert [entered.test(scope) for scope in scopes] == [True, False, False, True, True, False]
    assert [left.test(scope) for scope in scopes] == [False, False, True, False, False, False]


def test_what_follows_a_run_is_refused_over_rows() -> None:
    for text in ("entered('A')", "left('A')", "stuck(3)"):
        with pytest.raises(ValueError, match="matches"):
            compile_condition(text).mask(lambda name: None, 0, lambda row: None)


def test_a_condition_says_what_it_can_be_found_by() -> None:
    assert compile_condition("type == 'a' and 'emma' == character_id and x > 3").needs == {
        "type": "a",
        "character_id": "emma",
    }
    assert compile_condition("character_id == 5 and entered('A')").needs == {"character_id": "5", "state": "A"}
    assert compile_condition("left('A')").needs == {"previous_state": "A"}
    assert compile_condition("type == 'a' or x > 3").needs == {}
    assert compile_condition("not type == 'a'").needs == {}


@pytest.mark.parametrize(
    "moment",
    [pd.Timestamp("2026-01-31 12:00"), pd.Timestamp("2026-01-31 21:00", tz="Asia/Tokyo"),
     np.datetime64("2026-01-31T12:00"), np.datetime64("2026-01-31T12:00", "ns"), 1_769_860_800],
)  # fmt: skip
def test_a_time_is_compared_with_its_text_and_a_naive_one_is_utc(moment: Any) -> None:
    for text in ("time == '2026-01-31 12:00'", "'2026-01-31T13:00+01:00' == time", "time < '2026-01-31 12:00:01'"):
        assert compile_condition(text).test({"time": moment})
    assert not compile_condition("time > '2026-01-31 12:00'").test({"time": moment})


def test_became_is_true_when_a_condition_is_true_of_a_character_and_was_not_before() -> None:
    condition = compile_condition("became(money < 0)").fresh()
    told = [("emma", 3), ("emma", -1), ("emma", -2), ("noah", -5), ("emma", None), ("emma", -3), ("emma", 1)]
    told += [("noah", -6), ("emma", -1), ("noah", 0), ("noah", -1)]
    met = [condition.test({"character_id": whose, "money": money}) for whose, money in told]
    assert [place for place, is_met in enumerate(met) if is_met] == [1, 8, 10]


def test_each_became_of_a_condition_has_a_memory_of_its_own() -> None:
    condition = compile_condition("became(money < 0) and not became(mood == 'sad') or became(not money)").fresh()
    told = [(3, "calm"), (-1, "calm"), (2, "calm"), (-1, "sad"), (0, "sad"), (-1, "sad")]
    met = [condition.test({"character_id": "emma", "money": money, "mood": mood}) for money, mood in told]
    assert met == [False, True, False, False, True, True]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("became()", "takes one condition"),
        ("became(money < 0, 3)", "takes one condition"),
        ("became(true)", "never becomes anything"),
        ("became(changed(mood))", "without another such function"),
        ("became(entered('A'))", "without another such function"),
        ("became(became(money < 0))", "without another such function"),
        ("became(stuck(3))", "without another such function"),
        ("became(total_cost > 5)", "write two conditions"),
    ],
)
def test_a_became_that_cannot_be_answered_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        compile_condition(text)


def test_an_attribute_may_be_called_became() -> None:
    assert compile_condition("became == 3 and not became(became == 4)").fresh().test({"became": 3})
