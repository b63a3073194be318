"""Values that arrive as the text of a Python literal, as DegentCivil's own server sends lists."""

from __future__ import annotations

import ast
import re
from typing import Any, Final

LONGEST: Final = 65_536
"""The longest text that is read, in bytes; a longer one stays text."""
_DEEPEST: Final = 50
_BEGINNINGS: Final = ("[", "{", "(")
_ODD_ESCAPE: Final = re.compile(r"""\\(?![\\'"abfnrtv0-7xuUN\n])""")
"""An escape that Python itself does not write, and warns of."""
_UNREADABLE: Final = object()


def readable(value: Any) -> Any:
    """Return a value with the texts of Python lists, dicts and tuples in it replaced by what they say.

    Only literals of JSON kinds are read; anything else stays the text that it is.
    """
    if isinstance(value, dict):
        return {name: readable(item) if isinstance(item, str) else item for name, item in value.items()}
    if not isinstance(value, str) or value[:1] not in _BEGINNINGS or len(value) > LONGEST or _ODD_ESCAPE.search(value):
        return value
    if len(value.encode("utf-8", "surrogatepass")) > LONGEST:
        return value
    try:
        found = _json_kind(ast.literal_eval(value))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return value
    return value if found is _UNREADABLE else found


def _json_kind(value: Any, depth: int = 0) -> Any:
    """Return a literal as JSON would have it, tuples as lists; `_UNREADABLE` for any other kind within it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if depth >= _DEEPEST or not isinstance(value, (list, tuple, dict)):
        return _UNREADABLE
    items = [_json_kind(item, depth + 1) for item in (value.values() if isinstance(value, dict) else value)]
    if any(item is _UNREADABLE for item in items):
        return _UNREADABLE
    if not isinstance(value, dict):
        return items
    if not all(isinstance(name, str) for name in value):
        return _UNREADABLE
    return dict(zip(value, items, strict=True))
