"""Events for causes and effects: their links, their texts, and a description in one line."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import pandas as pd

from ..core.counting import counted
from ..protocol.json_text import encode
from ..protocol.messages import MessageTypes


class RunEvent(NamedTuple):
    row: int
    event_id: str | None
    causes: list[str]
    intervention: dict[str, Any] | None
    type: str
    character_id: str | None
    tick: int | None
    time: pd.Timestamp
    payload: Any


NAMED: Final = 40
"""The most keys or names of a list that are put into words, of which a line has room for fewer."""
COLUMNS: Final = ("event_id", "cause", "intervention", "type", "character_id", "tick", "time", "payload")


def read_event(event: dict[str, Any]) -> RunEvent:
    """Read one event from a dict of its columns."""
    known: dict[str, Any] = {name: None if _is_na(event[name]) else event[name] for name in (*COLUMNS[:-1],)}
    cause, tick = known["cause"], known["tick"]
    return RunEvent(
        event["row"],
        known["event_id"],
        [cause] if isinstance(cause, str) else list(cause or ()),
        known["intervention"],
        str(known["type"]),
        known["character_id"],
        None if tick is None else int(tick),
        known["time"],
        event["payload"],
    )


def _is_na(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def evidence_of(event: RunEvent) -> list[str]:
    """Return the ids of the events that a thought is based on."""
    said = (
        event.payload.get("evidence") if event.type == MessageTypes.THOUGHT and isinstance(event.payload, dict) else ()
    )
    return [str(one) for one in said if isinstance(one, (str, int))] if isinstance(said, list) else []


def is_answered(call: RunEvent) -> bool:
    """Return whether a call of a language model was answered."""
    payload = call.payload if isinstance(call.payload, dict) else {}
    return payload.get("response") is not None and not payload.get("error")


def said_text(event: RunEvent) -> str:
    """Return the text of a chat message or a thought."""
    payload = event.payload if isinstance(event.payload, dict) else {}
    return all_text(payload.get("content") if event.type == MessageTypes.CHAT_MESSAGE else payload.get("text")).strip()


def reaches(event: RunEvent, character_id: str | None) -> bool:
    """Return whether a character can know of a message or a thought."""
    if character_id is None or event.character_id == character_id:
        return True
    receivers = event.payload.get("receivers") if isinstance(event.payload, dict) else None
    return (
        event.type == MessageTypes.CHAT_MESSAGE and isinstance(receivers, list) and character_id in map(str, receivers)
    )


def all_text(value: Any) -> str:
    """Return all text of a value; for a prompt that is a list of messages, the text of the messages."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\n".join(map(all_text, value.values()))
    if isinstance(value, list):
        return "\n".join(map(all_text, value))
    return "" if value is None else str(value)


def described(type: str, character_id: str | None, payload: Any) -> str:
    """Describe an event in one line."""
    data = payload if isinstance(payload, dict) else {}
    who = character_id or "somebody"
    match type:
        case MessageTypes.STATE_CHANGE:
            place = f" at {_short(data['location'])}" if data.get("location") else ""
            return f"{who} is in {_short(data.get('new_state'))}{place}"
        case MessageTypes.LLM_CALL:
            failed = f", failed: {_short(data['error'])}" if data.get("error") else ""
            kind = f" ({_short(data['prompt_type'])})" if data.get("prompt_type") else ""
            prompt = "" if data.get("prompt") is None else f": {_short(all_text(data['prompt']), 60)}"
            answer = "" if data.get("response") is None else f"; answer: {_short(data['response'])}"
            return f"{who} asks{kind}{prompt}{answer}{failed}"
        case MessageTypes.CHAT_MESSAGE:
            receivers = data.get("receivers")
            to = f" to {', '.join(map(_short, receivers[:3]))}" if isinstance(receivers, list) and receivers else ""
            return f"{who} says{to}: {_short(data.get('content'))}"
        case MessageTypes.THOUGHT:
            return f"{who} thinks ({_short(data.get('kind'))}): {_short(data.get('text'))}"
        case MessageTypes.TOOL_CALL:
            return f"{who} uses {_short(data.get('name'))}: {_short(data.get('result'))}"
        case MessageTypes.EVENT_NOTIFICATION:
            return f"{_short(data.get('event_type'))}: {_listed(data.get('data'))}"
        case MessageTypes.ERROR:
            return f"error {_short(data.get('code'))}: {_short(data.get('message'))}"
        case MessageTypes.CHARACTER_UPDATE:
            told = {key: value for key, value in data.items() if key != "character_id"}
            return f"{who}: {_listed(told)}"
        case MessageTypes.MEASURE | MessageTypes.WATCH:
            of = f"{character_id}: " if character_id else ""
            return f"{of}{_short(data.get('name'))} is {_short(data.get('value'))}"
        case MessageTypes.ALL_BUILDINGS | MessageTypes.ALL_CHARACTERS if isinstance(payload, list):
            what = "place" if type == MessageTypes.ALL_BUILDINGS else "character"
            return f"{counted(len(payload), what)}: {_short(', '.join(map(_name, payload[:NAMED])))}"
    return f"{_short(type)}: {_short(payload)}"


def _listed(value: Any) -> str:
    """Return the keys and values of a dict in words; any other value as it is."""
    if not isinstance(value, dict) or not value:
        return _short(value)
    return _short(", ".join(f"{key} {_short(held)}" for key, held in list(value.items())[:NAMED]))


def _name(value: Any) -> str:
    if not isinstance(value, dict):
        return _short(value, 40)
    told = (value.get(key) for key in ("name", "character_id", "id"))
    return _short(next((name for name in told if name is not None), value), 40)


def _short(value: Any, most: int = 100) -> str:
    text = value if isinstance(value, str) else "nothing" if value is None else encode(value).decode()
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
