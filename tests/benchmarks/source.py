"""A server in a process of its own that publishes at the rate that it is told, as a simulation does from its thread.

Now and then there is a marker among the events: an `event_notification`, and a `character_update` of the character
`marker` whose attribute `n` counts them; every event's tick is the number of markers so far. The process keeps when
each was published.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

from degentcivil_nb.core.portal import Portal
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from tests.support.paths import ROOT

STATES = ("IDLE", "MOVE", "PLAN", "ACT", "CHATING", "TRADE")
PLACES = ("Park", "Cafe", "Library", "Market")
PAUSE_S = 0.002


class Publisher:
    """Publish on a thread of its own."""

    def __init__(self, server: SimulationWebSocket, characters: int, marker_s: float) -> None:
        self._server = server
        self._names = [f"character-{number:04d}" for number in range(characters)]
        self._marker_s = marker_s
        self._published = 0
        self._markers: list[float] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def rate(self, per_s: float) -> None:
        """Publish at this rate from now on; 0 for not at all."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=(per_s,), daemon=True) if per_s else None
        if self._thread is not None:
            self._thread.start()

    def report(self) -> dict[str, Any]:
        """Say what was published so far, and when each marker was (seconds since the Unix epoch)."""
        return {"published": self._published, "markers": self._markers, "cpu_s": time.process_time()}

    def _run(self, per_s: float) -> None:
        chance = random.Random(0)
        began, sent, due = time.perf_counter(), 0, 0.0
        while not self._stop.wait(PAUSE_S):
            elapsed = time.perf_counter() - began
            if self._marker_s and elapsed >= due:
                due = elapsed + self._marker_s * chance.uniform(0.5, 1.5)
                self._mark()
            while sent < per_s * elapsed:
                self._event()
                sent += 1

    def _event(self) -> None:
        number = self._published
        now = time.time()
        data = {
            "character_id": self._names[number * 7_919 % len(self._names)],
            "new_state": STATES[number % 6],
            "location": PLACES[number % 4],
            "timestamp": now,
        }
        self._server.publish("state_change", data, len(self._markers), now)
        self._published += 1

    def _mark(self) -> None:
        now = time.time()
        self._markers.append(now)
        number = len(self._markers)
        update = {"character_id": "marker", "n": number, "timestamp": now}
        self._server.publish("character_update", update, number, now)
        happened = {"event_type": "marker", "data": {"n": number}, "timestamp": now}
        self._server.publish("event_notification", happened, number, now)
        self._published += 2


def serve(characters: int, marker_s: float) -> None:
    """Obey a line each: `rate N`, or `report`; answers with a line of JSON."""
    with Portal("source") as portal:
        server = SimulationWebSocket("127.0.0.1", 0)
        portal.call(server.start)
        publisher = Publisher(server, characters, marker_s)
        print(json.dumps({"url": server.url}), flush=True)
        for line in sys.stdin:
            order, _, number = line.strip().partition(" ")
            if order == "rate":
                publisher.rate(float(number))
            print(json.dumps(publisher.report()), flush=True)
        publisher.rate(0)
        portal.call(server.close)


class Source:
    """Be the process, seen from the program that measures; a context manager."""

    def __init__(self, *, characters: int = 500, marker_s: float = 0.0) -> None:
        sizes = ["--characters", str(characters), "--marker-s", str(marker_s)]
        command = [sys.executable, "-m", "tests.benchmarks.source", *sizes]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.url: str = self._answer()["url"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that publishes has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _order(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        return self._answer()

    def rate(self, per_s: float) -> int:
        """Set the rate, 0 for silence; gives how many were published so far."""
        return int(self._order(f"rate {per_s}")["published"])

    def report(self) -> dict[str, Any]:
        return self._order("report")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--characters", type=int, default=500)
    parser.add_argument("--marker-s", type=float, default=0.0)
    options = parser.parse_args()
    serve(options.characters, options.marker_s)


if __name__ == "__main__":
    main()
