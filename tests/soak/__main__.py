"""Run the promises 1, 2, 4, 7, 8, 11, 12, 14 and 15 at any size: `python -m tests.soak --scale 1`.

Prints a table and writes the figures as JSON; fails when one of them does not hold. `--only` names some of them.
At full size they take a quarter of an hour on two cores. The `4`s time how long messages take, so nothing else may
run beside them; the others may share the machine. `tests/soak/test_promises.py` says how promise 3 is run at full size.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from degentcivil_nb.server.stream.feed import BATCH_S, CROWDED_S
from tests.soak import answers, between, commands, crowd, cuts, leaks, stops, values
from tests.soak.oracle import Tally

COLUMNS = {
    "cuts": "cuts",
    "events": "events",
    "stored": "stored",
    "lost": "lost",
    "duplicated": "doubled",
    "gaps": "gaps",
    "false_gaps": "false",
    "recovered_p50_s": "p50 s",
    "recovered_p99_s": "p99 s",
    "recovered_max_s": "max s",
}


def promises(scale: float) -> dict[str, Callable[[], Tally]]:
    """Give what is measured, by name, at a scale of the sizes in docs/promises.md."""

    def many(full: int, least: int = 1) -> int:
        return max(least, round(full * scale))

    towns, clients = (5, 10) if scale > 0.1 else (1, 4)  # one after another: fifty at once would wait for one loop

    def cut() -> Tally:
        tally = Tally()
        for town in range(towns):
            tally.add(asyncio.run(cuts.cuts(clients, many(10_000, 200) // (towns * clients), seed=town)))
        return tally

    def stalled(batch_s: float) -> Tally:
        seconds = 20 if scale > 0.1 else 3
        return asyncio.run(crowd.slow_clients(many(200, 6), many(50, 4), seconds, batch_s=batch_s))

    return {
        "1 cuts": cut,
        "2 overflows": lambda: asyncio.run(cuts.overflows(many(1_000, 20))),
        "2 kills": lambda: asyncio.run(cuts.kills(many(500, 10))),
        "4 stalled": lambda: stalled(BATCH_S),
        "4 one wait": lambda: stalled(CROWDED_S),
        "4 storm": lambda: asyncio.run(crowd.storm(many(500, 20))),
        "7 commands": lambda: asyncio.run(commands.commands(many(5_000, 100), clients=8)),
        "8 connections": lambda: asyncio.run(leaks.connections(many(10_000, 200))),
        "8 dashboards": lambda: leaks.dashboards(many(1_000, 20)),
        "8 servers": lambda: leaks.servers(many(200, 4)),
        "11 values": lambda: values.values(many(5_000, 5)),
        "12 stops": lambda: stops.stops(many(1_000, 20), many(5_000, 100)),
        "12 reconnects": lambda: stops.reconnects(many(500, 10)),
        "14 answers": lambda: answers.same_answers(many(20), 2_000 if scale > 0.1 else 100),
        "15 between": lambda: asyncio.run(between.transient(scale)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.02, help="1 is the full size; 0.02 that of every change")
    parser.add_argument("--only", default="", help="the promises whose names begin so, such as '1' or '8 d'")
    parser.add_argument("--json", type=Path, default=Path("build/promises.json"), help="where the figures go")
    chosen = parser.parse_args()
    logging.getLogger("degentcivil_nb").setLevel(logging.CRITICAL)  # each cut is a line otherwise
    found: dict[str, Any] = {"scale": chosen.scale, "promises": {}}
    print(f"{'promise':<14}" + "".join(f"{title:>10}" for title in COLUMNS.values()) + f"{'took s':>10}  holds")
    faults = 0
    for name, prove in promises(chosen.scale).items():
        if not name.startswith(chosen.only):
            continue
        began = time.monotonic()
        tally = prove()
        figures = tally.figures() | {"took_s": round(time.monotonic() - began, 1), "faults": tally.faults}
        found["promises"][name] = figures
        faults += tally.faults + len(tally.beyond)
        row = "".join(f"{figures[column]:>10,}" for column in COLUMNS)
        print(f"{name:<14}{row}{figures['took_s']:>10,}  {'no' if tally.faults or tally.beyond else 'yes'}", flush=True)
        print("".join(f"{'':<14}{key}: {value}\n" for key, value in tally.more.items()), end="", flush=True)
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
