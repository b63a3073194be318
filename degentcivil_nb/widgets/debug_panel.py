"""The debugger's panel: making, switching and removing breakpoints, the stops of the run, and watches."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Final

import pandas as pd

from ..pages.parts import Section
from ..pages.sections import stops_of
from .cells import cell_text, records, shorten
from .panel import Panel, Update
from .refresh import Refresher

NOTHING_SAID: Final[dict[str, Any]] = {"text": "", "failed": False, "about": "break"}
STOPS: Final = 100
SHOWN: Final = ("name", "condition", "owner", "problem", "hits", "log", "last_tick", "last_character_id")
LOOKED_BACK: Final = 20_000
"""How many of the newest watch values are searched for the last value of each watch."""


ANSWERS: Final = 20
"""How many of the newest requests a page is told the outcome of, each by the name that the page gave it."""


class DebugPanel(Panel):
    """Breakpoints of all notebooks, the stops so far, and watches; breakpoints are made and changed here."""

    title: ClassVar[str] = "debug"
    script: ClassVar[str] = "debug"
    follows_cursor: ClassVar[bool] = False

    def __init__(self, run: Any, version: Callable[[], int], refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self._run = run
        self._version = version
        self._said: dict[str, Any] = NOTHING_SAID
        self._lock = threading.Lock()  # guards the next two
        self._asked: deque[tuple[Callable[[], Any], str, str]] = deque()
        self._answered: deque[tuple[str, bool]] = deque(maxlen=ANSWERS)
        self._refused: dict[str, str] = {}  # why the last request of a kind was refused
        self._about = ""  # the kind of request that the simulation is asked for
        self._busy = False
        self._changed = 0
        self._told: dict[str, Any] | None = None

    def version(self) -> Any:
        """See `Panel`."""
        return self._version(), self._changed, self._control()

    def snapshot(self) -> Update:
        """See `Panel`."""
        return Update(self._state())

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        return [stops_of(self._run, 30)]

    def changes(self) -> Update | None:
        """See `Panel`."""
        before, state = self._told, self._state()
        return None if state == before else Update(state)

    def _state(self) -> dict[str, Any]:
        run, table, stops = self._run, self._run.breakpoints(), self._run.stops()
        stopped = run.stopped() if hasattr(run, "stopped") else None
        mine = set(run._breakpoints.names()) if hasattr(run, "_breakpoints") else set()
        self._told = {
            "breakpoints": [_breakpoint(row, mine) for row in table.to_dict("records")],
            "stops": [
                [
                    None if pd.isna(stop.time) else float(stop.time.timestamp()), cell_text(stop.stopped),
                    cell_text(stop.name), cell_text(stop.character_id),
                    None if pd.isna(stop.matched) else int(stop.matched),
                ]
                for stop in records(stops.tail(STOPS).iloc[::-1])
            ],
            "all_stops": len(stops),
            **self._watches(),
            "control": self._control(),
            "stopped": "" if stopped is None else str(stopped),
            "can": hasattr(run, "break_when"),
            "said": self._said,
            "answers": [list(each) for each in list(self._answered)],
            "refused": dict(self._refused),
            "asking": self._about,
            "busy": self._busy,
        }  # fmt: skip
        return self._told

    def _watches(self) -> dict[str, Any]:
        """List the watches: the last value for each character, and whether the watch is this notebook's."""
        if not hasattr(self._run, "watches"):
            return {"watches": [], "all_watches": 0, "values": 0, "searched": 0}
        values = self._run.watches()
        told = values.tail(LOOKED_BACK)
        heard = {str(name) for name in values["name"].unique()}
        last = told.groupby(["name", "character_id"], dropna=False, observed=True, sort=False).tail(1)
        mine = self._run._watches.names() if hasattr(self._run, "_watches") else []
        rows = [
            {
                "name": str(row.name), "character": cell_text(row.character_id), "value": cell_text(row.value),
                "tick": cell_text(row.tick), "row": int(row.Index), "mine": row.name in mine,
            }
            for row in records(last.tail(STOPS))
        ]  # fmt: skip
        waiting = [name for name in mine if name not in heard]
        nothing = {"character": None, "value": None, "tick": None, "row": None, "mine": True}
        shown = [*rows, *({"name": name, **nothing} for name in waiting)]
        return {
            "watches": shown, "all_watches": len(last) + len(waiting), "values": len(values), "searched": len(told),
        }  # fmt: skip

    def _control(self) -> dict[str, Any] | None:
        """Return who may change the run, and what this notebook can do about it."""
        if not hasattr(self._run, "take_control"):
            return None
        state = self._run._lease.state
        return {"text": str(state), "mine": state.mine, "asked": state.mine and state.asker is not None}

    def received(self, content: Any) -> None:
        """Make, change, switch or remove a breakpoint or a watch, ask for control or give it back; each takes time."""
        run = self._run
        if not isinstance(content, dict) or not hasattr(run, "break_when"):
            return
        ask = content.get("ask")
        do = partial(self._do, ask=ask[:40] if isinstance(ask, str) else "")
        match content:
            case {"break": str(text)}:
                do(lambda: self._set(text[:2_000], content))
            case {"watch": str(text)}:
                do(lambda: run.watch(text[:2_000]), "watch")
            case {"unwatch": str(name)}:
                do(lambda: run._watches.remove(name), "watch")
            case {"control": "take"}:
                do(run.take_control, "control")
            case {"control": "give"}:
                do(run.release_control, "control")
            case {"name": str(name), "enable": bool(on)}:
                do(lambda: run._breakpoints.enable(name, on))
            case {"name": str(name), "remove": True}:
                do(lambda: run._breakpoints.remove(name))

    def _set(self, text: str, content: dict[str, Any]) -> None:
        """Make a breakpoint, or change the named one."""
        hits, name = content.get("hits"), content.get("name")
        often = hits if isinstance(hits, int) and not isinstance(hits, bool) and hits > 0 else 1
        known = isinstance(name, str) and self._run._breakpoints.has(name)
        log = self._run._breakpoints.spec(name).log if known else None
        once = content.get("once") is True
        self._run.break_when(text, hits=often, once=once, log=log, name=name if known else None)

    def _do(self, work: Callable[[], Any], about: str = "break", *, ask: str = "") -> None:
        """Run this after all earlier requests, on a thread, since the simulation's answer takes time."""
        with self._lock:
            self._asked.append((work, about, ask))
            if self._busy:
                return
            self._busy = True
        threading.Thread(target=self._work, name="degentcivil-breakpoints", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                asked = self._asked.popleft() if self._asked else None
                self._busy = asked is not None
                self._about = "" if asked is None else asked[1]
            self._changed += 1
            self.refresh_soon()
            if asked is None:
                return
            work, about, ask = asked
            try:
                work()
                self._said = NOTHING_SAID
                self._refused = {kind: said for kind, said in self._refused.items() if kind != about}
                self._answered.append((ask, False))
            except Exception as error:  # noqa: BLE001 — the user pressed a button and sees any failure
                reason = str(error).split("\n")[0] or type(error).__name__  # what follows repeats the condition
                self._said = {"text": shorten(reason, 1_000), "failed": True, "about": about}
                self._refused = {**self._refused, about: shorten(reason, 1_000)}
                self._answered.append((ask, True))


def _breakpoint(row: dict[Any, Any], mine: set[str]) -> dict[str, Any]:
    told: dict[str, Any] = {name: cell_text(row.get(name)) for name in SHOWN}
    flags = {name: bool(row.get(name)) for name in ("enabled", "verified", "once")}
    return {**told, **flags, "stops_at": int(row.get("stops_at") or 1), "mine": told["name"] in mine}
