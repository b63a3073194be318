"""Injected faults of a network, a server or a simulation, for tests and demonstrations."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ..core.arguments import flag, number, positive_number, whole_number
from ..core.names import did_you_mean
from ..server.simulation_websocket import SimulationWebSocket
from ..simulation.probe import SimulationProbe

log = logging.getLogger("degentcivil_nb.demo")

MALFORMED: Final[dict[str, str | bytes]] = {
    "not_json": '{"type": "state_change", "data": {',
    "not_utf8": b'{"type": "\xff\xfe"}',
    "no_type": '{"data": {"character_id": "emma"}}',
    "wrong_type": '{"type": 7, "data": null}',
    "wrong_payload": '{"type": "state_change", "data": {"character_id": null, "new_state": ["MOVE"]}}',
    "array": "[1, 2, 3]",
    "nan": '{"type": "event_notification", "data": NaN}',
    "bad_seq": '{"type": "event_notification", "data": null, "seq": -1}',
    "bad_batch": '{"type": "batch", "data": [{"type": 1}, 7, "x"]}',
    "deep": '{"type": "x", "data": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "huge_number": '{"type": "x", "timestamp": 1' + "0" * 400 + "}",
    "surrogate": '{"type": "\\ud800", "data": null}',
}
"""Frames that are not messages, by what is wrong with them."""

_BURST_S: Final = 0.005


async def send_malformed(server: SimulationWebSocket, kinds: Sequence[str], count: int) -> int:
    """Send invalid frames to every client, outside the stream; return how many were sent."""
    sent = 0
    for websocket in list(server.clients):
        try:
            for _ in range(count):
                for kind in kinds:
                    frame = MALFORMED[kind]
                    await websocket.send(frame, text=True)
                    sent += 1
        except ConnectionClosed:
            continue  # a client may close after one of them
    return sent


async def disconnect(server: SimulationWebSocket, which: int | None, clean: bool, code: int) -> int:
    """End one connection, or all: cut, or with a proper close; return how many."""
    websockets = list(server.clients) if which is None else list(server.clients)[which : which + 1]
    if clean:
        await asyncio.gather(*(_close(websocket, code) for websocket in websockets))
    else:
        for websocket in websockets:
            websocket.transport.abort()
    return len(websockets)


async def _close(websocket: ServerConnection, code: int) -> None:
    await websocket.close(code, "a fault on purpose")


async def stall(seconds: float) -> None:
    """Block the server's loop, as on a busy machine."""
    time.sleep(seconds)  # noqa: ASYNC251 — blocking the loop is the point


class Flood:
    """Events at a steady rate from a thread of its own; `wait` returns how many."""

    def __init__(
        self, probe: SimulationProbe, rate: float, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not rate > 0 or not seconds > 0:
            raise ValueError(f"a flood has a rate and a duration above 0, not {rate!r:.40} for {seconds!r:.40} s")
        self._probe = probe
        self._rate = rate
        self.total = round(rate * seconds)
        """How many events there will be, unless it is stopped."""
        self._clock = clock
        self._stopping = threading.Event()
        self._published = 0
        self._thread = threading.Thread(target=self._run, name="degentcivil-flood", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._publish()
        except Exception:  # the thread's last resort: a failure must be visible
            log.exception("a flood ended after %d of %d events", self._published, self.total)

    def _publish(self) -> None:
        started = self._clock()
        event = self._probe.event
        while self._published < self.total and not self._stopping.is_set():
            due = min(int((self._clock() - started) * self._rate) + 1, self.total)
            for position in range(self._published, due):
                event("flood", {"n": position})
            self._published = due
            self._stopping.wait(_BURST_S)

    @property
    def alive(self) -> bool:
        """Return whether the flood is running."""
        return self._thread.is_alive()

    def wait(self) -> int:
        """Wait for the flood's end, and return the number of events published."""
        self._thread.join()
        return self._published

    def stop(self) -> None:
        """Stop the flood early."""
        self._stopping.set()
        self._thread.join()


OPTIONS: Final[dict[str, dict[str, Callable[[str, Any], Any]]]] = {
    "malformed": {
        "kinds": lambda _, value: chosen_kinds(value),
        "count": lambda name, value: whole_number(name, value, 0),
    },
    "disconnect": {
        "which": lambda name, value: None if value is None else whole_number(name, value, 0),
        "clean": flag,
        "code": lambda name, value: whole_number(name, value, 1000),
    },
    "stall": {"seconds": lambda name, value: number(name, value, 0, "seconds")},
    "flood": {"rate": positive_number, "seconds": positive_number, "wait": flag},
    "restart": {},
}
"""The options of each fault, and how each is checked."""


def checked_options(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return a fault's options, checked; an error names an unknown or impossible one."""
    known = OPTIONS[kind]
    for name in options:
        if name not in known:
            raise TypeError(
                f"the fault {kind!r:.80} has no option {name!r:.80}{did_you_mean(name, known) or ';'} "
                f"it takes {', '.join(known) or 'none'}"
            )
    return {name: known[name](name, value) for name, value in options.items()}


def chosen_kinds(kinds: str | Sequence[str] | None) -> list[str]:
    """Return the requested kinds of malformed frames; `ValueError` lists them."""
    if kinds is not None and not isinstance(kinds, str | list | tuple | set | frozenset):
        raise ValueError(
            f"kinds must be names of malformed frames, not {kinds!r:.80}; there are {', '.join(MALFORMED)}"
        )
    chosen = list(MALFORMED) if kinds is None else [kinds] if isinstance(kinds, str) else list(kinds)
    unknown: list[Any] = [kind for kind in chosen if kind not in MALFORMED]
    if unknown:
        raise ValueError(f"no malformed frame is called {unknown[0]!r}; there are {', '.join(MALFORMED)}")
    return chosen
