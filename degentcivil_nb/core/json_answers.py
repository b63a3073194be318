"""Answers of language models: which of them are JSON, and where JSON is usual."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

USUAL: Final = 0.3
"""The share of answers that are JSON from which on it is usual for a kind of prompt."""
USUAL_UNNAMED: Final = 0.9
"""The same for calls that name no kind of prompt, which may be of many kinds."""
LEAST: Final = 2
"""How many answers have to be JSON for it to be usual."""
_FENCE: Final = "```"
_FIRST: Final = "{[`"
"""The characters that JSON, or a fence around it, begins with."""
_decode = msgspec.json.Decoder().decode


def is_json(answer: Any) -> bool:
    """Return whether an answer is an object or a list, as JSON text or as data; a code fence around it is allowed."""
    if isinstance(answer, (dict, list)):
        return True
    if not isinstance(answer, str):
        return False
    first = answer[:1]
    if first not in _FIRST and not first.isspace():  # most answers in plain words, which are not copied
        return False
    text = answer.strip()
    if text.startswith(_FENCE) and text.endswith(_FENCE) and len(text) >= 2 * len(_FENCE):
        # no pattern: one with two runs of white space takes quadratic time for an answer of nothing else
        language, newline, fenced = text[len(_FENCE) : -len(_FENCE)].partition("\n")
        if newline and re.fullmatch("[a-zA-Z]*", language.rstrip()):
            text = fenced.strip()
    if not text.startswith(("{", "[")):
        return False
    try:
        _decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def said_nothing(answer: Any) -> bool:
    """Return whether there is no answer."""
    return answer is None or (isinstance(answer, float) and answer != answer) or answer == ""


def is_usual(prompt_type: Any, answers: int, json: int) -> bool:
    """Return whether JSON is usual for a kind of prompt of which so many of so many answers are JSON."""
    return json >= max(LEAST, (USUAL_UNNAMED if prompt_type is None else USUAL) * answers)


class AnswerCounts:
    """A count of the JSON answers to each kind of prompt so far, to recognise one that should be JSON and is not."""

    def __init__(self) -> None:
        self._counts: dict[Any, list[int]] = {}

    def is_malformed(self, prompt_type: Any, answer: Any) -> bool:
        """Count an answer; return whether it is not JSON although its prompt's usually are. `None` is not malformed."""
        if answer is None or answer == "":
            return False
        count = self._counts.setdefault(str(prompt_type), [0, 0])
        good = is_json(answer)
        count[0] += 1
        count[1] += good
        return not good and is_usual(prompt_type, *count)
