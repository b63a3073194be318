"""Redaction of secrets: whatever looks like a token is withheld before text is stored, logged or shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

WITHHELD: Final = "(withheld)"

_SUSPECT: Final = ("token", "bearer", "authorization", "secret", "passw", "api")
_NAMES = r"(?:access[_-]?token|auth[_-]?token|api[_-]?key|authorization|password|passwd|secret|token)"
_PATTERNS: Final = (
    re.compile(r"(?i)(\bbearer\s+)[^\s\"',;\\]+"),
    re.compile(r"(?i)(\bauthorization\s*[:=]\s*(?:basic\s+)?)(?!bearer\s)[^\s\"',;\\]+"),
    re.compile(rf'(?i)("{_NAMES}"\s*:\s*")(?:[^"\\]|\\.)*'),
    re.compile(rf'(?i)("{_NAMES}"\s*:\s*)(?!null\b)[^\s",}}\]{{\[]+'),
    re.compile(rf"(?i)('{_NAMES}'\s*:\s*')(?:[^'\\]|\\.)*"),  # the repr of a dict
    re.compile(rf'(?i)(\\+"{_NAMES}\\+"\s*:\s*\\+")[^"\\]*'),  # JSON inside a JSON string
    re.compile(rf"(?i)(\b{_NAMES}=['\"]?)[^\s&'\",;)]+"),
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without bearer credentials, values of keys such as `token`, and the `secrets` themselves."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, WITHHELD)
    lower = text.lower()
    if any(word in lower for word in _SUSPECT):  # most text has no secrets, and the patterns are slow
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\1{WITHHELD}", text)
    return text
