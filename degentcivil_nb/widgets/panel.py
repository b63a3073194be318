"""The base of every panel: a widget without shared state, updated by numbered messages, with its own input comm."""

from __future__ import annotations

import logging
import uuid
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import anywidget
import msgspec
import traitlets

from ..core.escaping import visible
from ..core.text_of import clean
from .cells import shorten
from .flow import Flow
from .input_comm import TARGET, InputComms
from .interfaces import Standing
from .refresh import Refresher

logger = logging.getLogger("degentcivil_nb.widgets")

STATIC: Final = Path(__file__).parent / "static"
SHARED: Final = ("text.js", "icons.js", "liveness.js", "panel.js")
"""The scripts in front of each panel's own."""
BEAT_S: Final = 1.0
"""How often a page that shows a panel gets a message, even without changes; `liveness.js` relies on it."""
ENVELOPE: Final = 1_800
"""Bytes of an update beside its own: the kernel's envelope, and the busy and idle messages of its acknowledgement."""


@cache
def compose(*names: str) -> str:
    """Join files of `static/` into one script or style sheet: anywidget takes one text for a widget."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in names)


class Update(NamedTuple):
    """The content of one message: JSON, and binary buffers beside it."""

    body: dict[str, Any]
    buffers: list[bytes | memoryview] = []  # noqa: RUF012 — the default of a NamedTuple field, never modified


class Panel(anywidget.AnyWidget):
    """A view of a run that is updated while a page shows it, and costs nothing otherwise.

    A subclass has four methods, all called on the refresher's thread: `version()`, `snapshot()`, `changes()` and
    `received(content)`; its script (`static/…js`, joined behind `SHARED` by `compose`) exports `panel({receive,
    render})`.
    """

    title: ClassVar[str] = ""
    """The title of the panel's tab."""

    _key = traitlets.Unicode().tag(sync=True)
    """The key by which the page's input comm finds this panel; set once."""
    _target = traitlets.Unicode(TARGET).tag(sync=True)
    """The input comm's target; set once."""
    _aside = traitlets.Bool(False).tag(sync=True)
    """Whether a head line beside it already states why the data is not current; set once."""

    def __init__(self, refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(_key=uuid.uuid4().hex, **kwargs)
        self.flow = Flow()
        self._refresher = refresher
        self._seen: Any = None
        self._failure: str | None = None  # what the pages were told
        self._logged: str | None = None
        self._stood: Standing | None = None  # what the pages were told of the session
        self._said_at = 0.0
        self._inputs = InputComms(self._key, self._hear)
        self.on_msg(lambda _widget, content, _buffers: self._hear(content))
        refresher.add(self)

    # --- defined by a subclass ----------------------------------------------------------------------------------

    def version(self) -> Any:
        """Return a cheap value that differs if there is something new to show."""
        return None

    def snapshot(self) -> Update:
        """Return everything to show; `changes` counts from here."""
        raise NotImplementedError

    def changes(self) -> Update | None:
        """Return what changed since the last `snapshot` or `changes`; by default everything. `None`: nothing."""
        return self.snapshot()

    def received(self, content: Any) -> None:
        """Process a user's action without blocking. The panel is refreshed right after."""

    # --- drawing, on the refresher's thread ---------------------------------------------------------------------

    def refresh(self, now: float) -> int:
        """Send one update if there is something new; an exception is shown in the panel and logged once."""
        try:
            update = self._next()
        except Exception as error:  # noqa: BLE001 — a failure is shown in the panel and must not stop the others
            return self._fail(error, now)
        if update is None:
            return 0
        self._failure = None
        return self._send_update(update, now)

    def _next(self) -> Update | None:
        version = self.version()
        whole = self.flow.wants_full
        if not whole and self._failure is None and version is not None and version == self._seen:
            return None
        self._seen = version
        if whole or self._failure is not None:
            self.flow.wants_full = True  # until it is sent
            return self.snapshot()
        return self.changes()

    def _send_update(self, update: Update, now: float) -> int:
        body = encode_body(update.body)
        whole = self.flow.wants_full
        buffers = [body, *update.buffers]
        self._say("update", now, buffers, n=self.flow.sent(now), full=whole)
        return ENVELOPE + sum(len(buffer) if isinstance(buffer, bytes) else buffer.nbytes for buffer in buffers)

    def _fail(self, error: Exception, now: float) -> int:
        text = f"{type(error).__name__}: {error}"
        if text == self._failure:
            return 0
        self._failure = text
        if text != self._logged:
            self._logged = text
            logger.error("the panel %r failed", self.title, exc_info=error)
        self._say("failure", now, [encode_body({"text": text[:2000]})], n=self.flow.sent(now))
        return ENVELOPE + len(text)

    def beat(self, now: float) -> None:
        """See `View`: a beat each second, and at once if the standing has changed."""
        if self.flow.watched and (now - self._said_at >= BEAT_S or self._refresher.standing() != self._stood):
            self._say("beat", now)

    def _say(self, kind: str, now: float, buffers: list[bytes | memoryview] | None = None, **more: Any) -> None:
        self._said_at, self._stood = now, self._refresher.standing()
        standing = None if self._stood is None else self._stood._asdict()
        if standing is not None:
            standing["what"] = visible(shorten(standing["what"], 500))  # it may contain an error from the wire
        self.send({"kind": kind, "standing": standing, **more}, buffers)

    # --- input --------------------------------------------------------------------------------------------------

    def _hear(self, content: Any) -> None:
        self._refresher.post(lambda: self._handle(content))

    def _handle(self, content: Any) -> None:
        if not isinstance(content, dict) or not isinstance(client := content.get("client"), str):
            return
        now = self._refresher.now()
        match content.get("kind"):
            case "ack":
                self.flow.acknowledge(client, int(content.get("n", 0)))
            case "show" | "hole":
                self.flow.show(client)
                self._failure = None  # the new page does not show it yet
                self.refresh(now)
            case "hide":
                self.flow.hide(client)
            case "input":
                try:
                    self.received(content.get("content"))
                except Exception as error:  # noqa: BLE001 — as in refresh
                    self._fail(error, now)
                self.refresh_soon()

    def refresh_soon(self) -> None:
        """Refresh soon, from any thread: a reaction to a user's action should not wait for the next turn."""
        self._refresher.post(self._poke)

    def _poke(self) -> None:
        self.flow.due = 0.0
        if self.flow.ready():
            self.refresh(self._refresher.now())

    # --- the end ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Remove the panel from every page and release everything. Idempotent."""
        self._refresher.remove(self)
        self._inputs.close()
        layout = self.layout
        super().close()
        layout.close()


def encode_body(body: dict[str, Any]) -> bytes:
    """Encode a message's body as JSON; broken Unicode is shown as escapes."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return msgspec.json.encode(_cleaned(body))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(item) for item in value]
    return value
