"""Texts of Python literals: what DegentCivil's own server sends is read, and anything else stays text."""

from __future__ import annotations

from typing import Any

import pytest

from degentcivil_nb.core.python_text import LONGEST, readable


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[{'emotion': 'joy', 'change': 2, 'why': 'it\\'s'}]", [{"emotion": "joy", "change": 2, "why": "it's"}]),
        ("[{u'a': None, 'b': True}]", [{"a": None, "b": True}]),
        ("({'model': 'm'}, 0.5)", [{"model": "m"}, 0.5]),
        ("[]", []),
        ('["\\u2602", -3, 1e5]', ["☂", -3, 1e5]),
        ('{"a": [1, 2]}', {"a": [1, 2]}),
    ],
)
def test_lists_dicts_and_tuples_are_read(text: str, value: Any) -> None:
    assert readable(text) == value
    assert readable({"x": text, "y": "plain"}) == {"x": value, "y": "plain"}


@pytest.mark.parametrize(
    "text",
    [
        "hello", "", "[", "[1, 2", "[open('x')]", "[__import__('os')]", "[1j]", "[b'x']", "[{1, 2}]", "[...]", "{1: 2}",
        "(lambda: 1)", "[" * 5_000, "[" * 100 + "]" * 100, "{'a': [" + "1," * LONGEST + "]}", "[9" + "9" * 5_000 + "]",
        "['\\d']", "[x]", "[1 + 1j]", "\x00[1]", "[\ud800]",
    ],
)  # fmt: skip
def test_anything_else_stays_the_text_that_it_is(text: str) -> None:
    assert readable(text) is text


@pytest.mark.parametrize("value", [None, 3, 1.5, ["[1]"], True])
def test_what_is_no_text_stays_as_it_is(value: Any) -> None:
    assert readable(value) is value
