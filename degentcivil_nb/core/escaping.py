"""Text that cannot deceive: what is unseen, or turns the reading direction, becomes an escape (as in `panel.js`)."""

from __future__ import annotations

import re
from typing import Any, Final

_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


_NUMBER: Final = r"[+-]?(?:[0-9][0-9.,]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?%?"
_FORMULA: Final = re.compile(
    rf"^[\t\r\n ]*(?!{_NUMBER}[\t\r\n ]*(?![\s\S]))[=+@\-\uff1d\uff0b\uff0d\uff20](?![=+@.\-\t\r\n ]*(?![\s\S]))"
)
"""What a spreadsheet would calculate; a number and a dash are none. `cells.js` has the same rule for copies."""


def escape_formula(text: str) -> str:
    """Give a text that no spreadsheet takes for a formula: one that it would calculate gets an apostrophe in front."""
    return f"'{text}" if _FORMULA.search(text) else text


def visible(value: Any) -> str:
    """Write a value as one line in which control, bidirectional and invisible characters are escapes to be seen."""
    return _UNSEEN.sub(_escape, value if isinstance(value, str) else str(value))


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    short = _SHORT.get(character)
    if short is not None:
        return short
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\u{{{code:x}}}"
