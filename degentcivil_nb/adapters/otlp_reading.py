"""Reading files with spans: OTLP's JSON lines, the SDK's own JSON, lists of spans; damage is reported, not raised."""

from __future__ import annotations

import base64
import binascii
import codecs
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from ..core.text_of import text_of
from . import otlp_values as values

_GZIP: Final = b"\x1f\x8b"
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""The first bytes of text that a Windows shell redirected into a file."""
_NESTED: Final = frozenset({"llm", "gen_ai", "openinference", "input", "output", "tool", "agent", "graph", "session"})
"""Names under which some exports nest attributes as objects, instead of writing `llm.model_name`."""
_ERROR: Final = frozenset({"2", "ERROR", "STATUS_CODE_ERROR", "StatusCode.ERROR"})
_GROUP_KEYS: Final = frozenset(
    {"resource", "schemaUrl", "schema_url", "scopeSpans", "scope_spans", "scopeLogs", "scope_logs"}
)
"""The keys of a group of spans or logs, with older names."""
_MOST_PROBLEMS: Final = 1_000
_EXCERPT: Final = 60


class SpanContext(NamedTuple):
    """The ids of a span."""

    trace_id: int
    span_id: int


class SpanEvent(NamedTuple):
    """An event of a span, or a log record that names the span."""

    name: str
    attributes: Mapping[str, Any]


class StatusCode(NamedTuple):
    """`ERROR`, or anything else."""

    name: str


class Status(NamedTuple):
    """How a span ended."""

    status_code: StatusCode
    description: str | None


@dataclass(slots=True)
class ReadSpan:
    """A span from a file, with the attributes that the SDK's own spans have."""

    name: str
    context: SpanContext
    parent: SpanContext | None
    attributes: dict[str, Any]
    events: list[SpanEvent]
    start_time: int | None
    end_time: int | None
    status: Status
    where: str
    """The file and the line."""


@dataclass(slots=True)
class Contents:
    """The content of files: spans, problems, and the number of records left out."""

    spans: list[ReadSpan] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unreadable: int = 0
    """How many problems there were; the first thousand of them have their text."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Other signals, and logs that belong to no span."""
    logs: list[tuple[SpanContext, SpanEvent]] = field(default_factory=list)

    def note(self, problem: str) -> None:
        """Add a problem."""
        self.unreadable += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


def read_file(path: Path, contents: Contents) -> None:
    """Read a file into `contents`; `OSError` if it cannot be read at all."""
    with path.open("rb") as file:
        head = file.read(2)
        file.seek(0)
        if head == _GZIP:
            with gzip.open(file) as unpacked:
                try:
                    _read(unpacked, path.name, contents)  # type: ignore[arg-type]
                except (EOFError, gzip.BadGzipFile, OSError) as error:
                    contents.note(f"{path.name}: the compressed file is damaged: {text_of(error)}")
        else:
            _read(file, path.name, contents)


def _read(file: BinaryIO, name: str, contents: Contents) -> None:
    for where, value in _documents(file, name, contents):
        try:
            _take(value, {}, where, contents)
        except RecursionError:
            contents.note(f"{where}: the data is nested too deeply")


def _documents(file: BinaryIO, name: str, contents: Contents) -> Iterator[tuple[str, Any]]:
    """Yield the JSON values of a file: one a line, or any values that follow one another."""
    head = file.read(2)
    file.seek(0)
    if head in _WIDE:
        yield from _values(file.read().decode("utf-16", "replace"), 1, name, contents)
        return
    for number, raw in enumerate(file, 1):
        line = _text(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw, f"{name}, line {number}", contents)
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            if line.lstrip()[:1] in ("{", "[") and not line.rstrip().endswith("}"):  # over several lines, or cut off
                rest = line + _text(file.read(), f"{name}, from line {number + 1}", contents)
                yield from _values(rest, number, name, contents)
                return
            contents.note(f"{name}, line {number}: not JSON: {text_of(error)[:200]}: {line.strip()[:_EXCERPT]!r}")
        else:
            yield f"{name}, line {number}", value


