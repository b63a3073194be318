"""The examples of a document, to be executed as they stand."""

from __future__ import annotations

import re
from typing import Any

from tests.support.paths import ROOT

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples_in(document: str, language: str) -> list[str]:
    """Return the texts of a document's examples in a language, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [code for kind, code in FENCED.findall(text) if kind == language]


def the_example(document: str, language: str, word: str) -> str:
    """Return the one example that has a word."""
    (found,) = [code for code in examples_in(document, language) if word in code]
    return found


def executed(code: str) -> dict[str, Any]:
    """Execute an example as a program, and return its names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, "example", "exec"), names)
    return names
