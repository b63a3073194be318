"""Import of traces: the spans of files, in the order of their times, become messages of a recording."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import Raw

from ..core.counting import counted
from ..core.escaping import visible
from ..protocol.errors import WebSocketError
from ..protocol.json_text import encode
from ..protocol.messages import Links, MessageTypes, RawMessage
from ..recordings.arrow_messages import RecordedMessage
from ..simulation.methods.calls import CallMethods
from ..simulation.methods.characters import CharacterMethods
from ..simulation.methods.events import EventMethods
from ..simulation.methods.thoughts import ThoughtMethods
from .genai_attributes import CARRIED, OWN, TOLD
from .genai_spans import agent_of, kind_of, read_group_message
from .opentelemetry import ProbeSpanProcessor
from .otlp_reading import Contents, ReadSpan, SpanContext, read_file
from .otlp_values import whole

_SECOND: Final = 1_000_000_000
_CHUNK: Final = 8_192
_MOST_NAMES: Final = 50
"""How many names of other spans are listed with their counts."""
_DEEPEST: Final = 1_000
"""How many parents are followed outwards."""


class Imported(NamedTuple):
    """The messages of an import, and its problems."""

    entries: list[RecordedMessage]
    problems: int
    first_problem: str | None
    summary: dict[str, Any]


class _Words(CharacterMethods, EventMethods, CallMethods, ThoughtMethods):
    """The publishing methods of a probe, without a server."""


class _Moment:
    """The envelope of the message that is published now."""

    tick: Any = None
    links: Links | None = None

    def handles_command(self) -> bool:
        """Return that no command runs."""
        return False


def import_files(paths: Sequence[Path]) -> Imported:
    """Read spans and publish them; `ValueError` if no file has any, `OSError` if a file cannot be read."""
    contents = Contents()
    for path in paths:
        read_file(path, contents)
    if not contents.spans:
        names = ", ".join(visible(path.name) for path in paths)
        reason = contents.problems[0] if contents.problems else "it is empty" if len(paths) == 1 else "they are empty"
        if contents.left_out:
            reason = "only " + " and ".join(sorted(contents.left_out))
        raise ValueError(
            f"{names} holds no spans ({visible(reason)}); import_traces reads OTLP as JSON lines, or the SDK's JSON"
        )
    return _Import(contents).run()


class _Import:
    """An import in progress."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._messages: list[RawMessage] = []
        self._now = 0
        self._words = _Words(self._publish, _Moment(), lambda: self._now / _SECOND)
        self._processor = ProbeSpanProcessor(self._words, remembered=len(contents.spans) + 1)
        self._characters: set[str] = set()
        self._shown = self._timeless = 0
        self._other: Counter[str] = Counter()
        self._left_out: dict[str, Any] = {}

    def run(self) -> Imported:
        """Publish all spans in the order of their times."""
        spans = self._with_logs(self._distinct(self._contents.spans))
        parents = _without_circles(spans, self._contents)
        agenda = sorted(self._agenda(spans, parents), key=lambda item: item[0])
        self._now = agenda[0][0][0]
        for problem in self._contents.problems:
            self._tell_problem(problem)
        missing = self._contents.unreadable - len(self._contents.problems)
        if missing:
            self._tell_problem(f"and {counted(missing, 'more problem')} like these")
        for (now, *_), tell, span in agenda:
            self._now = now
            tell(span)
        summary = self._summary(len(spans))
        self._words.event("import", summary)
        problems = self._contents.problems
        return Imported(self._entries(), self._contents.unreadable, problems[0] if problems else None, summary)

    def _distinct(self, spans: list[ReadSpan]) -> list[ReadSpan]:
        """Leave out duplicate spans: files are often appended to, or read together with older copies."""
        found: dict[SpanContext, ReadSpan] = {}
        for span in spans:
            if found.setdefault(span.context, span) is not span:
                self._other["the same span again"] += 1
        return list(found.values())

    def _with_logs(self, spans: list[ReadSpan]) -> list[ReadSpan]:
        by_context = {span.context: span for span in spans}
        for context, event in self._contents.logs:
            if context in by_context:
                by_context[context].events.append(event)
            else:
                self._contents.left_out["logs"] += 1
        return spans

    def _agenda(
        self, spans: list[ReadSpan], depths: dict[SpanContext, int]
    ) -> Iterator[tuple[tuple[int, ...], Callable[[ReadSpan], None], ReadSpan]]:
        """Yield the steps of the import, each with a sort key: at equal times, parents start first and end last."""
        last = 0
        for number, span in enumerate(spans):
            start, end = span.start_time, span.end_time
            if start is None and end is None:
                self._timeless += 1
                start = end = last
            begin = start if start is not None else end if end is not None else last
            done = end if end is not None else begin
            last = done
            own = self._own(span)
            if own == self._tell_run:
                yield (done, 3, 0, number), own, span
                continue
            if own is not None:
                seq = whole(span.attributes.get(OWN + "seq"), 0)
                yield (_own_time(span, done), 1, seq, number), own, span
                continue
            depth = depths[span.context]
            yield (begin, 1, depth, number), self._processor.on_start, span
            yield (done, 2 if begin == done else 0, -depth, number), self._end, span

    def _end(self, span: ReadSpan) -> None:
        if kind_of(span.attributes) is not None or read_group_message(span.attributes) is not None:
            self._shown += 1
        else:
            self._other[span.name] += 1
        agent = agent_of(span.name, span.attributes)
        if agent is not None:
            self._introduce(agent)
        self._processor.on_end(span)

    # --- spans of our own export -------------------------------------------------------------------------------------

    def _own(self, span: ReadSpan) -> Callable[[ReadSpan], None] | None:
        """Return the function that publishes a span of our own export; `None` for any other span."""
        kind = span.attributes.get(OWN + "type")
        if kind == "run":
            return self._tell_run
        if kind == "decision":
            return self._tell_decision
        if kind not in TOLD:
            return None
        try:
            payload = json.loads(span.attributes.get(OWN + "payload", ""))
        except (ValueError, TypeError, RecursionError):
            self._contents.note(f"{span.where}: {OWN}payload of the span {span.name[:60]!r} is damaged")
            return None
        if kind == MessageTypes.LLM_CALL and isinstance(payload, dict):
            for key, name in CARRIED.items():
                if key not in payload and isinstance(span.attributes.get(name), str):
                    payload[key] = span.attributes[name]
        return lambda span: self._tell_own(kind, payload, span)

    def _tell_own(self, kind: str, payload: Any, span: ReadSpan) -> None:
        told = span.attributes
        cause, id = told.get(OWN + "cause"), told.get(OWN + "event_id")
        causes = [item for item in cause if isinstance(item, str)] if isinstance(cause, list) else []
        links = Links(None, id if isinstance(id, str) else None, causes[0] if len(causes) == 1 else causes or None)
        tick = whole(told.get(OWN + "tick"))
        self._shown += 1
        self._publish(kind, payload, tick if tick is not None and tick >= 0 else None, self._now / _SECOND, None, links)

    def _tell_run(self, span: ReadSpan) -> None:
        """Publish the final characters of an exported run."""
        for name, attributes in _object(span.attributes.get(OWN + "characters")).items():
            self._characters.add(name)
            self._words.update(name, attributes if isinstance(attributes, dict) else {})
        self._left_out = _object(span.attributes.get(OWN + "left_out"))

    def _tell_decision(self, span: ReadSpan) -> None:
        agent = agent_of(span.name, span.attributes)
        if agent is not None:
            self._introduce(agent)

    # --- messages ----------------------------------------------------------------------------------------------------

    def _introduce(self, name: str) -> None:
        if name not in self._characters:
            self._characters.add(name)
            self._words.update(name, {})

    def _publish(
        self,
        type: str,
        data: Any,
        tick: int | None = None,
        timestamp: float | None = None,
        receipt: Any = None,
        links: Links | None = None,
    ) -> None:
        links = links or Links()
        payload = Raw(encode(data))
        self._messages.append(
            RawMessage(type, payload, timestamp, None, tick, event_id=links.event_id, cause=links.cause)
        )

    def _tell_problem(self, text: str) -> None:
        self._words.error(WebSocketError.INVALID_MESSAGE, text)

    def _summary(self, spans: int) -> dict[str, Any]:
        others = dict(self._other.most_common(_MOST_NAMES))
        rest = sum(self._other.values()) - sum(others.values())
        if rest:
            others["of further names"] = rest
        told: dict[str, Any] = {
            "spans": spans,
            "shown": self._shown,
            "left_out": {**others, **{name: count for name, count in self._contents.left_out.items() if count}},
            "without_time": self._timeless,
            "problems": self._contents.unreadable,
        }
        if self._left_out:
            told["left_out_at_export"] = self._left_out
        return told

    def _entries(self) -> list[RecordedMessage]:
        received = time.time()
        starts = range(0, len(self._messages), _CHUNK)
        return [RecordedMessage(self._messages[start : start + _CHUNK], received, None) for start in starts]


