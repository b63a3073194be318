"""The SQL views over the messages of many runs, which are columns and JSON."""

from __future__ import annotations

from typing import Final


def _time(column: str) -> str:
    return (
        f"case when {column} >= 0 and {column} < 9214646400 then make_timestamptz(cast({column} * 1e6 as bigint)) end"
    )


def _key(name: str, *types: str) -> str:
    """Return SQL for a payload's value of a key, if its message is of one of these types."""
    value = f"try(json_extract_string(payload, '$.{name}'))"
    kinds = ", ".join(f"'{type}'" for type in types)
    return f"case when type in ({kinds}) then {value} end" if types else value


def _select(source: str, *same: str, **made: str) -> str:
    return " ".join(
        ["select", ", ".join([*same, *(f"{what} as {name}" for name, what in made.items())]), "from", source]
    )


def _json(name: str, *types: str) -> str:
    """Return SQL for a payload's value of a key as JSON text, if its message is of one of these types."""
    kinds = ", ".join(f"'{type}'" for type in types)
    return f"case when type in ({kinds}) then cast(try(json_extract(payload, '$.{name}')) as varchar) end"


def _cause(text: str) -> str:
    """Return SQL for a cause: one id by itself, and several as a JSON list."""
    one = f"try(json_extract_string({text}, '$'))"
    return f"case when {text} is null or {text} = 'null' then null when {text} like '[%' then {text} else {one} end"


_NAMED: Final = ("event_notification", "llm_call", "chat_message", "tool_call", "thought")
"""The types whose payloads may name an id and causes themselves, as older versions of the wire did."""
_WHEN: Final = f"coalesce({_time('timestamp')}, {_time('received')})"
VIEWS: Final = {
    "messages": _select(
        "(select * from _sealed union all by name select * from _open)",
        *("run", "row", "epoch", "seq", "tick", "timestamp", "received", "id", "type", "sim_time", "event_id"),
        *("cause", "intervention"),
        payload="try(decode(data))",
    ),
    "events": _select(
        "messages where row is not null",
        *("run", "row", "epoch", "seq", "tick"),
        time=_WHEN,
        received=_time("received"),
        type="type",
        character_id=_key("character_id"),
        state=f"coalesce({_key('new_state', 'state_change')}, {_key('state', 'character_update')})",
        location=_key("location", "state_change", "character_update"),
        event_type=_key("event_type", "event_notification"),
        code=f"try_cast({_key('code', 'error')} as bigint)",
        message=_key("message", "error"),
        event_id=f"coalesce(event_id, {_key('id', *_NAMED)})",
        cause=f"coalesce({_cause('cause')}, {_cause(_json('cause', *_NAMED))})",
        intervention="intervention",
        sim_time="sim_time",
        payload="payload",
        data="case when type = 'event_notification' then nullif(cast(try(json_extract(payload, '$.data')) as varchar), "
        "'null') end",
    ),
    "_gaps": _select(
        "messages where type = 'gap' and row is null",
        "run",
        epoch=_key("epoch"),
        from_seq=f"try_cast({_key('from')} as bigint)",
        to_seq=f"try_cast({_key('to')} as bigint)",
        reason=_key("reason"),
        said=_WHEN,
    ),
    "_sent": _select("messages where row is not null", "run", "epoch", "seq", sent=_time("timestamp")),
    # a gap stands with the last event before it, as in `gaps()`: the stream may have a clock of its own
    "gaps": _select(
        "_gaps asof left join (from _sent where sent is not null and seq is not null) as before "
        "on _gaps.run = before.run and _gaps.epoch = before.epoch and before.seq < _gaps.from_seq",
        *(f"_gaps.{name}" for name in ("run", "epoch", "from_seq", "to_seq", "reason")),
        time="coalesce(before.sent, _gaps.said)",
    ),
}
