"""Plain data cut to a number of bytes of JSON: long values are cut, short ones stay whole."""

from __future__ import annotations

from typing import Any, Final

import msgspec

_MARK: Final = 64
"""Bytes reserved for the text that states the original size."""
_LEAST: Final = 16
"""Values of at most this many bytes are never cut, since the note about the cut would be longer."""

_encode: Final = msgspec.json.Encoder().encode


def shortened(value: Any, max_bytes: int) -> Any:
    """Return plain data that takes at most `max_bytes` as JSON, with as much of the value as fits.

    Each value of a mapping gets what it needs, or an equal share of what the smaller ones leave; of a list the first
    items stay. Whatever was cut ends with a text that states the original size.
    """
    size = len(_encode(value))
    if size <= max(max_bytes, _LEAST):
        return value
    if isinstance(value, str):
        return _text(value, max_bytes)
    if isinstance(value, dict):
        return _mapping(value, max_bytes)
    if isinstance(value, (list, tuple)):
        return _list(value, max_bytes)
    return f"… ({size:,} bytes)"


def _text(text: str, max_bytes: int) -> str:
    mark = f"… ({len(text):,} characters in all)"
    room = max_bytes - _MARK
    head = text[: max(0, room)]
    while head and (excess := len(_encode(head)) - 2 - room) > 0:
        head = head[: len(head) - max(1, excess // 6)]  # a character takes at most six bytes of JSON
    return head + mark


def _list(items: list[Any] | tuple[Any, ...], max_bytes: int) -> list[Any]:
    room = max_bytes - _MARK
    kept: list[Any] = []
    for item in items:
        size = len(_encode(item)) + 1
        if size > room:
            if not kept and room > _MARK:
                kept.append(shortened(item, room - 1))
            break
        room -= size
        kept.append(item)
    return [*kept, f"… ({len(items):,} items in all)"]


def _mapping(mapping: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """Divide the room among the values from the smallest to the largest; omit keys that get none."""
    room = max_bytes - _MARK
    sizes = sorted((len(_encode(value)), name) for name, value in mapping.items())
    kept: dict[str, Any] = {}
    for done, (size, name) in enumerate(sizes):
        key = len(_encode(name)) + 2
        share = room // (len(sizes) - done) - key
        if size <= share:
            kept[name] = mapping[name]
        elif share > _MARK:
            kept[name] = shortened(mapping[name], share)
            size = len(_encode(kept[name]))
        else:
            continue
        room -= size + key
    shown = {name: kept[name] for name in mapping if name in kept}
    return shown if len(shown) == len(mapping) else {**shown, "…": f"{len(mapping):,} items in all"}


def head_of(text: str, most: int) -> str:
    """Return the first `most` characters of a text, and how many there are in all if that is not the whole."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters in all)"


def tail_of(text: str, most: int) -> str:
    """Return the last `most` characters of a text, and how many there are in all if that is not the whole."""
    return text if len(text) <= most else f"({len(text):,} characters in all) …{text[-most:]}"
