"""Logs that can be lived with: repeats counted instead of written, secrets withheld, context as fields."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .escaping import visible, visible_lines
from .redaction import redacted

ROOT: Final = "degentcivil_nb"
ROOMS: Final = (
    *("core", "server", "server.websockets", "client", "client.wire", "store", "simulation"),
    *("recordings", "replay", "demo", "session", "widgets", "traffic"),
)
"""One logger a layer: `degentcivil_nb.server` and so on."""
_MAX_KEYS: Final = 1_000
_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Seen(NamedTuple):
    since: float
    times: int


class Repeats(logging.Filter):
    """Let the first `burst` records of one line of code pass in any `window_s` seconds, and count the rest.

    The next that passes has the number as its field `repeated`, and says it. DEBUG is let alone.
    """

    def __init__(self, *, burst: int = 5, window_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._burst = burst
        self._window_s = window_s
        self._clock = clock
        self._seen: OrderedDict[tuple[str, int, int], _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Begin anew: nothing counts as a repeat."""
        with self._lock:
            self._seen.clear()

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide on a record."""
        if record.levelno <= logging.DEBUG:
            return True
        now = self._clock()
        key = (record.pathname, record.lineno, record.levelno)
        with self._lock:
            seen = self._seen.get(key)
            if seen is None or now - seen.since >= self._window_s:
                self._seen[key] = _Seen(now, 1)
                self._seen.move_to_end(key)
                if len(self._seen) > _MAX_KEYS:
                    self._seen.popitem(last=False)
                silenced = 0 if seen is None else max(0, seen.times - self._burst)
            else:
                self._seen[key] = _Seen(seen.since, seen.times + 1)
                if seen.times >= self._burst:
                    return False
                silenced = 0
        if silenced:
            record.repeated = silenced
            record.msg = f"{record.getMessage()} ({silenced} more like it before)"
            record.args = ()
        return True


class RedactionFilter(logging.Filter):
    """Withhold tokens in what a record says, in its fields and in its traceback; escape what steers a terminal."""

    _formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask a record, in place."""
        said = record.getMessage()
        # the library logs headers as a name and a value
        if isinstance(record.args, tuple) and any(str(part).lower() == "authorization" for part in record.args[:1]):
            said = f"{record.args[0]}: (withheld)"
        record.msg, record.args = visible(redacted(said)), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = visible_lines(redacted(record.exc_text))
        for name, value in fields_of(record).items():
            if isinstance(value, str):
                setattr(record, name, redacted(value))
        return True


class JsonLines(logging.Formatter):
    """Write a record as one line of JSON: `time`, `level`, `logger`, `message`, its own fields, and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line: dict[str, Any] = {
            "time": record.created,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, default=str)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Give what the caller passed as `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


def install_filters(*, burst: int = 5, window_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
    """Put both filters on the loggers of this package, once: a filter on a parent does not see its children's."""
    for name in (ROOT, *(f"{ROOT}.{room}" for room in ROOMS)):
        logger = logging.getLogger(name)
        if not any(isinstance(held, RedactionFilter) for held in logger.filters):
            logger.addFilter(Repeats(burst=burst, window_s=window_s, clock=clock))
            logger.addFilter(RedactionFilter())
