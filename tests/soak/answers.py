"""One random run of each dialect, asked the same questions in every way: promise 14.

`python -m tests.soak.answers 2 400` prints what the stores of two runs a dialect answer, as a digest a question: other
interpreters, hash seeds and time zones must print the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pandas as pd
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.analysis.reader import Reader
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.session.recording import Recording
from degentcivil_nb.store.event_store import EventStore
from tests.soak.oracle import Tally
from tests.support.recording_helpers import written

DIALECTS: Final = ("v1", "guide", "game")
START: Final = 1_769_860_800.0
CHUNK: Final = 40
"""Messages that arrive at one moment: batches are cut anywhere inside it."""
STATES: Final = ("IDLE", "MOVE", "SLEEPING", "BARGAIN", "ü \u202e", "")
PLACES: Final = ("Park", "Café", "Home", None)
SQL: Final = (
    "select row, seq, tick, time, type, character_id, state, location, code, payload from events order by row",
    "select character_id, count(*) as stays from timeline group by character_id order by character_id",
)
ENVIRONMENTS: Final[tuple[tuple[dict[str, str], list[str]], ...]] = (
    ({"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}, ["-O"]),
    ({"PYTHONHASHSEED": "2", "TZ": "America/New_York"}, []),
)


class Held(Reader):
    """The answers of a store that no session has."""

    def __init__(self, store: EventStore) -> None:
        self._store = store


def random_run(dialect: str, seed: int, size: int) -> list[RecordedMessage]:
    """Give what a server of a dialect sends, by the moment of its receipt."""
    rng = random.Random(f"{dialect} {seed}")
    game = dialect == "game"
    messages: list[RawMessage] = []
    epoch, seq = ("first" if dialect == "v1" else None), 0
    entries: list[RecordedMessage] = []
    for number in range(size):
        kind, data = (_of_the_game if game else _told)(rng)
        seq += 1
        time = None if game else START + number * 0.5 + rng.choice((0, 0, 0.001))
        v1 = dialect == "v1"
        ids: dict[str, Any] = (
            {"event_id": f"e:{seq}", "cause": f"e:{rng.randint(1, seq)}"} if v1 and rng.random() < 0.2 else {}
        )
        messages.append(
            RawMessage(kind, Raw(encode(data)), time, seq if v1 else None, number // 10 if v1 else None, **ids)
        )
        if len(messages) == CHUNK or number == size - 1:
            entries.append(RecordedMessage(messages, START + number * 0.5 + 1, epoch))
            messages = []
            if rng.random() < 0.1 and number < size - 1:
                entries.append(_gap(rng, dialect, epoch, seq, START + number * 0.5 + 1))
                if v1:
                    epoch, seq = f"{epoch}'", 0
    return entries


def _gap(rng: random.Random, dialect: str, epoch: str | None, seq: int, received: float) -> RecordedMessage:
    told = {"epoch": epoch, "from": seq + 1, "reason": "restart"} if dialect == "v1" else {"epoch": None}
    return RecordedMessage([RawMessage("gap", Raw(encode(told)), received)], received, epoch)


def _told(rng: random.Random) -> tuple[str, Any]:
    who: Any = rng.choice(["zoe", "adam", "mia", 5, "=cmd()", "ü"])
    return rng.choice(
        [
            ("state_change", {"character_id": who, "new_state": rng.choice(STATES), "location": rng.choice(PLACES)}),
            ("state_change", {"character_id": who, "new_state": "WORK", "previous_state": rng.choice(STATES)}),
            (
                "character_update",
                {"character_id": who, "money": rng.choice([3, 2**53 + 1, 0.5, None, "much"]), "x": 1.5},
            ),
            (
                "event_notification",
                {"event_type": rng.choice(["trade", "party"]), "data": {"price": rng.randint(0, 9)}},
            ),
            ("error", {"code": rng.choice([1004, 7, -32601]), "message": rng.choice(["late", "'-5"])}),
            ("error", {"code": "no number", "message": 3}),
            ("llm_call", {"character_id": who, "model": rng.choice("ab"), "prompt_tokens": 3.0, "cost_usd": 0.001}),
            ("chat_message", {"character_id": who, "receivers": ["mia"], "content": "hi"}),
            ("tool_call", {"character_id": who, "name": "look", "arguments": {"at": 1}, "result": [1]}),
            ("thought", {"character_id": who, "kind": "plan", "text": "…"}),
            ("measure", {"name": "gini", "value": rng.random()}),
            ("character_left", {"character_id": who}),
            ("all_characters", {"mia": {"state": "IDLE", "money": 1}}),
            ("all_buildings", [{"id": 1, "name": "Park"}]),
            ("weather", {"rain": True, "state": {"constructor": 1}}),
        ]
    )


def _of_the_game(rng: random.Random) -> tuple[str, Any]:
    names = ["Zoe", "Adam", "Mia"]
    person = {"name": rng.choice(names), "money": rng.randint(0, 9), "state": rng.choice(STATES), "x": rng.random()}
    return rng.choice(
        [
            ("all_characters", [person, {"name": "Li", "__proto__": 3}]),
            ("all_characters", {person["name"]: person}),
            ("all_buildings", [{"id": rng.randint(1, 3), "name": "Cafe", "jobs": ["cook"]}]),
            ("character_update_llm", {"latest_prompt_type": "PLAN", "latest_prompt": "?", "latest_response": "['a']"}),
            ("character_update_llm", {"latest_prompt": [1], "latest_response": {"plan": [rng.random()]}}),
            ("error", {"code": 1004, "message": "late"}),
            ("weather", None),
        ]
    )


def stored(entries: list[RecordedMessage], cut: random.Random | None = None) -> EventStore:
    """Give a store of a run that arrived in whole moments, or in pieces."""
    store = EventStore()
    for entry in entries:
        rest = list(entry.messages)
        while rest:
            size = len(rest) if cut is None else cut.randint(1, len(rest))
            store.append(rest[:size], entry.received, entry.epoch)
            rest = rest[size:]
            if cut is not None and cut.random() < 0.3:
                store.transitions()  # a question in between changes nothing
    return store


def answers(run: Reader) -> dict[str, str]:
    """Give a digest of each answer: values, kinds, orders and categories."""
    asked: dict[str, pd.DataFrame] = {
        "events": run.events(payload=True),
        "the last": run.events(last=7),
        "where": run.events(where='data["price"] > 4 or payload["money"] >= 3'),
        "since": run.events(since="2026-01-31 12:00:20", until=pd.Timestamp("2026-01-31T21:01:00+09:00")),
        "llm_calls": run.llm_calls(),
        **{
            name: getattr(run, name)() for name in ("characters", "timeline", "transitions", "errors", "places", "gaps")
        },
        **{name: getattr(run, name)() for name in ("chat", "tool_calls", "thoughts", "measures", "costs", "meetings")},
        **{f"rates by {by}": run.rates("10s", by=by) for by in ("type", "code", "character_id", "state")},
        **{query: run.sql(query) for query in SQL},
        "characters at a row": run.characters(row=len(run) // 2),
        "money": run.attribute("money"),
    }
    return {name: hashlib.sha256(_text(frame).encode()).hexdigest()[:16] for name, frame in asked.items()}


def _text(frame: pd.DataFrame) -> str:
    columns = {
        str(name): [
            str(column.dtype),
            column.cat.categories.tolist() if str(column.dtype) == "category" else None,
            repr(column.tolist()),  # at once: a repr for each value took a third of the whole time
        ]
        for name, column in frame.reset_index().items()
    }
    return json.dumps(columns, default=str)


def ways(dialect: str, seed: int, size: int, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Ask one run in every way: in pieces, recorded, opened again, longer than memory, in the older format."""
    rng, entries = random.Random(seed), random_run(dialect, seed, size)
    yield "live", answers(Held(stored(entries)))
    for number in range(1 if size < 1_000 else 3):
        yield f"pieces {number}", answers(Held(stored(entries, rng)))
    path = written(folder / "run", entries, close=True, segment_messages=rng.randint(10, size))
    for name in ("recorded", "opened again"):
        with dc.open_recording(path) as recording:
            yield name, answers(recording)
    with Recording(path, memory_rows=0) as recording:
        yield "longer than memory", answers(recording)
    older = written(folder / "older", entries, close=True, segment_messages=rng.randint(10, size), format=1)
    with dc.open_recording(older) as recording:
        yield "format 1", answers(recording)


