"""A simulation at full speed with a session in its process: what the session misses, and what waiting for it costs.

Three times the same run: with nobody connected; with a session, as it is; with a session and `keep_up_s`, where each
checkpoint waits until all that are connected have received everything.

    python -m tests.benchmarks.bench_keep_up --events 120000
"""

from __future__ import annotations

import contextlib
import time

import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe
from tests.benchmarks.report import Row, at_most, finish, parser


def run(events: int, a_tick: int, *, session: bool, keep_up_s: float | None = None) -> tuple[float, int, int]:
    """Publish at full speed; give the seconds it took, the events that are missing, and those in the session."""
    with contextlib.ExitStack() as open_:
        probe = open_.enter_context(SimulationProbe(port=0, keep_up_s=keep_up_s))
        held = open_.enter_context(dc.connect(probe, retention=10 * events)) if session else None
        began = time.perf_counter()
        for number in range(events):
            probe.state_change(f"agent-{number % 1000}", "MOVE", location="Park")
            if number % a_tick == a_tick - 1:
                probe.checkpoint(number // a_tick)
        took = time.perf_counter() - began
        if held is None:
            return took, 0, 0
        head = probe.flush()
        while len(held) + held.metrics()["missing"] != head:
            time.sleep(0.01)  # polls, as a notebook would: what it takes is measured in events
        return took, int(held.metrics()["missing"]), len(held)


def rows(events: int, a_tick: int) -> list[Row]:
    alone, _, _ = run(events, a_tick, session=False)
    fast, missing, _ = run(events, a_tick, session=True)
    kept, still_missing, stored = run(events, a_tick, session=True, keep_up_s=60)
    return [
        Row(f"missing of {events:,} events, keep_up_s", "events", still_missing, missing, "without", target=at_most(0)),
        Row(f"{events:,} events at full speed, keep_up_s", "s", kept, fast, "without", alone, "nobody connected"),
        Row("events in the session, keep_up_s", "events", stored, brief=False),
    ]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--events", type=int, default=120_000)
    arguments.add_argument("--a-tick", type=int, default=100)
    options = arguments.parse_args()
    finish(rows(options.events, options.a_tick), options.out)


if __name__ == "__main__":
    main()