def _values(text: str, first_line: int, name: str, contents: Contents) -> Iterator[tuple[str, Any]]:
    """Yield values that follow one another; after a damaged one, go on at the next line that begins with a value."""
    decoder, at = json.JSONDecoder(), 0
    line, counted = first_line, 0
    while True:
        at += len(text[at : at + 1_000]) - len(text[at : at + 1_000].lstrip(" \t\r\n,\ufeff"))
        if at >= len(text):
            return
        line, counted = line + text.count("\n", counted, at), at
        if text[at] in " \t\r\n,":
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            contents.note(f"{name}, line {line}: not JSON: {text_of(error)[:200]}: {text[at : at + _EXCERPT]!r}")
            after = [found for found in (text.find("\n{", at), text.find("\n[", at)) if found >= 0]
            if not after:
                return
            at = min(after) + 1
        else:
            yield f"{name}, line {line}", value


def _text(raw: bytes, where: str, contents: Contents) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        contents.note(f"{where}: bytes that are not UTF-8 were replaced")
        return raw.decode("utf-8", "replace")


# --- what a value holds ----------------------------------------------------------------------------------------------


def _take(value: Any, resource: Mapping[str, Any], where: str, contents: Contents) -> None:
    """Read the spans of a JSON value in any of the known forms."""
    if isinstance(value, list):
        for item in value:
            _take(item, resource, where, contents)
        return
    if not isinstance(value, Mapping):
        contents.note(f"{where}: a span is an object, and this is {text_of(value)[:_EXCERPT]!r}")
        return
    groups = [
        *_objects(value, where, contents, "resourceSpans"),
        *_objects(value, where, contents, "resourceLogs"),
    ]
    metrics = len(list(values.items(value, "resourceMetrics")))
    if groups or metrics:
        contents.left_out["metrics"] += metrics
        for group in groups:
            _take_group(group, where, contents)
    elif values.field(value, "traceId", "context") is not None or {"name", "attributes"} <= value.keys():
        contents.spans.append(_span(value, where, contents))
    elif isinstance(value.get("spans"), list):
        _take(value["spans"], resource, where, contents)
    elif not value.keys() & {"resourceSpans", "resource_spans", "resourceLogs", "resource_logs", "resourceMetrics"}:
        contents.note(f"{where}: no span: an object with {', '.join(map(text_of, list(value)[:5])) or 'nothing'}")


def _take_group(group: Mapping[str, Any], where: str, contents: Contents) -> None:
    scopes = _objects(group, where, contents, "scopeSpans", "instrumentationLibrarySpans")
    logs = _objects(group, where, contents, "scopeLogs", "instrumentationLibraryLogs")
    if not scopes and not logs and group.keys() - _GROUP_KEYS:
        contents.note(f"{where}: no scopeSpans, but {', '.join(map(text_of, list(group)[:5]))}")
    for scope in scopes:
        spans = values.field(scope, "spans")
        for span in spans if isinstance(spans, list) else [spans] if spans is not None else []:
            if isinstance(span, Mapping):
                contents.spans.append(_span(span, where, contents))
            else:
                contents.note(f"{where}: a span is an object, and this is {text_of(span)[:_EXCERPT]!r}")
    for scope in logs:
        for record in values.items(scope, "logRecords"):
            _take_log(record, contents)


