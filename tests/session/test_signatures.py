"""The signature that `commands()` writes, of the probe's own schemas and of anything that another server may send."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from degentcivil_nb.protocol.commands import DeclaredCommand
from degentcivil_nb.session.signatures import signature_of


def test_a_signature_is_written_as_its_function_is() -> None:
    def give(
        who: str,
        amount: Annotated[int, Meta(ge=1)] = 1,
        to: list[int] | None = None,
        mood: Literal["calm", "cross"] = "calm",
        more: dict[str, Any] = {},  # noqa: B006
        anything: Any = None,
    ) -> None: ...

    assert signature_of(DeclaredCommand(give).spec.arguments) == (
        "(who: str, amount: int = 1, to: list[int] | None = None, mood: 'calm' | 'cross' = 'calm', more: dict = …, "
        "anything=None)"
    )


@pytest.mark.parametrize("schema", [None, {}, {"properties": []}, {"properties": {"a": 3}, "required": 3}])
def test_a_schema_that_is_none_is_no_mistake(schema: Any) -> None:
    assert signature_of(schema) in ("()", "(a=…)")


@settings(max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["properties", "type", "anyOf", "items", "enum", "$ref", "default"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_any_schema_of_another_server_is_written_somehow(schema: Any) -> None:
    assert len(signature_of(schema)) <= 600
