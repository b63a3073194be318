"""The signature of a command as a person writes it, made from the JSON Schema that the server sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

TYPES: Final = {
    "integer": "int",
    "number": "float",
    "string": "str",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    "null": "None",
}
MOST: Final = 500
"""The most characters of a signature: another server may send any schema."""
DEPTH: Final = 5


def signature_of(schema: Any) -> str:
    """Write the arguments of a command: `(character_id: str, amount: int = 5)`."""
    fields = _mapping(_mapping(schema).get("properties"))
    needed = _mapping(schema).get("required")
    needed = needed if isinstance(needed, list) else []
    text = ", ".join(_argument(str(name), field, name in needed) for name, field in fields.items())
    return f"({text})" if len(text) <= MOST else f"({text[:MOST]}…)"


def _argument(name: str, field: Any, needed: bool) -> str:
    kind = _kind(field, DEPTH)
    typed = f"{name}: {kind}" if kind else name
    if "default" in _mapping(field):
        return f"{typed} = {field['default']!r}" if kind else f"{name}={field['default']!r}"
    return typed if needed else f"{typed} = …" if kind else f"{name}=…"


def _kind(field: Any, depth: int) -> str:
    """Write the type of an argument; an empty text if any type is allowed."""
    schema = _mapping(field)
    if depth == 0:
        return ""
    if isinstance(choices := schema.get("anyOf"), list):
        return " | ".join(filter(None, (_kind(choice, depth - 1) for choice in choices)))
    if isinstance(values := schema.get("enum"), list):
        return " | ".join(repr(value) for value in values)
    if isinstance(reference := schema.get("$ref"), str):
        return reference.rpartition("/")[2]
    kind = TYPES.get(str(schema.get("type")), "")
    inner = _kind(schema.get("items"), depth - 1) if kind == "list" else ""
    return f"list[{inner}]" if inner else kind


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