def _object(text: Any) -> dict[str, Any]:
    """Return a JSON object from its text; an empty one for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _own_time(span: ReadSpan, end: int) -> int:
    """Return the time of an event that a span was made of, which may be before 1970."""
    told = span.attributes.get(OWN + "time")
    return int(whole(told, end)) if told is not None and whole(told, end) > -(2**63) else end


def _without_circles(spans: Iterable[ReadSpan], contents: Contents) -> dict[SpanContext, int]:
    """Return the depth of each span, at most a thousand; a span that is its own ancestor gets no parent."""
    by_context = {span.context: span for span in spans}
    depths: dict[SpanContext, int] = {}
    for span in by_context.values():
        way: list[ReadSpan] = []
        on_way: set[SpanContext] = set()
        at: ReadSpan | None = span
        while at is not None and at.context not in depths:
            if at.context in on_way:
                contents.note(
                    f"{at.where}: the span {at.name[:60]!r} is its own ancestor: it is shown without a parent"
                )
                at.parent = None
                break
            on_way.add(at.context)
            way.append(at)
            at = None if at.parent is None else by_context.get(at.parent)
        depth = 0 if at is None else depths.get(at.context, -1) + 1
        for inner in reversed(way):
            depths.setdefault(inner.context, min(depth, _DEEPEST))
            depth += 1
    return depths
