"""Who hears a message is the same whether messages are read together or one by one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.chat_extract import CHAT
from degentcivil_nb.store.event_store import EventStore

NAMES = st.sampled_from(["Ada", "Bo", "\u2603", ""])
RECEIVERS = st.one_of(NAMES, st.integers(), st.none(), st.booleans(), st.lists(st.one_of(NAMES, st.integers(0, 3))))
BROKEN = b'{"receivers": ["Ada"'


def rows(payloads: list[bytes]) -> list[tuple[Any, ...]]:
    store = EventStore()
    store.append([RawMessage("chat_message", Raw(one), 5.0) for one in payloads], 5.0, "e")
    made = CHAT.make(store.pieces().parts[0]) if payloads else CHAT.empty()
    names = [*made.words["receiver"], None]
    columns = made.columns
    receivers = [names[code] for code in columns["receiver"].tolist()]
    flags = (columns[name].tolist() for name in ("place", "listed", "alone"))
    return [*zip(receivers, *flags, strict=True)]


@given(st.lists(RECEIVERS, max_size=6))
def test_receivers_are_read_together_as_they_are_one_by_one(said: list[Any]) -> None:
    payloads = [encode({"character_id": "Ada", "content": "hi", "receivers": one}) for one in said]
    one_by_one = rows([*payloads, BROKEN])  # one that cannot be read lets each be read alone
    assert rows(payloads) == [row for row in one_by_one if row[1] < len(payloads)]


def test_messages_without_receivers_and_several_keys_of_the_name_have_one_row_each() -> None:
    assert rows([b"{}", b'{"receivers":["Ada"],"receivers":["Bo"]}']) == [
        (None, 0, False, False),
        ("Bo", 1, True, True),
    ]
