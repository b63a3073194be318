"""Secrets out of text: whatever looks like a token is withheld before it is kept, logged or shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

WITHHELD: Final = "(withheld)"

_NAMES = r"(?:access[_-]?token|auth[_-]?token|api[_-]?key|authorization|password|passwd|secret|token)"
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s+)[^\s\"',;\\]+")
_JSON = re.compile(rf'(?i)((?:\\*)["\']{_NAMES}(?:\\*)["\']\s*:\s*)((?:\\*)["\'])((?:[^"\'\\]|\\(?!["\']).)*)')
_PAIR = re.compile(rf"(?i)\b({_NAMES}=)(['\"]?)[^\s&'\",;)]+")


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Withhold bearer and basic credentials, values under telling names, and the `secrets` themselves."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, WITHHELD)
    text = _BEARER.sub(rf"\1\2{WITHHELD}", text)
    text = _JSON.sub(rf"\1\2{WITHHELD}", text)
    return _PAIR.sub(rf"\1\2{WITHHELD}", text)
