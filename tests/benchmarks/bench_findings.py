"""What findings that are searched for live cost the notebook.

First the processor time of a search over what is held after some minutes of a town at a rate, and how long the schedule
of the panel rests after it: the share of a core that it takes. Then a cell that counts in pure Python in a real kernel:
in silence, while events come in, and while findings are searched for as well, as the panel does. The ways take turns,
in either direction, and each is compared with the others of its round; the mean counts, so that a search that falls
into a cell is not left out.

    python -m tests.benchmarks.bench_findings --minutes 1 5 --rounds 4
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from statistics import mean

from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.widgets.findings_panel import FindingsNow
from tests.benchmarks.bench_kernel import SETTLE_S, SETUP, count_steps
from tests.benchmarks.kernel import Kernel
from tests.benchmarks.report import Row, at_most, finish, parser
from tests.benchmarks.source import Source
from tests.support.planted_runs import Held, PlantedTown

CHARACTERS, TICKS = 100, 300
PATIENCE_S = 600.0
STEP_S = 0.2
SEARCH = """
from degentcivil_nb.widgets.findings_panel import FindingsNow

class Searches:  # as often as a panel asks, which is drawn five times a second
    def __init__(self):
        self.on = self.ended = False
        self.now = FindingsNow(run)
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
    def look(self):
        while not self.ended:
            if self.on:
                self.now.look(len(run) + run.metrics()["evicted"], lambda: None)
            time.sleep(0.2)  # as often as panels are drawn

searches = Searches()
"""
WAYS = ("silence", "events", "findings")


def messages(count: int, rate: float) -> Iterator[list[RawMessage]]:
    """Give so many events of a town, which lives through the same day again and again, at a rate."""
    day, sent = list(PlantedTown(3, characters=CHARACTERS, ticks=TICKS).parts()), 0
    for again in range(sys.maxsize):
        for part in day:
            told = []
            for one in part[: count - sent]:
                sent += 1
                tick = (one.tick or 0) + again * TICKS
                told.append(RawMessage(one.type, one.data, 1e9 + sent / rate, sent, tick))
            yield told
            if sent == count:
                return


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def share(minutes: float, rate: float) -> list[Row]:
    """Search as the panel does while events come in, and give the share of a core that the fifth search takes.

    The first one makes what later ones keep, and the others settle how long the schedule rests.
    """
    count, sent = int(60 * minutes * rate), 0
    store = EventStore(max_rows=count + 1)
    coming = messages(sys.maxsize, rate)

    def until(events: float) -> None:
        nonlocal sent
        while sent < events:
            part = next(coming)
            store.append(part, 1e9, "epoch")
            sent += len(part)

    until(count)
    clock, found = Clock(), threading.Event()
    now = FindingsNow(Held(store), clock)
    now.look(1, found.set)
    _wait(found)
    for version in range(2, 6):
        rest = 0.0
        began, cpu = time.perf_counter(), time.process_time()
        while not (now.looking or found.is_set()):  # the clock goes on until the schedule lets the panel search again
            clock.now += STEP_S
            rest += STEP_S
            until(count + rate * clock.now)
            began, cpu = time.perf_counter(), time.process_time()
            now.look(version, found.set)
        _wait(found)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    what = f"findings searched for live, {minutes:g} min at {rate:,.0f} events/s held ({count:,} events)"
    return [
        Row(what, "% of a core", 100 * cpu / (rest + seconds), target=at_most(2)),
        Row("… a search", "s of CPU", cpu, brief=False),
        Row("… the time between two searches", "s", rest, brief=False),
    ]


def _wait(found: threading.Event) -> None:
    if not found.wait(PATIENCE_S):
        raise RuntimeError("a search for findings did not end")
    found.clear()


def counting(rate: float, rounds: int, cell_s: float) -> list[Row]:
    """Count in a kernel in each way, round by round; one session takes the events of all rounds in."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with Source() as source, Kernel() as kernel:
        kernel.run(SETUP)
        kernel.run(f"run = dc.connect({source.url!r}, history=0, retention=10_000_000)")
        kernel.run(SEARCH)
        steps = int(1_000_000 * cell_s / min(count_steps(kernel, 1_000_000) for _ in range(3)))
        for number in range(rounds):
            for way in WAYS[:: 1 if number % 2 == 0 else -1]:
                source.rate(0 if way == "silence" else rate)
                kernel.run(f"searches.on = {way == 'findings'}")
                time.sleep(SETTLE_S)  # events come in steadily by then
                found[way].append(count_steps(kernel, steps))
        source.rate(0)
        searched = int(kernel.run("searches.ended = True\nsearches.thread.join()\nprint(searches.now.version)"))
        kernel.run("run.close()")
    silence, events, findings = (mean(found[way]) for way in WAYS)
    what = f"a cell that counts while findings are searched for in {rate:,.0f} events/s"
    beside = tuple(one / other for one, other in zip(found["findings"], found["events"], strict=True))
    return [
        Row(what, "× the same events", findings / events, target=at_most(1.05), each=beside),
        Row("… beside silence", "× silence", findings / silence, events / silence, "events alone"),
        Row("… searches meanwhile", "", searched, brief=False),
    ]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rate", type=float, default=10_000, help="events a second")
    arguments.add_argument("--minutes", type=float, nargs="*", default=[1, 5, 15], help="of events that are held")
    arguments.add_argument("--rounds", type=int, default=4, help="of the cell that counts, each way; 0: none")
    arguments.add_argument("--cell-s", type=float, default=10.0, help="how long the cell takes in silence")
    options = arguments.parse_args()
    rows = [row for minutes in options.minutes for row in share(minutes, options.rate)]
    if options.rounds:
        rows += counting(options.rate, options.rounds, options.cell_s)
    finish(rows, options.out)


if __name__ == "__main__":
    main()
