"""The programs of this folder: how each is run at either size, and how what it writes becomes rows of one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from tests.benchmarks.report import Row, at_least, at_most

Found = list[dict[str, Any]]


class Program(NamedTuple):
    """Be one program: its name without `bench_`, its arguments at both sizes, and what makes rows of its JSON."""

    name: str
    small: str
    full: str
    rows: Callable[[Any], list[Row]]
    out: str = "--out"


def same(found: Any) -> list[Row]:
    return msgspec.convert(found, list[Row])


def fanout(found: Found) -> list[Row]:
    by_kind = {row["kind"]: row for row in found if not row["stalled"]}
    rate = {kind: row["deliveries_per_cpu_s"] for kind, row in by_kind.items()}
    ours, unit = by_kind["ours"], "deliveries/CPU s"
    what = f"fan-out to {ours['clients']:,} clients at {ours['rate']:,.0f} events/s"
    limit = (rate["broadcast of 100"], "broadcast() of 100")
    peers = {"broadcast()": rate["broadcast"], "gather(send)": rate["gather"]}
    targets = {"broadcast()": at_least(4e6), "gather(send)": None}
    rows = [
        Row(f"{what}, beside {name}", unit, rate["ours"], peer, name, *limit, target=targets[name])
        for name, peer in peers.items()
    ]
    return [*rows, Row("… lost", "deliveries", ours["lost"], target=at_most(0), brief=False)]


def publish(found: Found) -> list[Row]:
    by = {(row["pattern"], row["clients"], row["way"]): row for row in found}
    rows: list[Row] = []
    for pattern, clients in dict.fromkeys((pattern, clients) for pattern, clients, _ in by):
        ours, least, wake = (by[pattern, clients, way] for way in ("ours", "encode and append", "call_soon_threadsafe"))
        for quantile, target in (
            ("p50_us", at_most(3 if clients else 2)),
            ("p99_us", at_most(50) if clients else None),
        ):
            what = f"a publish, {clients} clients, {pattern}, {quantile.partition('_')[0]}"
            peer, limit = (wake[quantile], "call_soon_threadsafe"), (least[quantile], "encode and append")
            rows.append(Row(what, "µs", ours[quantile], *peer, *limit, target=target))
    return rows


def breakpoints(found: Found) -> list[Row]:
    targets = {"… of that the breakpoints": at_most(5), "an evaluation": at_most(2)}
    return [Row(row["what"], "µs", row["us"], target=targets.get(row["what"].partition(", ")[0])) for row in found]


def recording(found: dict[str, Any]) -> list[Row]:
    rate = {row["what"]: row["per_s"] for row in found["rows"]}
    limit = rate["ingest, not recorded"]
    with_it = rate["ingest while recording"]
    target = at_least(found["target"], "limit")
    return [Row("recording while ingesting", "events/s", with_it, limit=limit, limit_is="not recorded", target=target)]


def importing(found: dict[str, Any]) -> list[Row]:
    took = {row["what"]: row["ms"] for row in found["rows"]}
    pandas, nothing = took["peer: import pandas"], took["limit: nothing"]
    target = at_most(found["target"], "peer")
    rows = []
    for name, ms in took.items():
        if name.startswith("ours: "):
            what = f"`{name.removeprefix('ours: ')}`"
            judged = target if what == "`import degentcivil_nb`" else None
            rows.append(Row(what, "ms", ms, pandas, "import pandas", nothing, "nothing", target=judged))
    return rows


PROGRAMS = (
    Program("adapters", "--agents 50 --steps 3 --updates 20 --rounds 1", "--agents 1000 --rounds 5", same),
    Program("client", "--messages 300 --rounds 1", "--messages 200000 --rounds 3", same),
    Program(
        "store",
        "--ingest 2800 --rounds 1 --rows 5000 20000",
        "--ingest 140000 --rounds 3 --rows 1000000 10000000",
        same,
    ),
    Program("recording", "--events 5000 --rounds 1", "--events 300000 --rounds 3", recording, "--json"),
    Program("recorded", "--events 4000 --rounds 1", "--events 200000 --rounds 3", same),
    Program("questions", "--events 20000 --rounds 1", "--events 3000000 --rounds 5", same),
    Program("eleven", "--characters 60 --ticks 720 --seed 1", "--characters 100 --ticks 1440", same),
    Program("kernel", "--rate 2000 --rounds 1 --cell-s 0.2 --trips 5", "--rounds 8 --trips 150", same),
    Program(
        "findings", "--rate 500 --minutes 0.2 --rounds 1 --cell-s 0.2", "--minutes 1 5 --rounds 4 --cell-s 10", same
    ),
    Program("screen", "--rate 1000 --characters 50 --seconds 4", "--seconds 12", same),
    Program("import", "--runs 1", "--runs 15", importing, "--json"),
    Program("keep_up", "--events 3000", "--events 120000", same),
    Program("publish", "--clients 3 --messages 200", "--clients 100 --messages 3000", publish),
    Program(
        "breakpoints",
        "--characters 50 --events 300 --rounds 1",
        "--characters 5000 --events 30000 --rounds 5",
        breakpoints,
    ),
    Program(
        "fanout",
        "--clients 5 --rate 200 --seconds 0.5",
        "--clients 200 --rate 1000 --seconds 10",
        fanout,
    ),
)
