"""The page of the selected character, as of now or of the moment of the cursor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, ClassVar, Final

import pandas as pd

from ..pages.parts import Remark, Section, Table, cell
from ..pages.sections import event_table
from ..protocol.messages import MessageTypes
from ..store.questions import LLM_TYPES
from .cells import NO_TIME_NS, cell_text, detail_text, records, shorten
from .character_changes import CharacterChanges
from .characters import is_number
from .command_log import CommandLog, describe_error
from .conversations import said_of
from .event_log import with_summaries
from .findings_panel import FindingsNow
from .interfaces import CharactersNow, PanelCommands, PanelReader, PanelStatus
from .lane import lane_of
from .llm_table import call_body
from .panel import Panel, Update
from .refresh import Refresher
from .row_actions import RowActions

PERIOD_S: Final = 1.0
EVENTS: Final = 12
CALLS: Final = 6
MESSAGES: Final = 8
HISTORY: Final = 400
"""How many of a character's updates are drawn in its sparklines."""
PIECE: Final = 250
"""How many messages are read at once in the search for them."""
MOST_CALLS: Final = 20_000
MOST_TALK: Final = 2_000
"""How many of the last calls and messages are searched for those of a character; the page says so."""
TALK: Final = (MessageTypes.CHAT_MESSAGE,)
MOST_ATTRIBUTES: Final = 60
UPDATES: Final = (MessageTypes.CHARACTER_UPDATE,)
SECOND: Final = 1_000_000_000


