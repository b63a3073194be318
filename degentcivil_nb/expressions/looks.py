"""Looks at messages: one function for each usual form of message, which is all that most of them cost.

A look says whether any condition may hold for a message; the judge evaluates the conditions then. If none may, the look
itself notes what the message says of its character. That is less than half of the judge's work, and it needs no lock:
it changes values that are there already, and adds nothing. Two threads that publish of one character at the same moment
may both find the state before either; the order of such messages is not defined in the stream either.

Like a gate, a look is a function whose source is written here, without any text of a user.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from ..core.links import IN_PAYLOADS
from .candidates import CHARACTER_LEFT, CHARACTER_UPDATE, LLM_CALL, MEASURE, MOVES, STATE_CHANGE, Candidates
from .detectors import Trail
from .gate import ANY_FORM, SAID, GateWriter, made_at
from .message_scope import LINKS, Linked

Look = Callable[[str, Any, int | None, float | None, Linked | None], bool]
"""Takes a message's type, payload, tick, time and links; returns whether it has to be judged."""

_HEAD: Final = "def look(type, payload, tick, time, links):\n"
_OF_STRUCTS: Final = "known.get({0})"
_OF_UPDATES: Final = "known.get({0})\n if {0} in payload: known[{0}] = {1} = payload[{0}]"
"""The value of an attribute, which an update also sets."""
_STRUCT: Final = """\
 name = payload.character_id
 if name.__class__ is not text:
  if name is unset: name = None
  else: name = text(name)
"""
_DICT: Final = """\
 if unseen and not unseen.isdisjoint(payload): return True
 name = payload.get({character_id})
 if name.__class__ is not text and name is not None:
  if name.__class__ is not whole: return True
  name = text(name)
"""
_CHARACTER: Final = """\
 trail = trails.get(name)
 if trail is None: return True
 known = trail.known
"""
_ANYBODY: Final = """\
 state = before = location = trail = None
 known = nobody
 if name is not None:
  trail = trails.get(name)
  if trail is None: return True
  known = trail.known
"""
_PLAIN_CHANGE: Final = """\
 state, location, before = payload.new_state, payload.location, payload.previous_state
 if before is unset: before = trail.state
"""
_CHANGE: Final = """\
 state, location, before = payload.get({new_state}), payload.get({location}), payload.get({previous_state})
 if state.__class__ is not text or (location is not None and location.__class__ is not text): return True
 if before is None: before = trail.state
"""
_UPDATE: Final = """\
 if {state} in payload or {location} in payload or {previous_state} in payload: return True
 state = location = before = None
"""
_LOOPS: Final = " if state != trail.state: return True\n"
_MOVED: Final = """\
 trail.heard = at = tick or 0
 if state != trail.state: trail.state, trail.since = state, at
 if location is not None and location != trail.location:
  location = location or None
  if location != trail.location: trail.location, trail.since = location, at
"""
_HEARD: Final = " trail.heard = tick or 0\n"
_HEARD_OF_ANY: Final = " if trail is not None: trail.heard = tick or 0\n"


class Town(NamedTuple):
    """The part of a judge that looks read and write."""

    trails: Mapping[str, Trail]
    unseen: Collection[str]
    """Names in conditions that no message has had so far; a collection that shrinks."""
    names: frozenset[str]
    """The attributes that are kept."""
    loops: bool
    """Whether trails count how often a character repeats a loop."""


class Looks(NamedTuple):
    """The looks of some conditions: at plain changes of state, at plain events, and at dicts by their type."""

    change: Look
    event: Look
    dicts: Mapping[str, Look]
    others: Look
    """The look at dicts of all other types."""


def look_closely(*_: Any) -> bool:
    """Say of any message that it has to be judged."""
    return True


NO_LOOKS: Final = Looks(look_closely, look_closely, {}, look_closely)


def looks_of(candidates: Mapping[str | None, Candidates[Any]], town: Town) -> Looks:
    """Make the looks for the conditions about each type of message; the key `None` is for those about other types."""
    others = candidates[None]
    dicts = {type: _look(about, town, type) for type, about in candidates.items() if type is not None}
    for type in (MEASURE, CHARACTER_LEFT):
        dicts[type] = look_closely
    change = _look(candidates[STATE_CHANGE], town, STATE_CHANGE, is_struct=True)
    event = _look(candidates["event_notification"], town, "event_notification", is_struct=True)
    return Looks(change, event, dicts, _look(others, town, None))


def _look(about: Candidates[Any], town: Town, type: str | None, *, is_struct: bool = False) -> Look:
    """Write the look at messages of a type, which are dicts or the structs of the probe."""
    if about.remembers or (type == LLM_CALL and "malformed" in about.asked):  # each message counts
        return look_closely
    writer = GateWriter({*about.hidden, *LINKS}, made_at(type))
    gated, covers = writer.gated(about.lefts)
    if not all(covers):
        return look_closely
    writer.globals |= {
        "trails": town.trails,
        "unseen": town.unseen,
        "unset": UNSET,
        "whole": int,
        "nobody": {},
    }
    keys = {key: writer.value(key) for key in ("character_id", "state", "new_state", "location", "previous_state")}
    lines = [_STRUCT if is_struct else _DICT.format_map(keys)]
    if about.linked:
        lines.insert(0, " if links is not None: return True\n")
        if not is_struct and type in (*IN_PAYLOADS, None):
            id, cause = writer.value("id"), writer.value("cause")
            lines.insert(1, f" if {id} in payload or {cause} in payload: return True\n")
    lines.append(_CHARACTER if type in MOVES else _ANYBODY)
    event_type: str | None = None
    form, said, more = ANY_FORM, dict(SAID), ""
    if type == STATE_CHANGE:
        lines.append(_PLAIN_CHANGE if is_struct else _CHANGE.format_map(keys))
        lines.append(_LOOPS if town.loops else "")
    elif type == CHARACTER_UPDATE:
        lines.append(_UPDATE.format_map(keys))
        form = _OF_UPDATES
        rest = [writer.value(name) for name in town.names - writer.names.keys()]
        more = "".join(f" if {key} in payload: known[{key}] = payload[{key}]\n" for key in rest)
    elif is_struct:
        said |= {"event_type": "payload.event_type", "data": "payload.data"}
        event_type = "payload.event_type"
    else:
        event_type = f"payload.get({writer.value('event_type')})"
    if is_struct:
        said["timestamp"], form = "payload.timestamp", _OF_STRUCTS
    indexed = writer.indexed(about.indexes, event_type)
    lines.append(writer.looked_up(form, said))
    lines += [f" if {code}: return True\n" for code in (indexed, gated) if code is not None]
    lines.append(more)
    lines.append(_MOVED if type == STATE_CHANGE else _HEARD if type == CHARACTER_UPDATE else _HEARD_OF_ANY)
    look: Look | None = writer.compiled(f"{_HEAD}{''.join(lines)} return False\n", "look")
    return look or look_closely
