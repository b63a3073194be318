"""The base of every panel: a widget without shared state, updated by numbered messages, alone or in a dashboard."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar, Final, NamedTuple, Protocol

import msgspec

from ..core.escaping import visible
from ..core.text_of import clean
from ..pages.parts import Section
from ..store.moments import RowMoment
from .cells import shorten
from .cursor import Cursor
from .flow import Flow
from .interfaces import CharactersNow, PanelReader, Standing
from .page_widget import PageWidget, Part
from .refresh import Refresher

logger = logging.getLogger("degentcivil_nb.widgets")

BEAT_S: Final = 1.0
"""How often a page that shows a panel gets a message, even without changes; `liveness.js` relies on it."""
ENVELOPE: Final = 1_800
"""The additional bytes of an update: the kernel's envelope, and the busy and idle messages of its acknowledgement."""


class Host(Protocol):
    """A widget that shows panels among others."""

    def send(self, content: Any, buffers: list[bytes | memoryview] | None = None) -> None: ...
    def keep_still(self, now: float) -> None: ...


class Update(NamedTuple):
    """The content of one message: JSON, and binary buffers beside it."""

    body: dict[str, Any]
    buffers: list[bytes | memoryview] = []  # noqa: RUF012 — the default of a NamedTuple field, never modified


