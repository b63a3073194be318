"""Recordings of any size, made by a program: a town of many characters, its messages mixed as a simulation sends them.

    python -m tests.benchmarks.made_recording FOLDER --events 3000000

Of a hundred events 52 are changes of state, 26 updates, 15 event notifications, 3 calls of a language model, 2 errors
and 2 chat messages. After a stretch of 200,000 events the same is told again, with its own times, ticks and numbers.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import Raw

from degentcivil_nb.core.progress import following
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from degentcivil_nb.recordings.packed_messages import Packed, pack
from degentcivil_nb.recordings.segment_writer import SegmentWriter
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.store.schema import times_of, to_ns

STATES = ("IDLE", "MOVE", "PLAN", "WORK", "TRADE", "SLEEPING")
PROMPTS = ("PLAN", "PERSPA", "BARGAIN", "REFLECT")
EPOCH = "made"
START = 1_700_000_000.0
LIST = 4_000  # messages of a list
STRETCH = 200_000  # events until the same is told again
WORDS = ("bread", "fish", "the weather", "an errand", "the market", "a letter")


def message(seq: int, chance: random.Random, characters: int, per_s: float) -> RawMessage:
    """Make one message."""
    who = f"c{chance.randrange(characters)}"
    word, kind = WORDS[seq % 6], seq % 100
    data: dict[str, Any] = {"character_id": who}
    if kind < 52:
        now = chance.randrange(6)
        type = "state_change"
        data |= {"new_state": STATES[now], "location": f"Place {seq % 40}", "previous_state": STATES[now - 1]}
    elif kind < 78:
        type = "character_update"
        data |= {"money": chance.randrange(500), "mood": word, "energy": seq % 97}
    elif kind < 93:
        type = "event_notification"
        data |= {"event_type": "trade", "data": {"price": seq % 50, "item": word}}
    elif kind < 96:
        type, said = "llm_call", " ".join(chance.choices(WORDS, k=12))
        data |= {"prompt_type": PROMPTS[seq // 100 % 4], "model": "towngpt-4", "prompt": said, "response": said[::-1]}
        data |= {"prompt_tokens": seq % 700, "completion_tokens": seq % 90}
        data |= {"latency_s": round(chance.random(), 4), "cost_usd": round(chance.random() / 100, 6)}
    elif kind < 98:
        type = "error"
        data |= {"code": 2001 + seq % 3, "message": f"{word} failed"}
    else:
        type = "chat_message"
        data |= {"receivers": [f"c{seq % characters}"], "content": f"about {word}"}
    now_s = START + round(seq / per_s, 6)
    return RawMessage(type, Raw(encode(data)), now_s, seq, int(seq / per_s))


def stretch(events: int, characters: int, per_s: float, seed: int) -> Iterator[Packed]:
    """Give the messages of a stretch in lists, as a session hands them to a recorder."""
    chance, store = random.Random(seed), EventStore(max_rows=LIST)
    for first in range(1, events + 1, LIST):
        last = min(first + LIST, events + 1)
        made = [message(seq, chance, characters, per_s) for seq in range(first, last)]
        received = START + last / per_s
        yield pack([RecordedMessage(made, received, EPOCH, store.take(made, received, EPOCH))])


def again(part: Packed, seqs: int, seconds: float) -> Packed:
    """Give a list of messages as it is told later."""
    ((count, received, epoch),) = part.came
    (taken,) = part.taken
    later = part._replace(
        came=[(count, received + seconds, epoch)],
        seqs=part.seqs + seqs,
        ticks=part.ticks + int(seconds),
        timestamps=part.timestamps + seconds,
    )
    received_ns = to_ns(received + seconds)
    times, _ = times_of(later.timestamps, received_ns)
    own = {"seq": later.seqs, "tick": later.ticks, "time": times, "received": received_ns}
    batch = replace(taken.batch, columns={**taken.batch.columns, **own})
    return later._replace(taken=(replace(taken, batch=batch, seqs=later.seqs),))


def lists(events: int, characters: int, per_s: float, seed: int = 0) -> Iterator[Packed]:
    """Give the messages in lists."""
    first = list(stretch(min(events, STRETCH), characters, per_s, seed))
    yield from first
    for start in range(STRETCH, events, STRETCH):
        left = events - start
        for part in first:
            if part.size > left:
                return
            left -= part.size
            yield again(part, start, start / per_s)


def make(folder: Path, events: int, *, characters: int = 200, per_s: float = 1_000.0, seed: int = 0) -> Path:
    """Write a recording of so many events (of more than a stretch, up to one list fewer), and return its folder."""
    writer = SegmentWriter(folder, run_id=f"made-{seed}")
    try:
        with following(f"making {folder.name}", None) as progress:
            for part in lists(events, characters, per_s, seed):
                writer.write([part])
                if writer.full:
                    writer.seal()
                progress(writer.rows, events)
        writer.close()
    finally:
        writer.abandon()
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--characters", type=int, default=200)
    parser.add_argument("--per-s", type=float, default=1_000.0)
    options = parser.parse_args()
    start = time.perf_counter()
    folder = make(options.folder, options.events, characters=options.characters, per_s=options.per_s)
    size = sum(path.stat().st_size for path in folder.iterdir())
    took = time.perf_counter() - start
    print(f"{options.events:,} events, {size / 1e6:,.1f} MB, {size / options.events:.1f} B an event, {took:,.1f} s")


if __name__ == "__main__":
    main()
