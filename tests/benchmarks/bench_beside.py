"""Store, client and publish of this checkout beside those of another one, an older commit, in one run.

Each checkout has one process, which measures a case when it is told to; the two take turns within each pair of rounds,
so that both see the same machine. Times are CPU times of the thread that decodes, stores, receives or publishes, in
microseconds an item; `ours` and `peer` are the least of all rounds, and the row below is the median of the pairs'
ratios, which a machine that is busy for a while changes less. A worktree of the other commit is made with
`git worktree add ../old 36f6bde` and its own environment in `.venv` (this one's Python is used if there is none).

    python -m tests.benchmarks.bench_beside --old ../old --pairs 12
    python -m tests.benchmarks.bench_beside --old ../old --only publish --clients 0 20 100
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks.bench_fanout import Client
from tests.benchmarks.report import Row, at_most, finish, parser
from tests.benchmarks.sender import sending
from tests.support.paths import ROOT

KINDS = {
    "decoding": ("one type", "mixed", "100 a frame"),
    "storing": ("one type", "mixed", "100 a frame"),
    "client": ("one type", "100 a frame"),
    "publish": ("state_change", "event", "character_update", "1,000 agents", "own type"),
}
BARE = {"state_change": "bare, state_change", "event": "bare, event", "own type": "bare, own type"}
"""The least that a publish could be: an encode and an append of the same payload."""
SAME = {name: f"same bytes, {name}" for name in BARE}
"""The same with all that a message has on the wire, its time and its tick too: for information, without a target."""


class Worker:
    """Be the process of one checkout; a context manager."""

    def __init__(self, checkout: Path, sender: str, events: int, burst: int) -> None:
        own = checkout / ".venv" / "bin" / "python"
        program = Path(__file__).with_name("beside_worker.py")
        command = [own if own.exists() else sys.executable, program, checkout, sender, events, burst]
        self._checkout = checkout
        self._process = subprocess.Popen(
            [*map(str, command)], cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.port = int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self._checkout} has ended")
        return line

    def __call__(self, case: str) -> float:
        """Measure a case once; gives µs an item."""
        assert self._process.stdin is not None
        self._process.stdin.write(case + "\n")
        return float(self._answer())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextmanager
def crowd(ports: Sequence[int], count: int) -> Iterator[None]:
    """Keep so many clients connected to each port, on a thread of this process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    peers: list[Client] = []

    async def connect() -> None:
        for port in ports:
            for _ in range(count):
                peer = Client(port, v1=True, sampled=False)
                await loop.create_connection(lambda peer=peer: peer, "127.0.0.1", port)  # type: ignore[misc]
                await peer.opened
                peers.append(peer)

    async def leave() -> None:
        for peer in peers:
            peer.transport.abort()
        await asyncio.sleep(0)  # the connections are lost by then

    try:
        asyncio.run_coroutine_threadsafe(connect(), loop).result(60)
        yield
    finally:
        asyncio.run_coroutine_threadsafe(leave(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def measure(workers: Sequence[Worker], cases: Sequence[str], pairs: int) -> dict[str, tuple[list[float], list[float]]]:
    """Measure each case so often in both, in turn, the first of each pair alternating."""
    ours, theirs = workers
    found: dict[str, tuple[list[float], list[float]]] = {case: ([], []) for case in cases}
    for number in range(pairs + 1):
        for case in cases:
            first, second = (ours, theirs) if number % 2 else (theirs, ours)
            one, other = first(case), second(case)
            if number:  # the first round fills caches
                found[case][0].append(one if first is ours else other)
                found[case][1].append(other if first is ours else one)
    return found


def rows_of(found: dict[str, tuple[list[float], list[float]]], old: str, clients: int = 0) -> list[Row]:
    rows: list[Row] = []
    for case, (ours, theirs) in found.items():
        kind, _, name = case.partition(": ")
        if name in BARE.values() or name in SAME.values():
            continue
        bare = BARE.get(name) if kind == "publish" else None
        among = f", {clients} clients" if kind == "publish" else ""
        target = at_most(1.05, "peer") if kind == "publish" else at_most(1.03, "peer")
        rows.append(Row(f"{case}{among}", "µs", min(ours), min(theirs), old, target=target))
        ratios = tuple(mine / other for mine, other in zip(ours, theirs, strict=True))
        rows.append(Row(f"… median of {len(ratios)} pairs", "ratio", statistics.median(ratios), each=ratios))
        if bare is not None:
            least = min(found[f"publish: {bare}"][0])
            what, limit_is = "… beside the least possible", "encode and append"
            rows.append(Row(what, "µs", min(ours), limit=least, limit_is=limit_is, target=at_most(2, "limit")))
            same = min(found[f"publish: {SAME[name]}"][0])
            rows.append(Row("… beside the same bytes", "µs", min(ours), limit=same, limit_is=limit_is))
    return rows


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--old", type=Path, required=True, help="the other checkout")
    arguments.add_argument("--pairs", type=int, default=12)
    arguments.add_argument("--events", type=int, default=28_000, help="events that are decoded, stored and received")
    arguments.add_argument("--burst", type=int, default=2_000, help="publishes in a burst")
    arguments.add_argument("--clients", type=int, nargs="*", default=[0], help="clients connected during publishes")
    arguments.add_argument("--only", nargs="*", choices=[*KINDS], default=[*KINDS])
    options = arguments.parse_args()
    rows: list[Row] = []
    with ExitStack() as stack:
        url = stack.enter_context(sending())
        sizes = (url, options.events, options.burst)
        workers = [Worker(ROOT, *sizes), Worker(options.old.resolve(), *sizes)]
        for worker in workers:
            stack.callback(worker.close)
        cases = [f"{kind}: {name}" for kind in options.only if kind != "publish" for name in KINDS[kind]]
        rows += rows_of(measure(workers, cases, options.pairs), options.old.name)
        if "publish" in options.only:
            cases = [f"publish: {name}" for name in (*BARE.values(), *SAME.values(), *KINDS["publish"])]
            for clients in options.clients:
                with crowd([worker.port for worker in workers], clients):
                    found = measure(workers, cases, options.pairs)
                rows += rows_of(found, options.old.name, clients)
    finish(rows, options.out)


if __name__ == "__main__":
    main()