def same_answers(runs: int, size: int) -> Tally:
    """Ask random runs of all dialects in all ways; each answer that differs from the live one is a fault.

    More runs than one are shared among all processors: twenty runs of 2,000 messages are a quarter of an hour of one.
    """
    tally = Tally(events=runs * size * len(DIALECTS))
    live: dict[str, dict[str, str]] = {}
    differ: list[str] = []
    named = list(_named(runs))
    workers = 1 if runs == 1 else os.cpu_count() or 1
    with contextlib.ExitStack() as stack:
        each: Callable[..., Iterable[Any]] = map
        if workers > 1:
            pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
            each = stack.enter_context(pool).map
        for name, found, differing in each(_asked_in_all_ways, named, [size] * len(named)):
            live[name] = found
            differ += differing
    tasks = [(environment, options, runs, size) for environment, options in ENVIRONMENTS[: 1 if runs == 1 else None]]
    with ThreadPoolExecutor(workers) as threads:
        for way, told in threads.map(lambda task: _asked_elsewhere(*task), tasks):
            for name, found in told.items():
                differ += _differing(name, way, live[name], found)
    tally.changed = len(differ)
    tally.more = {"differ": differ[:20], "questions": sum(map(len, live.values()))}
    return tally


def _differing(name: str, way: str, live: dict[str, str], found: dict[str, str]) -> list[str]:
    return [f"{name}, {way}: {question}" for question, said in live.items() if found[question] != said]


def _asked_in_all_ways(named: tuple[str, str, int], size: int) -> tuple[str, dict[str, str], list[str]]:
    name, dialect, seed = named
    live: dict[str, str] = {}
    differ: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for way, found in ways(dialect, seed, size, Path(folder)):
            live = live or found
            differ += _differing(name, way, live, found)
    return name, live, differ


def _asked_elsewhere(
    environment: dict[str, str], options: list[str], runs: int, size: int
) -> tuple[str, dict[str, dict[str, str]]]:
    command = [sys.executable, *options, "-m", "tests.soak.answers", str(runs), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return f"{environment} {options}", json.loads(done.stdout)


def _named(runs: int) -> Iterator[tuple[str, str, int]]:
    for dialect in DIALECTS:
        for seed in range(runs):
            yield f"{dialect} {seed}", dialect, seed


if __name__ == "__main__":
    _runs, _size = map(int, sys.argv[1:])
    told = {name: answers(Held(stored(random_run(dialect, seed, _size)))) for name, dialect, seed in _named(_runs)}
    print(json.dumps(told))