class CharacterPage(Panel):
    """One character: state and its beginning, attributes with their histories, last events, calls and messages.

    The page shows the selected character, or always the same one if it was made for one.
    """

    title: ClassVar[str] = "character"
    script: ClassVar[str] = "character"

    def __init__(
        self,
        reader: PanelReader,
        status: PanelStatus,
        commands: PanelCommands,
        refresher: Refresher,
        *,
        character_id: str | None = None,
        findings: FindingsNow | None = None,
        actions: RowActions | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(refresher, **kwargs)
        self._findings = findings
        self._jobs = CommandLog(commands, self._done)
        self._changes = CharacterChanges(self._jobs, actions)
        self._reads: int | None = None  # the call that is open to be read
        self._reader = reader
        self._status = status
        self._commands = commands
        self._own = character_id
        self._drawn_at = -math.inf
        self._drawn_for: Any = None
        self._asked = 0
        self._tree: dict[str, Any] | None = None

    @property
    def who(self) -> str | None:
        """Return the character of the page."""
        return self._own if self._own is not None or self.cursor is None else self.cursor.selection.character_id

    def version(self) -> Any:
        """See `Panel`."""
        return self._reader.version, self.who, self._asked, self._found()

    def past_version(self) -> Any:
        """See `Panel`."""
        return self.who, self._asked, self._found()

    def _found(self) -> int:
        return 0 if self._findings is None else self._findings.version

    def _done(self) -> None:
        self._asked += 1
        self.refresh_soon()

    def refresh(self, now: float) -> int:
        """See `Panel`; drawn once a second, and at once for another character."""
        about = (self.who, self._asked, None if self.cursor is None else self.cursor.moment)
        if not self.flow.wants_full and about == self._drawn_for and now - self._drawn_at < PERIOD_S:
            return 0
        self._drawn_at, self._drawn_for = now, about
        return super().refresh(now)

    def snapshot(self) -> Update:
        """See `Panel`."""
        who, reader = self.who, self._reader
        if who is None:
            return Update({"character": None, "own": self._own is not None})
        present = self.town_of(reader)
        body: dict[str, Any] = {"character": who, "own": self._own is not None, "known": who in present.character_id}
        tree = self._tree if self._tree is not None and self._tree["of"] == who else None
        metrics = self._status.metrics()
        newest = reader.moment_of(reader.next_row - 1).time / SECOND if reader.next_row > reader.first_row else None
        body |= {"live": metrics.get("connection") == "live", "until": newest}
        body |= {"tree": tree, "can_inspect": metrics.get("connection") == "live" and metrics.get("dialect") == "v1"}
        if body["known"]:
            body |= self._state(present, present.character_id.index(who))
        body |= {"lane": lane_of(reader, who, self.moment), "findings": self._findings_about(who)}
        state = body.get("state") if self.moment is None else None
        body |= {"breaks": self._changes.breaks(who, state), "said": self._changes.said(who), "read": self._read()}
        stop = reader.next_row if self.moment is None else self.moment.row + 1
        body |= {"events": self._events(who), "calls": self._calls(who, stop), "chat": self._chat(who, stop)}
        body["searched"] = [
            [most, len(reader.rows_of(types, 0, stop))] for types, most in ((LLM_TYPES, MOST_CALLS), (TALK, MOST_TALK))
        ]
        return Update(body)

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        who, row = self.who, self.row_shown
        if who is None:
            return [Section(self.title, [Remark("No character is selected.")])]
        town = self._reader.characters() if row is None else self._reader.characters(row=row)
        if who not in town.index:
            return [Section(self.title, [Remark(f"{who} is not known at this moment.")])]
        facts = [[str(name), cell(value)] for name, value in town.loc[who].items() if cell(value)]
        rows = [event[0] for event in reversed(self._events(who))]
        columns, listed, _, numbers = event_table(self._reader, rows, len(rows))
        events = Table(columns, listed, len(rows), "event", numbers, "newest")
        return [Section(f"{self.title} {who}", [Table(("what", "value"), facts, len(facts), "value"), events])]

    def received(self, content: Any) -> None:
        """Ask the simulation for everything that it knows of the character."""
        who = self.who
        if not isinstance(content, dict) or who is None:
            return
        if isinstance(row := content.get("call"), int):
            self._reads = None if row == self._reads else row
            self._asked += 1
        elif not content.get("inspect"):
            self._changes.received(who, content, self._done)
        else:
            self._inspect(who)

    def _inspect(self, who: str) -> None:
        self._tree = {"of": who, "state": "sent", "value": None, "text": "asking …"}
        self._asked += 1
        future = self._commands.submit("inspect", {"character_id": who})
        future.add_done_callback(lambda done: self._inspected(who, done))

    def _inspected(self, who: str, done: Future[Any]) -> None:
        try:
            value = done.result()
        except Exception as error:  # noqa: BLE001 — shown where it was asked for
            self._tree = {"of": who, "state": "error", "value": None, "text": describe_error(error)}
        else:
            text = detail_text(value)
            self._tree = {"of": who, "state": "done", "value": value if len(text) < 100_000 else None, "text": text}
        self._asked += 1
        self.refresh_soon()

    def _read(self) -> dict[str, Any] | None:
        """Return the call that is open, or `None`."""
        calls = self._reader.calls_of([]) if self._reads is None else self._reader.calls_of([self._reads])
        return call_body(int(calls.index[0]), calls.iloc[0]) if len(calls) else None

    def _findings_about(self, who: str) -> list[list[Any]]:
        """Return what was found about a character: severity, text, and the first row of the evidence."""
        found = None if self._findings is None else self._findings.table
        if found is None or not len(found):
            return []
        mine = found[found["character_id"].eq(who).fillna(False).to_numpy(dtype=bool)]
        return [
            [str(each["severity"]), shorten(str(each["text"]), 400), each["rows"][0] if each["rows"] else None]
            for each in mine.to_dict("records")
        ]

    def _state(self, present: CharactersNow, at: int) -> dict[str, Any]:
        since, seen = int(present.since[at]), int(present.last_seen[at])
        reader = self._reader
        tick = None
        if since != NO_TIME_NS and reader.next_row > reader.first_row:
            row = reader.row_at(at=pd.Timestamp(since, unit="ns", tz="UTC"))
            tick = None if row is None else reader.moment_of(row).tick
        attributes = present.attributes[at]
        series = self._histories(present.character_id[at])
        shown = list(attributes.items())[:MOST_ATTRIBUTES]
        changing = sorted(shown, key=lambda item: -len(set(map(str, series.get(item[0], ())))))
        return {
            "state": present.state[at],
            "location": present.location[at],
            "since": None if since == NO_TIME_NS else since / SECOND,
            "since_tick": tick,
            "seen": None if seen == NO_TIME_NS else seen / SECOND,
            "attributes": [[name, cell_text(value), _numbers(series.get(name, []))] for name, value in changing],
            "more": max(0, len(attributes) - MOST_ATTRIBUTES),
        }

    def _until(self) -> dict[str, Any]:
        """Return the filter for events up to the moment shown."""
        if self.moment is None:
            return {}
        return {"until": pd.Timestamp(self.moment.time + 1_000, unit="ns", tz="UTC")}

    def _histories(self, who: str) -> dict[str, list[Any]]:
        frame = self._reader.events(UPDATES, character_id=who, last=HISTORY, payload=True, **self._until())
        found: dict[str, list[Any]] = {}
        for payload in frame["payload"]:
            for name, value in payload.items() if isinstance(payload, dict) else ():
                found.setdefault(name, []).append(value)
        return found

    def _events(self, who: str) -> list[list[Any]]:
        found = self._reader.events(character_id=who, last=EVENTS, payload=False, **self._until())
        frame = with_summaries(self._reader, found)
        rows = []
        for event in records(frame.iloc[::-1]):
            said = str(event.message)
            text = said if said.startswith(f"{event.type} ") else f"{event.type} {said}"
            rows.append([int(event.Index), _time(event.time), _whole(event.tick), shorten(text, 200)])
        return rows

    def _calls(self, who: str, stop: int) -> list[list[Any]]:
        mine = self._mine(LLM_TYPES, who, stop)[-CALLS:]
        calls = self._reader.calls_of(mine)
        return [
            [
                int(call.Index), _time(call.time), cell_text(call.prompt_type), cell_text(call.model),
                _real(call.latency_s), cell_text(call.error), cell_text(call.response),
            ]
            for call in records(calls.iloc[::-1])
        ]  # fmt: skip

    def _mine(self, types: Any, who: str, stop: int) -> list[int]:
        rows = self._reader.rows_of(types, 0, stop)[-MOST_CALLS:]
        frame = self._reader.frame_of(rows)
        mine: list[int] = frame.index[frame["character_id"].eq(who).to_numpy(dtype=bool)].tolist()
        return mine

    def _chat(self, who: str, stop: int) -> list[list[Any]]:
        """List the last messages with a character: searched backwards, a few at a time."""
        rows = self._reader.rows_of(TALK, 0, stop)[-MOST_TALK:]
        found: list[list[Any]] = []
        for end in range(len(rows), 0, -PIECE):
            frame = said_of(self._reader, self._reader.frame_of(rows[max(0, end - PIECE) : end])).iloc[::-1]
            mine = frame[[who in names for names in frame["names"]]]
            for event in records(mine.head(MESSAGES - len(found))):
                speaker = None if pd.isna(event.character_id) else str(event.character_id)
                to = shorten(event.to, 200)
                found.append([int(event.Index), _time(event.time), speaker, to, event.content or ""])
            if len(found) == MESSAGES:
                break
        return found


def _numbers(values: list[Any]) -> list[float] | None:
    """Return a history for a sparkline; `None` if it is not a series of differing numbers."""
    numbers = [float(value) for value in values if is_number(value)]
    return numbers[-120:] if len(numbers) > 1 and len(numbers) == len(values) and len(set(numbers)) > 1 else None


def _time(value: Any) -> float | None:
    return None if pd.isna(value) else float(value.timestamp())


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def _real(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