class Panel(PageWidget):
    """A view of a run that is updated while a page shows it, and costs nothing otherwise.

    A subclass has four methods, all called on the refresher's thread: `version()`, `snapshot()`, `changes()` and
    `received(content)`; `script` names its page side, which registers itself in `static/…js`. In the past, and after
    every move of the cursor, `snapshot` of a panel that follows the cursor is called for `moment`.
    """

    title: ClassVar[str] = ""
    """The title of the panel's tab."""
    script: ClassVar[str] = ""
    """The name of the script that draws it."""
    follows_cursor: ClassVar[bool] = True
    """Whether the panel shows the town as of the cursor; others always show the present or the whole run."""
    marks_cursor: ClassVar[bool] = False
    """Whether a move of the cursor changes nothing but the page's own mark of the moment, so that nothing is read."""
    reads_much: ClassVar[bool] = False
    """Whether an update may take seconds in a long run, so that the panel has a thread of its own."""
    rate_hz: ClassVar[float | None] = None
    """How often such a thread draws at most; `None` for as often as all others."""

    def __init__(
        self, refresher: Refresher, *, cursor: Cursor | None = None, host: Host | None = None, place: str = ""
    ) -> None:
        self.cursor = cursor
        self.moment: RowMoment | None = None
        """The moment that the last snapshot was made for; `None` for the present."""
        self.host = host
        self.flow = Flow()
        self._seen: Any = None
        self._failure: str | None = None  # what was sent to the pages
        self._logged: str | None = None
        self._stood: Standing | None = None  # the session's standing that the pages were sent
        self._pointed = 0  # the version of the cursor that the pages were sent
        self._said_at = 0.0
        key = uuid.uuid4().hex
        self.part = Part(key, self.script, self.title, place)
        self._front = refresher
        super().__init__(refresher.own(self.rate_hz) if self.reads_much else refresher, [self.part], key=key)
        self._refresher.add(self)

    def open(self) -> None:
        """Open the panel's own comms; a panel in a dashboard has none until it is shown alone too."""
        if self.host is None:
            super().open()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        if self.comm is None:
            PageWidget.open(self)
        return super()._repr_mimebundle_(**kwargs)

    def send(self, content: Any, buffers: list[bytes | memoryview] | None = None) -> None:
        """Send a message to every page that shows the panel."""
        if self.host is not None:
            self.host.send(content, buffers)
        super().send(content, buffers)

    # --- defined by a subclass ----------------------------------------------------------------------------------

    def version(self) -> Any:
        """Return a value, at little cost, that differs if there is something new to show."""
        return None

    def past_version(self) -> Any:
        """Return the version while an earlier moment is shown; new events do not change it."""
        return 0

    def snapshot(self) -> Update:
        """Return everything to show; `changes` counts from here."""
        raise NotImplementedError

    def changes(self) -> Update | None:
        """Return what changed since the last `snapshot` or `changes`; by default everything. `None`: nothing."""
        return self.snapshot()

    def still(self) -> Sequence[Section]:
        """Return what a saved notebook shows of the panel; called on any thread."""
        return ()

    def received(self, content: Any) -> None:
        """Process a user's action without blocking. The panel is refreshed right after."""

    @property
    def row_shown(self) -> int | None:
        """Return the row of the cursor's moment; `None` for the present."""
        moment = None if self.cursor is None or not self.follows_cursor else self.cursor.moment
        return None if moment is None else moment.row

    def town_of(self, reader: PanelReader) -> CharactersNow:
        """Return the characters as of the moment shown, which several panels show at once: they are looked up once."""
        if self.moment is None:
            return reader.present_columns()
        row = self.moment.row
        if self.cursor is None:
            return reader.past_columns(row)
        known = self.cursor.town
        if known is None or known[:2] != (reader, row):
            known = self.cursor.town = (reader, row, reader.past_columns(row))
        town: CharactersNow = known[2]
        return town

    @property
    def moved(self) -> bool:
        """Return whether the cursor has moved since the last drawing, so that the panel is drawn at once."""
        return self.follows_cursor and self.cursor is not None and self.cursor.moment != self.moment

    def moment_shown(self) -> str:
        """See `PageWidget`."""
        return "as of now" if self.row_shown is None else f"as of row {self.row_shown:,}"

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
        moment = None if self.cursor is None or not self.follows_cursor else self.cursor.moment
        moved = moment != self.moment
        whole = self.flow.wants_full or (moved and not self.marks_cursor)
        self.moment = moment
        version = self.version() if moment is None else self.past_version()
        if not whole and self._failure is None and version is not None and version == self._seen:
            return Update({}) if moved else None
        self._seen = version
        if whole or self._failure is not None:
            self.flow.wants_full = True  # until it is sent
            return self.snapshot()
        return self.changes()

    def _send_update(self, update: Update, now: float) -> int:
        body = encode_body(update.body)
        whole = self.flow.wants_full
        buffers = [body, *update.buffers]
        moment = None if self.moment is None else moment_body(self.moment)
        self._say("update", now, buffers, n=self.flow.sent(now), full=whole, moment=moment)
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
        """See `View`: a beat each second, and at once if the standing or the cursor has changed."""
        pointed = 0 if self.cursor is None else self.cursor.version
        news = self._refresher.standing() != self._stood or pointed != self._pointed
        if self.flow.watched and (news or now - self._said_at >= BEAT_S):
            self._say("beat", now)
        (self.host or self).keep_still(now)

    def say_reading(self, now: float) -> None:
        """See `View`."""
        self._say("beat", now, reading=True)

    def _say(self, kind: str, now: float, buffers: list[bytes | memoryview] | None = None, **more: Any) -> None:
        self._said_at, self._stood = now, self._refresher.standing()
        standing = None if self._stood is None else self._stood._asdict()
        if standing is not None:
            standing["what"] = visible(shorten(standing["what"], 500))  # it may contain an error from the wire
        self.send(
            {"panel": self.part.key, "kind": kind, "standing": standing, "cursor": self._point(), **more}, buffers
        )

    def _point(self) -> dict[str, Any] | None:
        if self.cursor is None:
            return None
        self._pointed, moment, selection = self.cursor.version, self.cursor.moment, self.cursor.selection
        return {
            "moment": None if moment is None else moment_body(moment),
            "character": selection.character_id,
            "row": selection.row,
        }

    # --- input --------------------------------------------------------------------------------------------------

    def take(self, content: Any) -> None:
        """See `PageWidget`."""
        points = self.host is not None and isinstance(content, dict) and content.get("kind") == "point"
        refresher = self._front if points else self._refresher  # the cursor does not wait for a panel that reads
        refresher.post(lambda: self._handle(content))

    def _handle(self, content: Any) -> None:
        if not isinstance(content, dict) or not isinstance(client := content.get("client"), str):
            return
        now = self._refresher.now()
        match content.get("kind"):
            case "ack":
                drawn = content.get("drawn")
                number = drawn.get(self.part.key) if isinstance(drawn, dict) else None
                if type(number) is not int:  # of a page of another version, or of no page
                    return
                self.flow.acknowledge(client, number)
                if self.follows_cursor and self.cursor is not None and self.cursor.moment != self.moment:
                    self._poke()  # the cursor has moved meanwhile
            case "show" | "hole":
                self.flow.show(client)
                self._failure = None  # the new page does not show it yet
                self.refresh(now)
            case "hide":
                self.flow.hide(client)
            case "point":
                self._move(content.get("content"), now)
            case "input":
                try:
                    self.received(content.get("content"))
                except Exception as error:  # noqa: BLE001 — as in refresh
                    self._fail(error, now)
                self.refresh_soon()

    def _move(self, content: Any, now: float) -> None:
        """Move the cursor or select, as a page requests; a moment that cannot be shown is a failure in the panel."""
        if self.cursor is None or not isinstance(content, dict):
            return
        try:
            point(self.cursor, content)
        except (ValueError, KeyError) as error:
            self._fail(error, now)

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
        super().close()


def point(cursor: Cursor, content: dict[str, Any]) -> None:
    """Move a cursor as a page requests: `live`, `row`, `tick`, `time` (seconds), `select` (a character, a row)."""
    if content.get("live"):
        cursor.back_to_live()
    if isinstance(chosen := content.get("select"), dict):
        who, row = chosen.get("character"), chosen.get("row")
        cursor.select(who if isinstance(who, str) else None, row if isinstance(row, int) else None)
    moved: dict[str, Any] = {
        name: value
        for name in ("row", "tick", "time")
        if isinstance(value := content.get(name), int | float) and not isinstance(value, bool)
    }
    if moved:
        cursor.at(**moved)


def moment_body(moment: RowMoment) -> dict[str, Any]:
    """Return a moment for the page, with its time in seconds."""
    return {"row": moment.row, "tick": moment.tick, "time": moment.time / 1e9}


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
