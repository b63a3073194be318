"""What breakpoints cost the simulation, in microseconds of its own thread an event.

A town of many characters tells changes of state, attributes and events, in the mix of a run. Once with no breakpoint,
once with many, some of which are evaluated at each change of state and never hold; in one burst, and evenly at a rate.
Beside it: the evaluation of one condition by itself, and a checkpoint with no breakpoint. Times are those of the thread
(`time.thread_time_ns`). Rounds with and without breakpoints take turns, since a machine is slower in one minute than in
the next: what the breakpoints add is the median of the differences of neighbouring rounds, with the least and the
largest of them; the times beside it are medians, too. Prints a table with the machine's load, and writes it as JSON
with `--out`.

    python -m tests.benchmarks.bench_breakpoints --characters 5000 --events 100000 --rate 10000
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import degentcivil_nb as dc
from degentcivil_nb.expressions.conditions import compile_condition
from degentcivil_nb.protocol.breakpoints import BreakpointSpec
from degentcivil_nb.simulation import SimulationProbe

TICKS: Final = 1_000
STATES: Final = ("IDLE", "MOVE", "PLAN", "ACT", "TRADE", "BARGAIN")
EVERYWHERE: Final = (
    "new_state != 'DEAD' and wealth > 1e9",
    "type == 'state_change' and wealth > 1e9",
    "contains(location, 'Atlantis') and type == 'state_change'",
    "type == 'state_change' and tick > 1_000_000_000",
    "previous_state == 'DEAD' or type == 'state_change' and wealth < 0",
    "type == 'state_change' and wealth > 2e9 and mood == 'calm'",
)
"""Conditions that are evaluated at each change of state: neither its type nor a text that it says decides them."""


def conditions(count: int) -> list[str]:
    """Give that many conditions: those about every change of state, and others about one character or one kind each."""
    others = [
        (
            f"character_id == 'c{n}' and new_state == 'DEAD'",
            f"event_type == 'kind-{n}' and data['price'] > 1e9",
            f"type == 'error' and code == {n}",
            f"entered('STATE-{n}')",
        )[n % 4]
        for n in range(count)
    ]
    return [*EVERYWHERE, *others][:count]


def tell(probe: SimulationProbe, characters: int, numbers: range) -> None:
    """Tell events in the mix of a run: five changes of state, three attributes, two events."""
    for number in numbers:
        whose, kind = f"c{number * 7919 % characters}", number % 10
        if kind < 5:
            probe.state_change(whose, STATES[number // 10 % 6], location="Park")
        elif kind < 8:
            probe.character_update(whose, wealth=number, mood="calm")
        else:
            probe.event("trade", {"price": 3, "with": "emma"}, character_id=whose)


def least(work: Callable[[], object], rounds: int) -> int:
    """Run something in some rounds; give the least time of this thread in ns."""
    found = []
    for _ in range(rounds):
        began = time.thread_time_ns()
        work()
        found.append(time.thread_time_ns() - began)
    return min(found)


def evenly(work: Callable[[range], None], events: int, rate: float) -> int:
    """Tell events at a rate, in slices of 5 ms; give the time of this thread in ns, without the sleeps."""
    slice_of, took, due = max(1, round(rate * 0.005)), 0, time.monotonic()
    for first in range(0, events, slice_of):
        began = time.thread_time_ns()
        work(range(first, min(first + slice_of, events)))
        took += time.thread_time_ns() - began
        due += slice_of / rate
        time.sleep(max(0.0, due - time.monotonic()))  # keeps the pace that is asked for
    return took


def measure(characters: int, breakpoints: int, events: int, rounds: int, rate: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with SimulationProbe(port=0, history=10_000) as probe, dc.connect(probe, history=0, types="nothing") as session:

        def told() -> None:
            tell(probe, characters, range(events))
            probe.flush()

        def stand() -> None:
            for _ in range(TICKS):
                probe.checkpoint()

        def costs() -> tuple[float, float]:
            told()
            even = evenly(lambda numbers: tell(probe, characters, numbers), events, rate)
            return least(told, 1) / events / 1e3, even / events / 1e3

        def declare(specs: dict[str, BreakpointSpec]) -> None:
            session._breakpoints._specs.clear()
            session._breakpoints._specs.update(specs)
            session._breakpoints._declare()

        stop = least(stand, rounds) / TICKS / 1e3
        specs = {
            f"b{number}": BreakpointSpec(f"b{number}", text) for number, text in enumerate(conditions(breakpoints))
        }
        bare: list[tuple[float, float]] = []
        judged: list[tuple[float, float]] = []
        for number in range(rounds):
            turns = [({}, bare), (specs, judged)]
            for declared, found in turns if number % 2 == 0 else turns[::-1]:
                declare(declared)
                found.append(costs())
    for turn, how in enumerate(("in a burst", f"at {rate:,.0f}/s")):
        pairs = [(without[turn], among[turn]) for without, among in zip(bare, judged, strict=True)]
        added = sorted(among - without for without, among in pairs)
        without, among = (statistics.median(times) for times in zip(*pairs, strict=True))
        rows.append({"what": f"an event {how}, no breakpoint", "us": round(without, 2)})
        rows.append({"what": f"an event {how}, {breakpoints} breakpoints", "us": round(among, 2)})
        share = {"what": f"… of that the breakpoints, {how}", "us": round(statistics.median(added), 2)}
        rows.append({**share, "least": round(added[0], 2), "most": round(added[-1], 2)})
    rows.append({"what": "a checkpoint, no breakpoint", "us": round(stop, 2)})
    scope = {"type": "state_change", "state": "MOVE", "wealth": 12, "tick": 3, "location": "Park"}
    tests = [compile_condition(text).test for text in EVERYWHERE]
    times = max(1, events // 10)
    one = least(lambda: [test(scope) for _ in range(times) for test in tests], rounds) / times / len(tests) / 1e3
    rows.append({"what": "an evaluation", "us": round(one, 2)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--characters", type=int, default=200)
    parser.add_argument("--breakpoints", type=int, default=100)
    parser.add_argument("--events", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=10_000)
    parser.add_argument("--out", type=Path, help="write the table as JSON")
    args = parser.parse_args()
    rows = measure(args.characters, args.breakpoints, args.events, args.rounds, args.rate)
    print(f"{'µs':>8}  what (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors)")
    for row in rows:
        between = f" (rounds: {row['least']} to {row['most']})" if "least" in row else ""
        print(f"{row['us']:>8}  {row['what']}{between}")
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
