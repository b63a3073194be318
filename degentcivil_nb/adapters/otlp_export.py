"""Export of a run as OpenTelemetry traces: a trace for each decision of a character, as OTLP JSON lines."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

import msgspec

from ..core.plain import plain
from ..core.progress import Progress
from ..core.version import __version__
from ..core.whole_file import written_whole
from ..protocol.messages import Links, MessageTypes
from .genai_attributes import OWN, SPOKEN, attributes_of, error_of, name_of_span
from .otlp_values import encoded

if TYPE_CHECKING:
    import pandas as pd

    from ..store.interfaces import RunStore

_NUMBER: Final = {
    MessageTypes.LLM_CALL: 3,
    MessageTypes.CHARACTER_UPDATE_LLM: 3,
    MessageTypes.TOOL_CALL: 1,
    MessageTypes.CHAT_MESSAGE: 1,
    MessageTypes.THOUGHT: 1,
}
"""The types that become spans, with the kind of span: 3 is a client's, 1 is internal."""
_FAILED: Final = {"code": 2}
_CHUNK: Final = 2_048
"""How many events are written between two reports of progress."""

_json = msgspec.json.Encoder(order="deterministic").encode


class Position(NamedTuple):
    """The ids of a span."""

    trace: str
    span: str


class _Event(NamedTuple):
    row: int
    type: str
    character: str | None
    tick: int | None
    ns: int
    epoch: str
    seq: int | None

    @property
    def decision(self) -> str:
        """Return the key that all spans of one decision share; an event without a tick is a decision of its own."""
        alone = self.character is None or self.tick is None
        moment = f"event {self.row if self.seq is None else self.seq}" if alone else f"tick {self.tick}"
        return "\0".join((self.epoch, self.character or "", moment))

    @property
    def position(self) -> Position:
        """Return ids that are the same in each export of this run."""
        trace = _digest(16, self.decision)
        return Position(trace, _digest(8, trace, self.type, str(self.row if self.seq is None else self.seq)))


def export_otlp(store: RunStore, path: str | os.PathLike[str], progress: Progress) -> dict[str, Any]:
    """Write the calls, tools, chat and thoughts of a run as spans; return how many of each, and which types were left
    out.

    Raises `FileExistsError` if the file exists. The file appears only when it is complete, and is the same each time.
    """
    target = Path(path)
    if target.exists():
        raise FileExistsError(f"{target} exists already; pass another name, or delete it")
    with written_whole(target) as beside, beside.open("wb") as file:
        return _Export(store, file, progress).write()