def _objects(thing: Mapping[str, Any], where: str, contents: Contents, *names: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list; anything else in it is a problem."""
    found = list(values.items(thing, *names))
    listed = values.field(thing, *names)
    odd = len(listed) - len(found) if isinstance(listed, list) else int(listed is not None)
    if odd and found:
        contents.note(f"{where}: {odd:,} items of {names[0]} are not objects")
    elif odd:
        contents.note(f"{where}: {names[0]} should be a list of objects, not {text_of(listed)[:_EXCERPT]!r}")
    return found


def _take_log(record: Mapping[str, Any], contents: Contents) -> None:
    """Keep a log record with a span's content, as some instrumentations write it instead of attributes."""
    attributes = values.decoded(values.field(record, "attributes"))
    name = values.field(record, "eventName") or attributes.get("event.name")
    context = _context(record)
    if context is None or not isinstance(name, str) or not name.startswith("gen_ai."):
        contents.left_out["logs"] += 1
        return
    body = values.plain_value(values.field(record, "body"))
    told = {**attributes, **({} if body is None else body if isinstance(body, Mapping) else {"content": body})}
    contents.logs.append((context, SpanEvent(name, told)))


def _span(span: Mapping[str, Any], where: str, contents: Contents) -> ReadSpan:
    name = text_of(values.field(span, "name") or "a span without a name")
    context = _context(span)
    if context is None:
        contents.note(f"{where}: the span {name[:_EXCERPT]!r} has no ids, so that its parent and children are unknown")
        context = SpanContext(0, len(contents.spans) + 1)
    parent = _id(values.field(span, "parentSpanId", "parentId"), 8)
    start = _moment(values.field(span, "startTimeUnixNano", "startTime"))
    end = _moment(values.field(span, "endTimeUnixNano", "endTime"))
    if start is not None and end is not None and end < start:
        contents.note(f"{where}: the span {name[:_EXCERPT]!r} ends before it starts")
        start = None
    events = [
        SpanEvent(text_of(event.get("name", "")), values.decoded(event.get("attributes")))
        for event in values.items(span, "events")
    ]
    return ReadSpan(
        name,
        context,
        None if parent is None else SpanContext(context.trace_id, parent),
        _flat(values.decoded(values.field(span, "attributes"))),
        events,
        start,
        end,
        _status(span.get("status"), span),
        where,
    )


def _context(span: Mapping[str, Any]) -> SpanContext | None:
    inner = span.get("context")
    ids: Mapping[str, Any] = inner if isinstance(inner, Mapping) else span
    trace, own = _id(values.field(ids, "traceId"), 16), _id(values.field(ids, "spanId"), 8)
    return None if trace is None or own is None else SpanContext(trace, own)


def _id(value: Any, size: int) -> int | None:
    """Read an id in hexadecimal, or in base64 as the general JSON form of Protocol Buffers has it."""
    if isinstance(value, str) and value.endswith("=") and len(value) <= 4 * size:
        try:
            raw = base64.b64decode(value, validate=True)
        except binascii.Error:
            return None
        return int.from_bytes(raw) if len(raw) == size else None
    return values.hex_id(value) if isinstance(value, str) and len(value) <= 2 * size + 2 else None


def _moment(value: Any) -> int | None:
    """Read a time in nanoseconds, or as ISO text."""
    if isinstance(value, str) and not value.strip().isdecimal():
        try:
            seconds = datetime.fromisoformat(value.strip().replace("Z", "+00:00")).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
        return values.nanoseconds(round(seconds * 1e6) * 1_000)
    return values.nanoseconds(value)


def _status(status: Any, span: Mapping[str, Any]) -> Status:
    told: Mapping[str, Any] = status if isinstance(status, Mapping) else {}
    code = values.field(told, "code", "statusCode")
    code = values.field(span, "statusCode") if code is None else code
    text = values.field(told, "message", "description")
    return Status(StatusCode("ERROR" if str(code) in _ERROR else "OK"), None if text is None else text_of(text))


def _flat(attributes: dict[str, Any]) -> dict[str, Any]:
    """Give attributes that are nested objects the names that they have without."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in _NESTED and isinstance(value, Mapping):
            _flatten(name, value, found)
        else:
            found[name] = value
    return found


def _flatten(prefix: str, value: Any, found: dict[str, Any]) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _flatten(f"{prefix}.{name}", inner, found)
    elif prefix.startswith("llm.") and isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, inner in enumerate(value):
            _flatten(f"{prefix}.{number}", inner, found)
    else:
        found[prefix] = value
