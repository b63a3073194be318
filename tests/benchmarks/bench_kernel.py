"""The notebook's own speed: a real kernel that follows a server of another process while its cells run.

A cell that counts in pure Python, without events, with a session that takes them in, and with what people write: a
thread that reads the same frames with `json.loads` into a list. The ways take turns, in either direction, and each is
compared with the silence of its own round. The limit is the same events published with nobody connected: what the
machine's other core costs. Then, at a rate five times as high, how long a cell takes that does next to nothing, and one
that shows the last events; and whether all that was published is held or declared.

    python -m tests.benchmarks.bench_kernel --rounds 6 --trips 100
"""

from __future__ import annotations

import json
import time
from statistics import median, quantiles

from tests.benchmarks.kernel import Kernel
from tests.benchmarks.report import Row, at_most, finish, parser
from tests.benchmarks.source import Source

SETTLE_S = 0.3
CAUGHT_UP_S = 30.0
SETUP = """
import asyncio, json, threading, time
import pandas as pd
from websockets.asyncio.client import connect
import degentcivil_nb as dc

def count(steps):
    start, n = time.perf_counter(), 0
    for i in range(steps):
        n += i & 3
    return time.perf_counter() - start

class Follower:  # what people write
    def __init__(self, url):
        self.kept, self.url = [], url
        self.thread = threading.Thread(target=lambda: asyncio.run(self.live()))
        self.thread.start()
    async def live(self):
        self.loop, self.ended = asyncio.get_running_loop(), asyncio.Event()
        reading = asyncio.create_task(self.read())
        await self.ended.wait()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    async def read(self):
        async with connect(self.url, subprotocols=["degentcivil.v1"], compression=None, max_size=None) as websocket:
            await websocket.recv()
            await websocket.send('{"type":"resume","data":{"epoch":null,"seq":null}}')
            async for frame in websocket:
                message = json.loads(frame)
                self.kept.extend(message["data"] if message["type"] == "batch" else [message])
    def close(self):
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join()
"""
FOLLOW = {
    "silence": "",
    "elsewhere": "",
    "ours": "run = dc.connect({url!r}, history=0, retention=10_000_000)",
    "peer": "run = Follower({url!r})",
}
PEER = "json.loads in a thread"
NOBODY = "nobody connected"
HELD = (
    "print(json.dumps([len(run) + int(run.metrics()['evicted']), int((gaps := run.gaps())['to_seq'].sum()"
    " - gaps['from_seq'].sum() + len(gaps)), len(gaps)]))"
)


def count_steps(kernel: Kernel, steps: int) -> float:
    return float(kernel.run(f"print(count({steps}))"))


def slowdowns(kernel: Kernel, source: Source, rate: float, rounds: int, cell_s: float) -> dict[str, list[float]]:
    """Give for each way how many times as long the counting takes as in silence, round by round."""
    steps = int(1_000_000 * cell_s / min(count_steps(kernel, 1_000_000) for _ in range(3)))
    found: dict[str, list[float]] = {}
    for number in range(rounds):
        took: dict[str, float] = {}
        for way in list(FOLLOW)[:: 1 if number % 2 == 0 else -1]:
            with_events = way != "silence"
            kernel.run(FOLLOW[way].format(url=source.url))
            source.rate(rate if with_events else 0)
            time.sleep(SETTLE_S)  # events come in steadily by then
            took[way] = count_steps(kernel, steps)
            source.rate(0)
            if way in ("ours", "peer"):
                kernel.run("run.close()\ndel run")
        for way, seconds in took.items():
            found.setdefault(way, []).append(seconds / took["silence"])
    return found


def trips(kernel: Kernel, code: str, times: int) -> tuple[float, float]:
    """Give p50 and p99 in milliseconds of running a cell."""
    took = [kernel.timed(code)[0] * 1e3 for _ in range(times)]
    cuts = quantiles(took, n=100, method="inclusive")
    return cuts[49], cuts[98]


def responsiveness(kernel: Kernel, source: Source, rate: float, times: int) -> list[Row]:
    kernel.run("few = [{'type': 'state_change', 'data': {}}] * 100")
    cells = {"ours": ("1 + 1", "run.events(last=100)"), "peer": ("1 + 1", "pd.DataFrame(run.kept[-100:])")}
    found: dict[tuple[str, int], tuple[float, float]] = {}
    lost: list[Row] = []
    for way, codes in cells.items():
        published = source.rate(0)
        kernel.run(FOLLOW[way].format(url=source.url))
        source.rate(rate)
        began = time.monotonic()
        time.sleep(2 * SETTLE_S)  # so that there are a hundred to show
        if way == "ours":
            source.rate(0)
            time.sleep(SETTLE_S)  # until nothing comes in any more
            for which, code in enumerate(codes):
                found["limit", which] = trips(kernel, code, times)
            source.rate(rate)
            began = time.monotonic()
            before = source.report()["published"]
        for which, code in enumerate(codes):
            found[way, which] = trips(kernel, code, times)
        seconds = time.monotonic() - began
        total = source.rate(0)
        if way == "ours":
            lost = lost_of(kernel, total - published, (total - before) / seconds)
        kernel.run("run.close()\ndel run")
    names = (f"a cell of next to nothing at {rate:,.0f} events/s", f"session.events(last=100) at {rate:,.0f} events/s")
    rows = [
        Row(f"{name}, {quantile}", "ms", *_beside(found, which, index))
        for which, name in enumerate(names)
        for index, quantile in enumerate(("p50", "p99"))
    ]
    return [*rows, *lost]


def _beside(
    found: dict[tuple[str, int], tuple[float, float]], which: int, index: int
) -> tuple[float, float, str, float, str]:
    ours, peer, limit = (found[way, which][index] for way in ("ours", "peer", "limit"))
    return ours, peer, PEER, limit, "no events"


def lost_of(kernel: Kernel, published: int, rate: float) -> list[Row]:
    """Wait until all that was published is held or declared, and say what is not."""
    held = missing = gaps = 0
    deadline = time.monotonic() + CAUGHT_UP_S
    while time.monotonic() < deadline:
        held, missing, gaps = json.loads(kernel.run(HELD))
        if held + missing >= published:
            break
        time.sleep(0.05)  # asking too often would slow down what is asked
    return [
        Row("… the rate that was reached", "events/s", rate),
        Row(
            "… published, neither held nor declared",
            "events",
            abs(published - held - missing),
            target=at_most(0),
            brief=False,
        ),
        Row("… declared as missing", "events", missing, each=(gaps,)),
    ]


def measure(rate: float, rounds: int, cell_s: float, times: int) -> list[Row]:
    with Source() as source, Kernel() as kernel:
        kernel.run(SETUP)
        slowed = slowdowns(kernel, source, rate, rounds, cell_s)
        what = f"a cell that counts while {rate:,.0f} events/s come in"
        ours, peer, limit = (median(slowed[way]) for way in ("ours", "peer", "elsewhere"))
        counted = Row(
            what, "× silence", ours, peer, PEER, limit, NOBODY, target=at_most(1.15), each=tuple(slowed["ours"])
        )
        return [counted, *responsiveness(kernel, source, 5 * rate, times)]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rate", type=float, default=10_000, help="events a second")
    arguments.add_argument("--rounds", type=int, default=6, help="of the cell that counts, each way")
    arguments.add_argument("--cell-s", type=float, default=1.0, help="how long the cell takes in silence")
    arguments.add_argument("--trips", type=int, default=100, help="of each small cell")
    options = arguments.parse_args()
    finish(measure(options.rate, options.rounds, options.cell_s, options.trips), options.out)


if __name__ == "__main__":
    main()
