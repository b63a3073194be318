"""Values of OTLP's JSON form: typed attribute values, ids in hexadecimal, times in nanoseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

_INT64: Final = 2**63
_LATEST: Final = 2**63 - 1
"""Nanoseconds since 1970 that a time of pandas can hold: until the year 2262."""


def encoded(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return attributes as OTLP writes them, without those that are `None`."""
    return [{"key": name, "value": _any_value(value)} for name, value in attributes.items() if value is not None]


def _any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return {"intValue": str(value)}  # JSON form of 64-bit numbers in Protocol Buffers
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, (list, tuple)):
        return {"arrayValue": {"values": [_any_value(item) for item in value]}}
    return {"stringValue": str(value)}


def decoded(attributes: Any) -> dict[str, Any]:
    """Return attributes as a plain dict: from OTLP's list of keys and typed values, or a dict as the SDK writes it."""
    if isinstance(attributes, Mapping):
        return {str(name): value for name, value in attributes.items()}
    found: dict[str, Any] = {}
    for item in attributes if isinstance(attributes, list) else ():
        if isinstance(item, Mapping) and isinstance(item.get("key"), str):
            found[item["key"]] = plain_value(item.get("value"))
    return found


def plain_value(value: Any) -> Any:
    """Return an OTLP value as plain Python; a value that is not typed is returned as it is."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return None if value == {} else value
    ((kind, inner),) = value.items()
    match _camel(kind):
        case "stringValue" | "boolValue" | "doubleValue" | "bytesValue":
            return inner
        case "intValue":
            return whole(inner, inner)
        case "arrayValue":
            return [plain_value(item) for item in _values(inner)]
        case "kvlistValue":
            return decoded(_values(inner))
    return value


def _values(inner: Any) -> list[Any]:
    values = inner.get("values") if isinstance(inner, Mapping) else inner
    return values if isinstance(values, list) else []


def field(thing: Mapping[str, Any], *names: str) -> Any:
    """Return the first of these fields that exists, in camel or snake case."""
    for name in names:
        for key in (name, _snake(name)):
            if thing.get(key) is not None:
                return thing[key]
    return None


def items(thing: Any, *names: str) -> Iterable[Mapping[str, Any]]:
    """Return the objects in the first of these lists that exists."""
    found = field(thing, *names) if isinstance(thing, Mapping) else None
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def hex_id(value: Any) -> int | None:
    """Return an id written in hexadecimal, with or without `0x`; `None` if there is none, or only zeros."""
    if not isinstance(value, str):
        return None
    try:
        return int(value.removeprefix("0x"), 16) or None
    except ValueError:
        return None


def nanoseconds(value: Any) -> int | None:
    """Return a time in nanoseconds since 1970; `None` for zero, and for anything that is not such a time."""
    number = whole(value)
    return number if number is not None and 0 < number <= _LATEST else None


def whole(value: Any, otherwise: Any = None) -> Any:
    """Return a whole number, also one written as text; `otherwise` for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(value) if isinstance(value, (str, float)) else otherwise
    except (ValueError, OverflowError):
        return otherwise


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
