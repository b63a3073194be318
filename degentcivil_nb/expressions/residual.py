"""Simplification of a condition some of whose names are known: the result is a simpler condition, or its answer."""

from __future__ import annotations

from collections.abc import Mapping

from .nodes import Node, joined, negated

Known = Mapping[str, str | None]
"""The known texts of names; `None` for a name that is known to be null."""


def residual(node: Node, known: Known, other_types: frozenset[str] = frozenset()) -> Node | bool:
    """Simplify a condition used only as true or false; `other_types` are types that the message does not have."""
    match node.kind:
        case "and" | "or":
            return _several(node, known, other_types)
        case "not":
            child = residual(node.children[0], known, other_types)
            return not child if isinstance(child, bool) else negated(child)
    if any(name == "type" and text in other_types for name, text in node.needs if node.kind == "test"):
        return False
    if node.names and node.names <= known.keys():
        return bool(node.run(known.get))
    return node


def _several(node: Node, known: Known, other_types: frozenset[str]) -> Node | bool:
    every = node.kind == "and"
    left: list[Node] = []
    for child in node.children:
        simpler = residual(child, known, other_types)
        if isinstance(simpler, Node):
            left.append(simpler)
        elif simpler is not every:
            return simpler
    if not left:
        return every
    return left[0] if len(left) == 1 else joined(node.kind, tuple(left))
