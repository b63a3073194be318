"""Conversion of any Python value to text that UTF-8 can encode, whatever the value's `__str__` does."""

from __future__ import annotations

import re
from typing import Any, Final

_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+(?=>)")


def clean(text: str) -> str:
    """Return text that UTF-8 can encode: lone surrogates are replaced by their escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def class_name(kind: type) -> str:
    """Return the name of a class, with its module unless it is built in."""
    try:
        module = kind.__module__
        name = kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
    except Exception:  # noqa: BLE001 — a metaclass may refuse anything
        return "an object of a class without a name"
    return clean(str(name))


def text_of(value: Any) -> str:
    """Return a value as text without memory addresses, which differ from run to run.

    For an object whose `__str__` fails, the text states that.
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


def has_own_text(kind: type) -> bool:
    """Return whether a class has its own text for its objects, so that their texts distinguish them."""
    return any("__str__" in vars(base) or "__repr__" in vars(base) for base in kind.__mro__ if base is not object)
