"""Promise 12: a breakpoint stops in the very tick that matched, once, whoever connects or leaves meanwhile."""

from __future__ import annotations

import random
import threading
from typing import Any

import degentcivil_nb as dc
from degentcivil_nb.protocol.breakpoints import BreakpointSpec
from degentcivil_nb.simulation import SimulationProbe
from tests.benchmarks.bench_breakpoints import conditions
from tests.soak.oracle import Tally
from tests.support.waiting import until

STATES = ("IDLE", "MOVE", "PLAN", "ACT")


class Crowd:
    """A run whose characters all tell something in each tick; in some ticks, which only it knows, one says a word."""

    def __init__(self, characters: int, seed: int) -> None:
        # a client that is slower than the run must not miss the events that matched: they are looked at
        self.probe = SimulationProbe(port=0, paused=True, history=200_000)
        self.said: list[int] = []
        self.published = 0
        self._rng = random.Random(seed)
        self._characters = characters
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def _live(self) -> None:
        tick = 0
        self.probe.checkpoint(tick)
        while not self._ended.is_set():
            tick += 1
            says = self._rng.randrange(self._characters) if self._rng.random() < 0.5 else None
            for one in range(self._characters):
                self.probe.state_change(f"c{one}", STATES[(tick + one) % 4], location="Park")
                if one == says:
                    self.said.append(tick)
                    self.probe.event("word", {"tick": tick}, character_id=f"c{one}")
            self.published += self._characters + (says is not None)
            self.probe.checkpoint(tick)

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.probe.finish()
        self._thread.join(60)
        self.probe.close()


def stops(times: int, characters: int, breakpoints: int = 100, seed: int = 0) -> Tally:
    """Let the run stop that many times under load; each stop is in the very tick, once, and at the very event."""
    tally = Tally()
    with Crowd(characters, seed) as crowd, dc.connect(crowd.probe, history=0, retention=50_000) as session:
        for number, condition in enumerate(conditions(breakpoints - 1)):
            session._breakpoints._specs[f"b{number}"] = BreakpointSpec(f"b{number}", condition)
        point = session.break_when("event_type == 'word'", name="word")
        for stop in range(times):
            session.resume()
            until(lambda: session._store.run_state == "paused")
            found = session.stopped()
            if (
                found is None
                or found.breakpoint != "word"
                or found.tick != crowd.said[stop]
                or found.also
                or found.matched is None
                or session.payload(found.matched)["data"]["tick"] != crowd.said[stop]
            ):
                tally.changed += 1
        tally.events, tally.stored = crowd.published, point.hits
        if not point.hits == times == len(crowd.said):
            tally.changed += 1
    return tally


def reconnects(times: int, clients: int = 5) -> Tally:
    """Have clients come and go during one stop: all learn why the run stands, and it stands once and where it did."""
    tally = Tally()
    with Crowd(50, 1) as crowd, dc.connect(crowd.probe, history=0) as session:
        session.break_when("event_type == 'word'", name="word")
        session.resume()
        until(lambda: session._store.run_state == "paused")
        tick = crowd.said[0]

        def come_and_go(count: int) -> None:
            for _ in range(count):
                with dc.connect(crowd.probe.url, history=0) as other:
                    until(lambda other=other: getattr(other.stopped(), "breakpoint", None) is not None)  # type: ignore[misc]
                    found: Any = other.stopped()
                    if (found.breakpoint, found.tick) != ("word", tick):
                        tally.changed += 1
                    tally.cuts += 1

        threads = [threading.Thread(target=come_and_go, args=(times // clients,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = session.stopped()
        if found is None or found.tick != tick or len(crowd.said) != 1 or len(session.stops()) != 1:
            tally.changed += 1
    return tally
