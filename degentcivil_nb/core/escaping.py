"""Text that cannot deceive: invisible and bidirectional characters, and formulas, are escaped.

The page does the same in `widgets/static/text.js` and `cells.js`; a test compares both sides.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
"""Without the joiners U+200C and U+200D, which Persian and emoji are written with."""
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_NUMBER: Final = (
    r"[+\-\uff0b\uff0d]? ?(?:[0-9\uff10-\uff19][0-9\uff10-\uff19.,'\u00a0\u202f ]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)? ?%?"
)
_FORMULA: Final = re.compile(
    rf"^[\t\r\n ]*(?!{_NUMBER}[\t\r\n ]*(?![\s\S]))"
    r"[=+@\-\uff1d\uff0b\uff0d\uff20](?![=+@.\-\uff1d\uff0b\uff0d\uff20\t\r\n ]*(?![\s\S]))"
)
"""What a spreadsheet would calculate; numbers and dashes are not. `cells.js` has the same rule for copies."""


def visible(value: Any) -> str:
    """Return a value as one line of text in which control, bidirectional and invisible characters are escaped."""
    return _UNSEEN.sub(_escape, value if isinstance(value, str) else str(value))


def visible_lines(text: str) -> str:
    """Escape text of many lines as `visible` does, except line ends and tabs."""
    return _UNSEEN.sub(lambda match: match[0] if match[0] in "\n\t" else _escape(match), text)


def visible_json(text: str) -> str:
    r"""Replace such characters in JSON text by JSON's own escapes, such as `\u001b`.

    The text keeps its meaning, since these characters occur only inside strings.
    """
    return _UNSEEN.sub(lambda match: json.dumps(match[0])[1:-1], text)


def escape_formula(text: str) -> str:
    """Prefix a text that a spreadsheet would calculate with an apostrophe; return any other unchanged."""
    return f"'{text}" if _FORMULA.search(text) else text


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    short = _SHORT.get(character)
    if short is not None:
        return short
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\u{{{code:x}}}"
