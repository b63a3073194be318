"""The store alone: ingest, questions and memory, beside what people write and beside decoding and nothing else.

Frames are made beforehand and read from memory, in rounds that take turns, so that all see the same machine; the best
round counts. Prints a table of ours, the peer, the limit and the ratio; `--out` writes it as JSON.

    python tests/benchmarks/bench_store.py --ingest 300000 --rows 1000000 10000000
    python tests/benchmarks/bench_store.py --ingest 3000 --rows 5000 10000 --rounds 1
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from degentcivil_nb.protocol.codec import decode_frames, encode_batch
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.message import RawMessage, WebSocketMessage
from degentcivil_nb.store.event_store import EventStore

STATES = ("IDLE", "MOVE", "PLAN", "ACT", "CHATING", "TRADE")
PLACES = ("Park", "Cafe", "Library", "Market")
FLUSH = 1_400
"""Messages that a client hands on at a time under load."""
Row = dict[str, Any]


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


def best(action: Callable[[], Any], rounds: int = 5) -> float:
    """Give the shortest of some runs in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


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
    table: list[Row] = []
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
        row = {"what": f"ingest, {name}", "unit": "events/s", "ours": count / min(ours), "peer": count / min(peer)}
        table.append({**row, "limit": count / min(limit), "ratio": min(peer) / min(ours)})
        share = min(alone) / count * 1e6
        table.append({"what": f"store's share, {name}", "unit": "µs an event", "ours": share, "target": 1.0})
    return table


def bench_questions(sizes: list[int]) -> list[Row]:
    """Ask a store that grows; each question again after 1,000 new events, as a notebook does."""
    store = EventStore(max_rows=1 << 30)
    starts = range(0, 50 * FLUSH, FLUSH)
    distinct = [decode_frames([envelope(i, mixed=True) for i in range(start, start + FLUSH)]) for start in starts]
    table: list[Row] = []
    spent: list[float] = []
    number = 0
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
            spent.append(time.perf_counter() - start)
        table += ask(store, size)
    tenth = max(1, len(spent) // 10)
    first, last = np.median(spent[tenth : 2 * tenth]), np.median(spent[-tenth:])
    flatness = {"what": "ingest time, last tenth to second", "unit": "ratio", "ours": float(last / first)}
    return [*table, {**flatness, "target": 1.1}]


def ask(store: EventStore, size: int) -> list[Row]:
    """Ask every question after 1,000 new events, the best of five."""
    frame = store.events()
    seconds = frame["time"].astype("int64").to_numpy() // 10**9
    peer = best(lambda: frame.groupby([seconds, frame["type"]], observed=True).size().unstack(), 1) * 1_000
    middle = len(store) // 2 + min(8_191, len(store) // 4)
    moment = frame["time"].iloc[middle]
    new = [envelope(i, mixed=False) for i in range(1_000)]
    questions: list[tuple[str, Callable[[], Any], float | None]] = [
        ("events()", store.events, 1.0),
        ("rates(1s, type)", store.rates, 5.0),
        ("rates(1min, character_id)", lambda: store.rates("1min", "character_id"), None),
        ("characters()", store.characters, None),
        ("characters(row=)", lambda: store.characters(row=middle), 20.0),
        ("characters(at=)", lambda: store.characters(moment), 20.0),
        ("timeline(one)", lambda: store.timeline("character-007"), None),
        ("transitions()", store.transitions, None),
    ]
    table: list[Row] = []
    for name, question, target in questions:
        times = []
        for _ in range(5):
            store.append(decode_frames(new), 1.8e9, "e")
            times.append(best(question, 1) * 1_000)
        row = {"what": f"{name} at {size:,}", "unit": "ms", "ours": min(times), "target": target}
        table.append({**row, "peer": peer} if name.startswith("rates(1s") else row)
    stats = store.stats()
    a_row = (stats.memory_bytes - stats.payload_bytes) / stats.rows
    return [*table, {"what": f"memory at {size:,}", "unit": "B an event", "ours": a_row, "target": 48.0}]


def show(table: list[Row]) -> None:
    columns = ("what", "unit", "ours", "peer", "limit", "ratio", "target")
    frame = pd.DataFrame(table).reindex(columns=columns).set_index("what")
    print(frame.to_string(float_format=lambda value: f"{value:,.3g}" if value < 1_000 else f"{value:,.0f}", na_rep=""))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the store.")
    parser.add_argument("--ingest", type=int, default=140_000, help="messages for the ingest rows")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000], help="sizes at which questions are asked")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the table as JSON")
    options = parser.parse_args()
    table = bench_ingest(options.ingest, options.rounds) + bench_questions(sorted(options.rows))
    show(table)
    if options.out:
        options.out.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
