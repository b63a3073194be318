"""The store alone: ingest, questions and memory, beside what people write and beside decoding and nothing else.

Frames are made beforehand and read from memory, in rounds that take turns, so that all see the same machine; the best
round counts. Then a store that grows, asked each question at several sizes and each time after 1,000 new events, as a
notebook does; how fast it grew from the ten thousandth event on, a tenth at a time.

    python -m tests.benchmarks.bench_store --ingest 140000 --rows 1000000 10000000
    python -m tests.benchmarks.bench_store --ingest 3000 --rows 5000 10000 --rounds 1
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from degentcivil_nb.analysis.reader import Reader
from degentcivil_nb.protocol.codec import decode_frames, encode_batch
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage, WebSocketMessage
from degentcivil_nb.store.event_store import EventStore
from tests.benchmarks.report import Row, Target, at_least, at_most, best, finish, parser
from tests.benchmarks.sender import PLACES, STATES

FLUSH = 1_400
"""Messages that a client hands on at a time under load."""
CHUNK = 65_536
FIRST = 10_000
SQL = "select type, count(*) as n from events group by type order by n desc"


class Held(Reader):
    """Be a reader of a store that nobody fills but this program."""

    def __init__(self, store: EventStore) -> None:
        self._store = store


def envelope(number: int, mixed: bool) -> bytes:
    """Make a `state_change` of about 190 bytes, or, mixed, one message in four of another type."""
    now = 1_800_000_000 + number / 10_000
    who = f"character-{number * 7_919 % 500:03d}"
    kind = "state_change"
    data: dict[str, Any] = {"character_id": who, "new_state": STATES[number % 6], "location": PLACES[number % 4]}
    if mixed and number % 4 == 3:
        others: list[tuple[str, dict[str, Any]]] = [
            ("character_update", {"character_id": who, "money": number % 90, "mood": "calm"}),
            ("event_notification", {"event_type": "trade", "data": {"price": 3}, "character_id": who}),
            ("error", {"code": 1004, "message": "planner failed"}),
            ("llm_call", {"character_id": who, "prompt_type": "PLAN", "prompt": "What now?", "response": "Rest."}),
        ]
        kind, data = others[number // 4 % 4]
    return encode(WebSocketMessage(kind, {**data, "timestamp": now}, now, number + 1, number // 50))


# --- ingest --------------------------------------------------------------------------------------------------------


def flushes(frames: list[bytes], size: int) -> list[list[bytes]]:
    return [frames[start : start + size] for start in range(0, len(frames), size)]


def into_store(frames: list[bytes], size: int) -> EventStore:
    store = EventStore(max_rows=1 << 30)
    for flush in flushes(frames, size):
        store.append(decode_frames(flush), 1_800_000_000.0, "e")
    return store


def append_all(store: EventStore, batches: list[list[RawMessage]]) -> None:
    for messages in batches:
        store.append(messages, 1_800_000_000.0, "e")


def into_dicts(frames: list[bytes]) -> pd.DataFrame:
    rows: list[Any] = []
    for frame in frames:
        message = json.loads(frame)
        rows += message["data"] if message["type"] == "batch" else [message]
    return pd.DataFrame(rows)


def bench_ingest(count: int, rounds: int) -> list[Row]:
    """Ingest from memory, one message a frame and a hundred."""
    rows: list[Row] = []
    for name, mixed, batch in (("1 a frame", False, 1), ("1 a frame, mixed", True, 1), ("100 a frame", False, 100)):
        envelopes = [envelope(i, mixed) for i in range(count)]
        frames = envelopes if batch == 1 else [encode_batch(part) for part in flushes(envelopes, batch)]
        size = max(1, FLUSH // batch)
        ours, limit, peer, alone = [], [], [], []
        parts = flushes(frames, size)
        for _ in range(rounds):
            ours.append(best(lambda: into_store(frames, size), 1))  # noqa: B023 — called at once
            limit.append(best(lambda: [decode_frames(part) for part in parts], 1))  # noqa: B023
            peer.append(best(lambda: into_dicts(frames), 1))  # noqa: B023
            messages = [decode_frames(part) for part in parts]
            store = EventStore(max_rows=1 << 30)
            alone.append(best(lambda: append_all(store, messages), 1))  # noqa: B023
        rates = (count / min(times) for times in (ours, peer, limit))
        own, dicts, decoded = rates
        rows.append(Row(f"ingest, {name}", "events/s", own, dicts, "json dicts, DataFrame", decoded, "decoding alone"))
        share = min(alone) / count * 1e6
        rows.append(Row(f"the store's share, {name}", "µs an event", share, target=at_most(1)))
    return rows


# --- a store that grows --------------------------------------------------------------------------------------------


class Spent(NamedTuple):
    """Say how long one flush took."""

    row: int
    events: int
    seconds: float


def bench_questions(sizes: list[int]) -> list[Row]:
    store = EventStore(max_rows=1 << 30)
    starts = range(0, 50 * FLUSH, FLUSH)
    distinct = [decode_frames([envelope(i, mixed=True) for i in range(start, start + FLUSH)]) for start in starts]
    rows: list[Row] = []
    spent: list[Spent] = []
    number = 0  # of the last event stored
    for size in sizes:
        while len(store) < size:
            # the same payloads again, later
            messages = [
                RawMessage(m.type, m.data, 1.8e9 + (number + i) / 10_000, number + i + 1, number // 50)
                for i, m in enumerate(distinct[len(spent) % len(distinct)])
            ]
            number += len(messages)
            start = time.perf_counter()
            store.append(messages, 1.8e9, "e")
            spent.append(Spent(len(store), len(messages), time.perf_counter() - start))
            if len(store) != number:
                raise RuntimeError(f"of {number:,} events {len(store):,} are held")
        rows += ask(store, size, brief=size == sizes[-1])
        number = len(store)
    return [*rows, *flatness(spent)]


def flatness(spent: list[Spent]) -> list[Row]:
    """Compare the slowest tenth of all that came after the first ten thousand with the fastest.

    By the median flush of each, for the machine's own whims last seconds; the longest flush is a row of its own.
    """
    later = [flush for flush in spent if flush.row > min(FIRST, spent[-1].row // 2)]
    tenths = np.array_split(np.arange(len(later)), min(10, len(later)))
    rates = [float(np.median([later[i].events / later[i].seconds for i in tenth])) for tenth in tenths]
    span = f"from the {min(FIRST, spent[-1].row // 2):,}th to the {spent[-1].row:,}th event"
    slowest = Row(
        f"ingest {span}, its slowest tenth",
        "events/s",
        min(rates),
        limit=max(rates),
        limit_is="its fastest tenth",
        target=at_least(0.9, "limit"),
        each=tuple(rates),
    )
    longest = max(flush.seconds for flush in later) * 1e3
    return [slowest, Row(f"the longest that one flush of {FLUSH:,} took, {span}", "ms", longest)]


def ask(store: EventStore, size: int, *, brief: bool) -> list[Row]:
    """Ask every question after 1,000 new events, the best of five."""
    reader = Held(store)
    frame = store.events()
    seconds = frame["time"].astype("int64").to_numpy() // 10**9
    middle = len(store) // 2 + min(8_191, len(store) // 4)
    moment = frame["time"].iloc[middle]
    chunks = [frame.iloc[start : start + CHUNK].copy() for start in range(0, len(frame), CHUNK)]
    new = [envelope(i, mixed=False) for i in range(1_000)]
    questions: list[tuple[str, Callable[[], Any], Target | None, Callable[[], Any] | None, str]] = [
        ("events()", store.events, at_most(1), lambda: pd.concat(chunks), "pd.concat of chunks"),
        (
            "rates('1s', 'type')",
            store.rates,
            at_most(5),
            lambda: frame.groupby([seconds, frame["type"]], observed=True).size().unstack(),
            "groupby",
        ),
        ("rates('1min', 'character_id')", lambda: store.rates("1min", "character_id"), None, None, ""),
        ("characters()", store.characters, None, lambda: last_known(frame), "groupby, last"),
        ("characters(row=)", lambda: store.characters(row=middle), at_most(20), None, ""),
        (
            "characters(at=)",
            lambda: store.characters(moment),
            at_most(20),
            lambda: last_known(frame[frame["time"] <= moment]),
            "groupby, last",
        ),
        (
            "timeline('character-007')",
            lambda: store.timeline("character-007"),
            None,
            lambda: frame[frame["character_id"] == "character-007"],
            "the rows alone",
        ),
        ("transitions()", store.transitions, None, None, ""),
        (
            "sql(count by type)",
            lambda: reader.sql(SQL),
            None,
            lambda: frame["type"].value_counts(),
            "value_counts",
        ),
    ]
    rows: list[Row] = []
    for name, question, target, peer, peer_is in questions:
        beside = None if peer is None else best(peer, 2) * 1_000
        times = []
        for _ in range(5):
            store.append(decode_frames(new), 1.8e9, "e")
            times.append(best(question, 1) * 1_000)
        row = Row(f"{name} at {size:,} events", "ms", min(times), beside, peer_is, target=target, brief=brief)
        rows.append(row)
    stats = store.stats()
    a_row = (stats.memory_bytes - stats.payload_bytes) / stats.rows
    kept = float(frame.memory_usage(deep=True).sum()) / len(frame)
    plain = plain_bytes(frame.iloc[:CHUNK])
    what = f"memory without payload at {size:,} events"
    memory = (a_row, plain, "columns of str", kept, "a frame of categories")
    return [*rows, Row(what, "B an event", *memory, target=at_most(48), brief=brief)]


def last_known(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.groupby("character_id", observed=True)[["state", "location"]].last()


def plain_bytes(frame: pd.DataFrame) -> float:
    """Give the bytes a row that the same columns take without categories."""
    words = {name: "str" for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)}
    return float(frame.astype(words).memory_usage(deep=True).sum()) / len(frame)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--ingest", type=int, default=140_000, help="messages for the ingest rows")
    arguments.add_argument(
        "--rows", type=int, nargs="+", default=[1_000_000], help="sizes at which questions are asked"
    )
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    finish(bench_ingest(options.ingest, options.rounds) + bench_questions(sorted(options.rows)), options.out)


if __name__ == "__main__":
    main()
