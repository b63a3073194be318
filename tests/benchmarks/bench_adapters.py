"""What adapters cost the simulations that they show: a step of a Mesa model, and an update of DegentCivil's stand-in.

Mesa's wealth model in one process, alone and shown, in turns. The stand-in in processes of its own, its time on the CPU
for some updates, less that for fewer of them, so that starting and importing are left out; it sleeps most of the time.
`limit` is the simulation alone.

    python -m tests.benchmarks.bench_adapters --agents 1000 --steps 50 --updates 200
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import Any

from degentcivil_nb.adapters.mesa import attach
from degentcivil_nb.simulation import SimulationProbe
from tests.benchmarks.report import Row, finish, parser
from tests.support.mesa_examples import example
from tests.support.stand_in import HOME, MAIN, environment

ADAPTER = ["-m", "degentcivil_nb.adapters.degentcivil", "--port", "0"]
FEW = 10


def mesa(agents: int, steps: int) -> list[Row]:
    def timed(model: Any) -> float:
        began = time.perf_counter()
        model.step()
        return (time.perf_counter() - began) * 1e3

    with SimulationProbe(port=0) as probe:
        alone, shown = (example("BoltzmannWealth", n=agents, width=32, height=32) for _ in range(2))
        attach(shown, probe)
        times = [(timed(alone), timed(shown)) for _ in range(steps)]
        published = (probe.stats()["published"] or 0) / steps
    without, with_it = (statistics.median(side) for side in zip(*times, strict=True))
    return [
        Row(f"a step of Mesa with {agents:,} agents, shown", "ms", with_it, limit=without, limit_is="alone"),
        Row("… messages a step", "messages", published),
    ]


def stand_in(updates: int, rounds: int) -> list[Row]:
    def cpu_s(before: list[str], count: int) -> float:
        began = os.times()
        settings = {"updates": str(count), "update_s": "0.01", "sleep_scale": "0.0001", "latency_s": "0.01"}
        command = [sys.executable, *before, str(MAIN)]
        subprocess.run(command, cwd=HOME, env=environment(settings), capture_output=True, check=True)
        now = os.times()
        return now.children_user + now.children_system - began.children_user - began.children_system

    def an_update_ms(before: list[str]) -> float:
        return statistics.median(
            (cpu_s(before, updates) - cpu_s(before, FEW)) / (updates - FEW) * 1e3 for _ in range(rounds)
        )

    alone, shown = an_update_ms([]), an_update_ms(ADAPTER)
    return [Row("an update of DegentCivil's stand-in, shown", "ms of CPU", shown, limit=alone, limit_is="alone")]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--agents", type=int, default=1_000)
    arguments.add_argument("--steps", type=int, default=50, help="of the Mesa model")
    arguments.add_argument("--updates", type=int, default=200, help="of the stand-in")
    arguments.add_argument("--rounds", type=int, default=3, help="of the stand-in")
    options = arguments.parse_args()
    rows = mesa(options.agents, options.steps) + stand_in(options.updates, options.rounds)
    finish(rows, options.out)


if __name__ == "__main__":
    main()
