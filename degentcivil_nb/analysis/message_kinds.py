"""What messages of errors have in common: their text without what varies."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

_VARIES: Final = re.compile(r"0x[0-9a-fA-F]+|\d+|'[^']*'|\"[^\"]*\"")


def message_kind(message: Any, names: Collection[str]) -> str:
    """Return what is left of a message without what varies: numbers, quoted words and the names of characters."""
    text = _VARIES.sub("#", str(message))
    return " ".join("#" if word.strip(".,:;!?()") in names else word for word in text.split())
