"""Escaping of text: the same in Python, on the page, in JSON lines and in logs."""

from __future__ import annotations

import io
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb
from degentcivil_nb.core import escaping
from degentcivil_nb.core.escaping import escape_formula, visible, visible_json, visible_lines
from degentcivil_nb.core.logs import RedactionFilter

STATIC = Path(degentcivil_nb.__file__).parent / "widgets" / "static"
CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1)]
PLAIN = [
    *[
        "5",
        "-5",
        "+3",
        "- 5",
        "-32601",
        "+1.5e-3%",
        "-5%",
        "-5 %",
        "-.5",
        "-1,234",
        "-1,234.5",
        "-1.234,5",
        "-1'234",
        "-1 234",
    ],
    *[
        "\uff0d5",
        "\uff0b\uff15",
        "-5\n",
        "\t-5",
        "-",
        "--",
        "\u2013",
        "\uff0d\uff0d",
        "...",
        "=",
        "=-",
        "",
        "plain",
        "5-3",
        "a=b",
        "\u22125",
    ],
]
"""What no spreadsheet would calculate: it stays as it is."""
RUN = [
    *[
        "=cmd()",
        " =1+1",
        "\t=1",
        "\r\n=1",
        "\n@sum",
        "@SUM(1)",
        "+A1",
        "-x",
        "-1-1",
        "+1+1",
        "--5",
        "-5\n=1",
        "-2+3+cmd|' /C calc'!A0",
    ],
    *["\uff1d1+1", "\uff0bA1", "\uff0d5+1", "\uff20SUM(1)", "=\uff0b1", "-1 -1"],
]
"""What one would."""
PAGE = """
const changed = { one: [], many: [], cell: [] };
for (let code = 0; code <= 0x10ffff; code += 1) {
  const text = String.fromCodePoint(code);
  if (visible(text) !== text) changed.one.push([code, visible(text)]);
  if (visibleLines(text) !== text) changed.many.push([code, visibleLines(text)]);
  if (FORMULA.test(`${text}A1`)) changed.cell.push(code);
}
changed.texts = TEXTS.map((text) => clipboardText(text, "text"));
changed.numbers = [5, -5, -0.5, 12345678901234567890n, NaN].map((value) => clipboardText(value, "number"));
changed.quoted = clipboardText('"=1+1"', "text");
changed.pattern = FORMULA.source;
console.log(JSON.stringify(changed));
"""


def part(name: str, start: str, end: str) -> str:
    """Give the lines of a script from the one that starts so to the one that ends the part."""
    text = (STATIC / name).read_text(encoding="utf-8")
    return text[text.index(start) : text.index(end, text.index(start))]


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the page's own functions make of every code point."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: apt-get install nodejs")
    script = (
        (STATIC / "text.js").read_text(encoding="utf-8")
        + part("cells.js", "const FORMULA", "\nconst collator")
        + f";\nconst TEXTS = {json.dumps([*PLAIN, *RUN])};"
        + PAGE
    )
    ended = subprocess.run([node, "-"], input=script, capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_the_page_escapes_each_code_point_as_python_does(page: dict[str, Any]) -> None:
    assert page["one"] == [[ord(c), visible(c)] for c in CHARACTERS if visible(c) != c]
    assert page["many"] == [[ord(c), visible_lines(c)] for c in CHARACTERS if visible_lines(c) != c]


def test_the_page_takes_for_a_formula_what_python_does(page: dict[str, Any]) -> None:
    assert page["cell"] == [ord(c) for c in CHARACTERS if escape_formula(f"{c}A1") != f"{c}A1"]
    assert page["pattern"] == escaping._FORMULA.pattern
    assert [escape_formula(text) for text in PLAIN] == PLAIN
    assert [escape_formula(text) for text in RUN] == [f"'{text}" for text in RUN]
    assert page["texts"] == [escape_formula(visible(text)) for text in [*PLAIN, *RUN]]
    assert page["numbers"] == ["5", "-5", "-0.5", "12345678901234567890", ""]


def test_quotation_marks_hide_no_formula_from_the_clipboard(page: dict[str, Any]) -> None:
    assert page["quoted"] == '"""=1+1"""'


def test_json_keeps_its_meaning_and_shows_the_same_characters() -> None:
    for character in CHARACTERS:
        shown = visible_json(character)
        assert (shown != character) == (visible(character) != character)
        if shown != character:
            assert json.loads(f'"{shown}"') == character


def test_a_traceback_in_the_log_keeps_its_lines_and_steers_no_terminal() -> None:
    logger = logging.Logger("plain")
    stream = io.StringIO()
    logger.addHandler(logging.StreamHandler(stream))
    logger.addFilter(RedactionFilter())
    try:
        raise ValueError("red \x1b[31m\u202e")
    except ValueError:
        logger.exception("it failed")
    written = stream.getvalue()
    assert written.splitlines()[-1] == "ValueError: red \\x1b[31m\\u202e"
    assert written.count("\n") >= 4
