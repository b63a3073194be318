"""One checkout of this package, measured a case at a time; run by `bench_beside` with the Python of that checkout.

It imports nothing of `tests`, so that it measures old checkouts too. It prints the port of its probe, then reads lines:
`CASE` measures the case once and prints the microseconds that an item took; the clock is the CPU time of the thread.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

CHECKOUT, SENDER, EVENTS, BURST = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
sys.path.insert(0, CHECKOUT)

from degentcivil_nb.client.simulation_client import SimulationClient  # noqa: E402
from degentcivil_nb.protocol.codec import decode_frames, encode_batch  # noqa: E402
from degentcivil_nb.simulation.probe import SimulationProbe  # noqa: E402
from degentcivil_nb.store.event_store import EventStore  # noqa: E402

FLUSH = 1_400
AGENTS = [f"agent-{number}" for number in range(1_000)]
STATES = ("IDLE", "MOVE", "PLAN", "ACT", "CHATING", "TRADE")
PLACES = ("Park", "Cafe", "Library", "Market")
BATCHES = {"one type": 1, "mixed": 1, "100 a frame": 100}
clock = time.thread_time
encode = msgspec.json.Encoder().encode


def envelope(number: int, mixed: bool) -> bytes:
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
    told = {"type": kind, "data": {**data, "timestamp": now}, "timestamp": now, "seq": number + 1}
    return encode({**told, "tick": number // 50})


def in_parts(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def frames_of(name: str) -> list[list[bytes]]:
    envelopes = [envelope(number, name == "mixed") for number in range(EVENTS)]
    batch = BATCHES[name]
    frames = envelopes if batch == 1 else [encode_batch(part) for part in in_parts(envelopes, batch)]
    return in_parts(frames, max(1, FLUSH // batch))


class Receiving:
    """Decode frames, append them to a store, or receive them from the sender."""

    def __init__(self) -> None:
        self._frames: dict[str, list[list[bytes]]] = {}

    def decoding(self, name: str) -> float:
        parts = self._frames[name] = self._frames.get(name) or frames_of(name)
        began = clock()
        kept = [decode_frames(part) for part in parts]
        took = clock() - began
        if sum(map(len, kept)) != EVENTS:
            raise RuntimeError("messages are missing")
        return took / EVENTS

    def storing(self, name: str) -> float:
        parts = self._frames[name] = self._frames.get(name) or frames_of(name)
        messages = [decode_frames(part) for part in parts]
        store = EventStore(max_rows=1 << 30)
        began = clock()
        for part in messages:
            store.append(part, 1_800_000_000.0, "e")
        took = clock() - began
        if len(store) != EVENTS:
            raise RuntimeError("events are missing")
        return took / EVENTS

    def client(self, name: str) -> float:
        return asyncio.run(self._client(BATCHES[name]))

    async def _client(self, batch: int) -> float:
        store = EventStore(max_rows=1 << 30)
        done = asyncio.Event()
        began = took = 0.0

        def take(messages: list[Any], received: float, epoch: str | None) -> None:
            nonlocal began, took
            began = began or clock()
            store.append(messages, received, epoch)
            if len(store) == EVENTS:
                took = clock() - began
                done.set()

        client = SimulationClient(f"{SENDER}/{EVENTS}/{batch}", sink=take)
        await client.open()
        await done.wait()
        await client.close()
        return took / EVENTS


class Publishing:
    """Publish a burst from this thread, and wait until the server has it."""

    def __init__(self) -> None:
        self.probe = SimulationProbe(port=0)
        self._queue: deque[bytes] = deque(maxlen=10_000)
        self.ways: dict[str, Callable[[], None]] = {
            "bare, state_change": self.bare_state,
            "bare, event": self.bare_event,
            "bare, own type": self.bare_own,
            "same bytes, state_change": self.same_state,
            "same bytes, event": self.same_event,
            "same bytes, own type": self.same_own,
            "state_change": self.state,
            "event": self.event,
            "character_update": self.update,
            "1,000 agents": self.agents,
            "own type": self.own,
        }

    def __call__(self, name: str) -> float:
        way = self.ways[name]
        began = clock()
        way()
        took = clock() - began
        server: Any = self.probe._server
        while server.publisher.depth:
            time.sleep(0.001)  # polls: 36f6bde has no event for an empty queue
        return took / BURST

    def bare_state(self) -> None:
        queue, now = self._queue, time.time
        for number in range(BURST):
            who = AGENTS[number % 1_000]
            data = {"character_id": who, "new_state": "MOVE", "location": "Central Park", "timestamp": now()}
            queue.append(encode({"type": "state_change", "data": data}))

    def bare_event(self) -> None:
        queue, now = self._queue, time.time
        for number in range(BURST):
            who, told = AGENTS[number % 1_000], {"price": 3, "to": "noah"}
            data = {"event_type": "trade", "data": told, "timestamp": now(), "character_id": who}
            queue.append(encode({"type": "event_notification", "data": data}))

    def bare_own(self) -> None:
        queue = self._queue
        for number in range(BURST):
            queue.append(encode({"type": "weather", "data": {"rain_mm": number}}))

    def same_state(self) -> None:
        queue, now = self._queue, time.time
        for number in range(BURST):
            at = now()
            who, place = AGENTS[number % 1_000], "Central Park"
            data = {
                "character_id": who,
                "new_state": "MOVE",
                "location": place,
                "timestamp": at,
                "previous_state": "MOVE",
            }
            queue.append(encode({"type": "state_change", "data": data, "timestamp": at, "tick": 0}))

    def same_event(self) -> None:
        queue, now = self._queue, time.time
        for number in range(BURST):
            at, who, told = now(), AGENTS[number % 1_000], {"price": 3, "to": "noah"}
            data = {"event_type": "trade", "data": told, "timestamp": at, "character_id": who}
            queue.append(encode({"type": "event_notification", "data": data, "timestamp": at, "tick": 0}))

    def same_own(self) -> None:
        queue, now = self._queue, time.time
        for number in range(BURST):
            queue.append(encode({"type": "weather", "data": {"rain_mm": number}, "timestamp": now(), "tick": 0}))

    def state(self) -> None:
        publish = self.probe.state_change
        for number in range(BURST):
            publish(AGENTS[number % 1_000], "MOVE", "Central Park")

    def event(self) -> None:
        publish = self.probe.event
        for number in range(BURST):
            publish("trade", {"price": 3, "to": "noah"}, character_id=AGENTS[number % 1_000])

    def update(self) -> None:
        publish = self.probe.character_update
        for number in range(BURST):
            publish(AGENTS[number % 1_000], money=12, mood="calm")

    def agents(self) -> None:
        move, tell = self.probe.state_change, self.probe.character_update
        for number in range(BURST // 2):
            move(AGENTS[number % 1_000], "MOVE", location="Central Park")
            tell(AGENTS[number % 1_000], x=1.5, y=2.5)

    def own(self) -> None:
        publish = self.probe.publish
        for number in range(BURST):
            publish("weather", {"rain_mm": number})


def main() -> None:
    receiving, publishing = Receiving(), Publishing()
    print(publishing.probe.url.rpartition(":")[2].strip("/"), flush=True)
    gc.collect()
    gc.freeze()  # the libraries, which are not looked through at each collection
    for line in sys.stdin:
        kind, _, name = line.strip().partition(": ")
        gc.collect()
        took = publishing(name) if kind == "publish" else getattr(receiving, kind)(name)
        print(json.dumps(took * 1e6), flush=True)
    publishing.probe.close()


if __name__ == "__main__":
    main()
