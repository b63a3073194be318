"""Commands declared as functions: their schema, and what becomes of arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from degentcivil_nb.protocol.commands import CommandTable, DeclaredCommand, allows
from degentcivil_nb.protocol.errors import WebSocketError


def give_money(character_id: str, amount: Annotated[int, Meta(ge=1)], notes: list[str] = []) -> dict[str, int]:  # noqa: B006
    """Give a character money.

    As much as you like.
    """
    return {character_id: amount}


@dataclass
class Point:
    x: float
    y: float


def test_a_signature_becomes_a_schema_and_the_first_line_the_doc() -> None:
    spec = DeclaredCommand(give_money).spec
    assert (spec.name, spec.doc, spec.role) == ("give_money", "Give a character money.", "debugger")
    assert spec.arguments == {
        "type": "object",
        "properties": {
            "character_id": {"type": "string"},
            "amount": {"type": "integer", "minimum": 1},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["character_id", "amount"],
        "additionalProperties": False,
    }


def test_defaults_are_filled_in_and_never_shared() -> None:
    command = DeclaredCommand(give_money)
    first = command.check({"character_id": "emma", "amount": 3})
    assert first == {"character_id": "emma", "amount": 3, "notes": []}
    first["notes"].append("x")
    assert command.check({"character_id": "emma", "amount": 3})["notes"] == []


@pytest.mark.parametrize(
    ("arguments", "field", "says"),
    [
        ({"amount": 1}, "character_id", "is missing"),
        ({"character_id": "emma", "amount": "1"}, "amount", "got `str`"),
        ({"character_id": "emma", "amount": 0}, "amount", ">= 1"),
        ({"character_id": "emma", "amount": 1.5}, "amount", "got `float`"),
        ({"character_id": 7, "amount": 1}, "character_id", "got `int`"),
        ({"character_id": "emma", "amount": 1, "note": "x"}, "note", "no argument"),
        ({"character_id": "emma", "amount": 1, "notes": [1]}, "notes", "got `int`"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(WebSocketError) as caught:
        DeclaredCommand(give_money).check(arguments)
    assert caught.value.code == 1102
    assert caught.value.details["field"] == field
    assert says in caught.value.message
    assert not caught.value.retryable


def test_annotations_may_be_structured() -> None:
    def walk(to: Point, gait: Literal["slow", "fast"] = "slow") -> None: ...

    walk.__annotations__ = {"to": Point, "gait": Literal["slow", "fast"]}
    command = DeclaredCommand(walk)
    assert command.spec.arguments["$defs"]["Point"]["required"] == ["x", "y"]
    assert command.check({"to": {"x": 1, "y": 2}}) == {"to": Point(1, 2), "gait": "slow"}
    with pytest.raises(WebSocketError, match="gait"):
        command.check({"to": {"x": 1, "y": 2}, "gait": "sideways"})


def test_what_is_not_annotated_takes_anything() -> None:
    def note(text, *, tags=None):  # type: ignore[no-untyped-def]
        return text

    assert DeclaredCommand(note).check({"text": [1, {}]}) == {"text": [1, {}], "tags": None}


def test_methods_are_commands_without_self() -> None:
    class Bank:
        def pay(self, amount: int) -> int:
            return amount

    command = DeclaredCommand(Bank().pay)
    assert command.check({"amount": 2}) == {"amount": 2}


def test_what_cannot_be_a_command_is_refused_when_declared() -> None:
    def open_ended(*amounts: int) -> None: ...

    def named(**amounts: int) -> None: ...

    def unknown(amount: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    def formless(amount: CommandTable) -> None: ...

    for function in (open_ended, named, unknown, formless):
        with pytest.raises(TypeError, match=function.__name__):
            DeclaredCommand(function)
    with pytest.raises(ValueError, match="not a valid command name"):
        DeclaredCommand(give_money, name="give money")
    with pytest.raises(ValueError, match="is not a role"):
        DeclaredCommand(give_money, role="king")  # type: ignore[arg-type]


def test_a_table_finds_replaces_and_lists() -> None:
    table = CommandTable()
    table.add(DeclaredCommand(give_money))
    table.add(DeclaredCommand(give_money, name="give", role="viewer"))
    table.add(DeclaredCommand(give_money, name="give"))
    assert [(spec.name, spec.role) for spec in table.specs()] == [("give_money", "debugger"), ("give", "debugger")]
    assert "give" in table
    with pytest.raises(WebSocketError, match=r"give, give_money") as caught:
        table.find("take")
    assert caught.value.code == 1101


def test_roles_are_ordered_and_strangers_may_nothing() -> None:
    assert allows("debugger", "viewer") and allows("debugger", "debugger") and allows("viewer", "viewer")
    assert not allows("viewer", "debugger")
    assert not allows("king", "viewer")
