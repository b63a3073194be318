"""A message is frozen and typed, survives the way to JSON and back, and says where JSON is wrong; errors are a tree."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from degentcivil_nb import CommandError, ConnectFailed, DegentCivilError, MessageTypes, OutcomeUnknown, WebSocketError
from degentcivil_nb.protocol.errors import CODE_NAMES
from degentcivil_nb.protocol.json_text import decode, encode
from degentcivil_nb.protocol.messages import WebSocketMessage

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.builds(
    WebSocketMessage,
    st.text(),
    JSON,
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.integers(1, 2**53),
    st.none() | st.integers(0, 2**53),
    st.none() | st.text(),
)


@given(MESSAGES)
def test_to_json_and_from_json_are_inverse(message: WebSocketMessage) -> None:
    text = message.to_json()
    again = WebSocketMessage.from_json(text)
    assert again == message
    assert again.to_json() == text
    assert WebSocketMessage.from_json(text.encode()) == message


def test_the_guide_s_own_use() -> None:
    message = WebSocketMessage("state_change", {"character_id": "emma"})
    written = decode(dict[str, Any], message.to_json())
    assert set(written) == {"type", "data", "timestamp"}
    assert message.timestamp is not None
    assert abs(written["timestamp"] - message.timestamp) < 1e-6


def test_it_is_frozen() -> None:
    message = WebSocketMessage("event_notification", 1)
    with pytest.raises(AttributeError):
        message.data = 2  # type: ignore[misc]
    assert copy.replace(message, data=2).data == 2 if hasattr(copy, "replace") else True


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"type":1}', r"\$\.type"),
        ('{"type":null}', r"\$\.type"),
        ('{"data":1}', "type"),
        ('{"type":"a","timestamp":"now"}', r"\$\.timestamp"),
        ('{"type":"a","seq":0}', r"\$\.seq"),
        ('{"type":"a","seq":1.5}', r"\$\.seq"),
        ('{"type":"a","tick":-1}', r"\$\.tick"),
        ('{"type":"a","id":7}', r"\$\.id"),
        ('{"type":"a"', "truncated"),
        ('{"type":"a",}', "byte 12"),
        ("[1]", "array"),
        ("", "truncated"),
        ("[" * 100_000, "array"),
        ('{"type":"a","data":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"type":"a","data":NaN}', "byte"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, where: str) -> None:
    with pytest.raises(WebSocketError, match=where) as caught:
        WebSocketMessage.from_json(text)
    assert caught.value.code == WebSocketError.INVALID_MESSAGE


@given(st.text() | st.binary())
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    try:
        WebSocketMessage.from_json(text)
    except WebSocketError as error:
        assert error.code == WebSocketError.INVALID_MESSAGE


@pytest.mark.parametrize("data", [object(), {1: object()}, float])
def test_what_has_no_json_form_is_refused_as_it_is_written(data: Any) -> None:
    with pytest.raises(WebSocketError, match="JSON"):
        WebSocketMessage("a", data).to_json()


def test_the_types_are_the_wire_s_names() -> None:
    names = {name: value for name, value in vars(MessageTypes).items() if name.isupper()}
    assert {name.lower() for name in names} == set(names.values())
    assert MessageTypes.STATE_CHANGE == "state_change"


# --- errors --------------------------------------------------------------------------------------------------------


def test_errors_are_exceptions_of_one_tree() -> None:
    for kind in (WebSocketError, CommandError, ConnectFailed, OutcomeUnknown):
        assert issubclass(kind, DegentCivilError)
    assert issubclass(CommandError, WebSocketError)
    assert issubclass(ConnectFailed, ConnectionError)
    with pytest.raises(WebSocketError) as caught:
        raise WebSocketError(WebSocketError.RATE_LIMIT, "slow down", details={"retry_after_s": 3})
    error = caught.value
    assert (error.code, str(error), error.name, error.retryable) == (1003, "slow down", "RATE_LIMIT", True)
    assert error.details == {"retry_after_s": 3}


@pytest.mark.parametrize("code", CODE_NAMES)
def test_each_code_has_its_name_and_says_whether_to_try_again(code: int) -> None:
    error = WebSocketError(code)
    assert getattr(WebSocketError, error.name) == code
    assert error.retryable is (code in (1003, 1004, 1104, 1106))
    assert WebSocketError(code, retryable=not error.retryable).retryable is not error.retryable
    assert str(error)


def test_an_error_message_carries_code_words_and_details() -> None:
    message = WebSocketError.create_error_message(1003, "slow down", retry_after_s=3)
    assert message.type == MessageTypes.ERROR
    assert decode(dict[str, Any], encode(message.data)) == {"code": 1003, "message": "slow down", "retry_after_s": 3}


def test_an_error_survives_pickling_with_its_code() -> None:
    again = pickle.loads(pickle.dumps(WebSocketError(1104, "late", details={"deadline_s": 1})))
    assert (again.code, str(again), again.details) == (1104, "late", {"deadline_s": 1})
