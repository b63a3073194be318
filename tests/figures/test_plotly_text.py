"""Text in figures: what plotly would read as markup, formula or variable comes out as text."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from degentcivil_nb.core.escaping import visible
from degentcivil_nb.figures.plotly_text import CAP, distinct_texts, plotly_text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<b>x</b>", "<b>x</b>"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("$x^2$", "$x^2$"),
        ("&lt;b&gt;", "&lt;b&gt;"),
        ("%{x}", "%{x}"),
        ("a\u202eb\n\x07", "a\\u202eb\\n\\x07"),
        ("\ud800", "\\ud800"),
        ("x" * 100, "x" * CAP + "…"),
        (3, "3"),
        (None, "None"),
        ("__proto__", "__proto__"),
        ("constructor", "constructor"),
        ("constructors", "constructors"),
    ],
)
def test_a_text_is_drawn_as_it_stands(raw: object, shown: str) -> None:
    safe = plotly_text(raw)
    assert not re.search(r"[<>$%]|&(?!amp;|lt;|gt;|#\d+;)", safe)
    assert safe not in ("__proto__", "constructor"), "plotly would take it for a category that it knows"
    assert html.unescape(safe) == shown  # plotly decodes these entities as HTML does


@given(st.text())
def test_nothing_invisible_passes(text: str) -> None:
    assert visible(text).isprintable() or all(c.isprintable() or c.isspace() or ord(c) > 0xFF for c in visible(text))
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x1f]", visible(text))


@given(st.lists(st.text(max_size=6), unique=True))
def test_different_names_never_look_alike(names: list[str]) -> None:
    assert len(set(distinct_texts(names, 3))) == len(names)


def test_names_that_are_cut_to_the_same_are_numbered() -> None:
    assert distinct_texts(["abcd", "abce", "abcf"], 3) == ["abc…", "abc… (2)", "abc… (3)"]
