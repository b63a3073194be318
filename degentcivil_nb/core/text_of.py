"""Any Python value as text that UTF-8 can write, whatever its `__str__` does."""

from __future__ import annotations

import re
from typing import Any, Final

_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+(?=>)")


def clean(text: str) -> str:
    """Give text that UTF-8 can write: a surrogate without its other half is written out as its number."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def class_name(kind: type) -> str:
    """Give the name of a class, with its module where it is not one of Python's own."""
    try:
        module = kind.__module__
        name = kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
    except Exception:  # noqa: BLE001 — a metaclass may refuse anything
        return "an object of a class without a name"
    return clean(str(name))


def text_of(value: Any) -> str:
    """Give a value as text, in which no address in memory stands, since that differs from run to run.

    An object that cannot be shown gives a text that says so.
    """
    kind = type(value)
    try:
        methods: tuple[Any, Any] = (kind.__str__, kind.__repr__)
        if methods == (object.__str__, object.__repr__):
            return f"<{class_name(kind)}>"
        text = str.__str__(str(value))
        return clean(_ADDRESS.sub("", text) if " at 0x" in text else text)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 — foreign code, which may raise even SystemExit
        return f"<an object that cannot be shown: {type(error).__qualname__}>"
