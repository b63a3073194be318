"""Log filters and formats: repeats are counted instead of written, secrets withheld, context passed on as fields."""

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
    *("core", "server", "server.websockets", "client", "client.wire", "store", "simulation", "adapters"),
    *("recordings", "replay", "demo", "session", "widgets", "traffic"),
)
"""The loggers, one for each package: `degentcivil_nb.server` and so on."""
_MAX_KEYS: Final = 1_000  # lines of code whose repeats are counted; the package logs from far fewer
SAID_ONCE: Final = {"said_once": True}
"""The `extra=` of a record that is logged once a kind: its repeats are left out already, and other kinds are none."""
_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", *SAID_ONCE}


class _Seen(NamedTuple):
    since: float
    times: int


class Repeats(logging.Filter):
    """A filter that passes the first `burst` records of one line of code in any `window_s` seconds and counts the rest.

    The next record that passes carries that number in its field `repeated` and in its text. DEBUG records always pass,
    and those that are logged once a kind (`SAID_ONCE`).
    """

    def __init__(self, *, burst: int = 5, window_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._burst = burst
        self._window_s = window_s
        self._clock = clock
        self._seen: OrderedDict[tuple[str, int, int], _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Reset the filter: no earlier record counts as a repeat."""
        with self._lock:
            self._seen.clear()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be logged."""
        if record.levelno <= logging.DEBUG or hasattr(record, "said_once"):
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
    """A filter that withholds tokens in a record's text, fields and traceback, and escapes control characters."""

    _formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact a record in place; return True."""
        text = record.getMessage()
        # websockets logs headers as a name and a value
        if isinstance(record.args, tuple) and any(str(part).lower() == "authorization" for part in record.args[:1]):
            text = f"{record.args[0]}: (withheld)"
        record.msg, record.args = visible(redacted(text)), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = visible_lines(redacted(record.exc_text))
        for name, value in fields_of(record).items():
            if isinstance(value, str):
                setattr(record, name, redacted(value))
        return True


class JsonLines(logging.Formatter):
    """A format of one JSON object a line: `time`, `level`, `logger`, `message`, `exception` and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
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
    """Return the fields that the caller passed as `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


def install_filters(*, burst: int = 5, window_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
    """Add both filters to each logger of this package once; a filter on a parent does not apply to its children."""
    for name in (ROOT, *(f"{ROOT}.{room}" for room in ROOMS)):
        logger = logging.getLogger(name)
        if not any(isinstance(held, RedactionFilter) for held in logger.filters):
            logger.addFilter(Repeats(burst=burst, window_s=window_s, clock=clock))
            logger.addFilter(RedactionFilter())