class _Export:
    """An export in progress."""

    def __init__(self, store: RunStore, file: BinaryIO, progress: Progress) -> None:
        self._store = store
        self._file = file
        self._progress = progress
        self._events = _events_of(store)
        self._known: dict[str, Position] = {}
        self._spans = 0

    def write(self) -> dict[str, Any]:
        """Write all spans, and return the counts."""
        present = self._counts()
        left_out = {name: count for name, count in present.items() if name not in _NUMBER}
        decisions: dict[str, list[_Event]] = {}
        for event in self._events:
            decisions.setdefault(event.decision, []).append(event)
            id = self._links(event).event_id
            if id is not None:
                self._known.setdefault(id, event.position)
        self._write_run(left_out)
        done = 0
        for number, events in enumerate(decisions.values()):
            self._write_decision(events)
            done += len(events)
            if number % _CHUNK == 0:
                self._progress(done, len(self._events))
        self._progress(done, len(self._events))
        told = {kind: present.get(kind, 0) for kind in _NUMBER}
        return {"spans": self._spans, "traces": len(decisions), **told, "left_out": left_out}

    def _counts(self) -> dict[str, int]:
        counts = self._store.rates("1D").sum()
        return {str(name): int(count) for name, count in counts.items() if count}

    def _write_run(self, left_out: Mapping[str, int]) -> None:
        """Write a span for the whole run, with its characters and the types of events that have no span."""
        if not len(self._store):
            return
        newest = self._store.events(last=1)
        last = int(newest["time"].astype("int64").iloc[0])
        first = min([last, *(event.ns for event in self._events)])
        epoch = _text(newest["epoch"].iloc[0]) or ""
        trace = _digest(16, epoch, "run")
        attributes = {
            "session.id": epoch or None,
            OWN + "type": "run",
            OWN + "characters": _json(_present(self._store.characters())).decode(),
            OWN + "left_out": _json(left_out).decode(),
        }
        self._write([_span(Position(trace, _digest(8, trace)), None, "run", 1, first, last, attributes)], epoch)

    def _write_decision(self, events: Sequence[_Event]) -> None:
        head = events[0]
        parent = None if head.character is None else _digest(8, head.position.trace, "decision")
        spans = [self._event_span(event, parent) for event in events]
        if parent is not None:
            attributes = {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": head.character,
                "session.id": head.epoch or None,
                OWN + "type": "decision",
                OWN + "tick": head.tick,
            }
            start = min(int(span["startTimeUnixNano"]) for span in spans)
            end = max(int(span["endTimeUnixNano"]) for span in spans)
            name = f"invoke_agent {head.character}"
            spans.insert(0, _span(Position(head.position.trace, parent), None, name, 1, start, end, attributes))
        self._write(spans, head.epoch)

    def _event_span(self, event: _Event, parent: str | None) -> dict[str, Any]:
        payload = self._store.payload(event.row)
        links = self._links(event)
        causes = [links.cause] if isinstance(links.cause, str) else links.cause or []
        attributes = {
            **attributes_of(event.type, payload, event.character),
            "session.id": event.epoch or None,
            OWN + "type": event.type,
            OWN + "tick": event.tick,
            OWN + "seq": event.seq,
            OWN + "time": event.ns if event.ns <= 0 else None,  # a simulated clock may show a time before 1970
            OWN + "event_id": links.event_id,
            OWN + "cause": causes or None,
        }
        name = name_of_span(event.type, payload)
        seconds = payload.get("latency_s") if isinstance(payload, dict) and event.type not in SPOKEN else None
        span = _span(event.position, parent, name, _NUMBER[event.type], _start(event.ns, seconds), event.ns, attributes)
        known = [self._known[cause] for cause in causes if cause in self._known]
        if known:
            span["links"] = [{"traceId": cause.trace, "spanId": cause.span} for cause in known]
        error = error_of(payload)
        if error is not None:
            span["status"] = {**_FAILED, "message": error}
        return span

    def _links(self, event: _Event) -> Links:
        """Return the id and causes of an event: from the envelope, or from the payload as older versions write them."""
        return self._store.links([event.row]).get(event.row, Links())

    def _write(self, spans: list[dict[str, Any]], epoch: str) -> None:
        resource = {"attributes": encoded({"service.name": "degentcivil", "service.instance.id": epoch or None})}
        scope = {"name": "degentcivil_nb", "version": __version__}
        line = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]}
        self._file.write(_json(line) + b"\n")
        self._spans += len(spans)


def _present(characters: pd.DataFrame) -> dict[str, Any]:
    """Return the final state, location and attributes of each character."""
    table = characters.drop(columns=["since", "last_seen"], errors="ignore").astype("object")
    rows = table.where(table.notna(), None).to_dict("index")
    return {
        str(name): plain({key: value for key, value in row.items() if value is not None}) for name, row in rows.items()
    }


def _events_of(store: RunStore) -> list[_Event]:
    """List the events that become spans, without their payloads."""
    frame = store.events([name for name in _NUMBER if name in _words(store)])
    return list(_rows(frame))


def _words(store: RunStore) -> set[str]:
    return {str(name) for name in store.rates("1D").columns}


def _rows(frame: pd.DataFrame) -> Iterator[_Event]:
    whole = [frame[name].astype("object").where(frame[name].notna(), None).to_list() for name in ("tick", "seq")]
    words = [list(map(_text, frame[name].to_list())) for name in ("type", "character_id", "epoch")]
    times = frame["time"].astype("int64").to_list()
    for row, ns, tick, seq, type, character, epoch in zip(frame.index.to_list(), times, *whole, *words, strict=True):
        yield _Event(row, type or "", character, tick, ns, epoch or "", seq)


def _span(
    ids: Position, parent: str | None, name: str, kind: int, start: int, end: int, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    span: dict[str, Any] = {"traceId": ids.trace, "spanId": ids.span}
    if parent is not None:
        span["parentSpanId"] = parent
    return span | {
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(max(0, start)),  # 64-bit numbers are text in the JSON form of Protocol Buffers
        "endTimeUnixNano": str(max(0, end)),
        "attributes": encoded(attributes),
    }


def _start(end: int, seconds: Any) -> int:
    """Return when a call began, if its duration is known."""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 <= seconds * 1e9 <= end:
        return end
    return end - round(seconds * 1e9)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _digest(size: int, *parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
