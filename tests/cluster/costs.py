"""The cost of each prompt type over many runs: a cluster of several processes, and DuckDB on one machine beside it.

    python -m tests.cluster.costs --runs 200 --events 20000 --workers 4

Both are asked `--rounds` times, and their answers compared; the median counts.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from dask.distributed import Client

import degentcivil_nb as dc
from tests.benchmarks.bench_questions import median
from tests.benchmarks.made_recording import make
from tests.benchmarks.report import Row, finish, parser


def measure(folder: Path, workers: int, rounds: int) -> list[Row]:
    """Ask the cluster, ourselves and bare DuckDB."""
    runs = dc.open_runs(folder, verify=False)
    events = int(runs.table(characters=False)["events"].sum())
    files = f"read_parquet('{folder}/*/segment-*.parquet')"
    bare = f"select prompt_type, sum(cost_usd) as cost from {files} where prompt_type is not null group by 1 order by 1"
    ours = "select prompt_type, sum(cost_usd) as cost from llm_calls group by 1 order by 1"
    database, answers = duckdb.connect(), {}

    def keep(name: str, answer: Any) -> None:
        answers[name] = answer.astype(float)

    def cluster() -> None:
        costs = runs.dask(columns=["prompt_type", "cost_usd"]).groupby("prompt_type").cost_usd.sum(split_out=1)
        keep("cluster", costs.compute().sort_index())

    with Client(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0") as client:
        client.wait_for_workers(workers)
        cluster()  # workers import
        took, each = median(cluster, rounds)
    sql, _ = median(lambda: keep("sql", runs.sql(ours).set_index("prompt_type")["cost"]), rounds)
    peer, _ = median(lambda: keep("duckdb", database.sql(bare).df().set_index("prompt_type")["cost"]), rounds)
    for name in ("cluster", "sql"):
        np.testing.assert_allclose(answers[name], answers["duckdb"], err_msg=name)
    what = f"cost by prompt type, {len(runs)} runs, {events:,} events"
    return [
        Row(f"{what}: {workers} worker processes", "s", took, peer, "DuckDB", each=each),
        Row(f"{what}: runs.sql()", "s", sql, peer, "DuckDB"),
    ]


def main(made: Path) -> None:
    """Make the runs, and ask."""
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=200)
    options.add_argument("--events", type=int, default=20_000, help="of each run")
    options.add_argument("--workers", type=int, default=4)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    for seed in range(chosen.runs):
        make(made / f"seed-{seed}", chosen.events, seed=seed)
    finish(measure(made, chosen.workers, chosen.rounds), chosen.out)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        main(Path(name))
