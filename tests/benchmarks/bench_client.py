"""Receiving: messages a second through the client and into the store, beside the limit of the transport and its peers.

A process of its own sends frames that were made beforehand, from a blocking socket, so that the sender is never the
bottleneck. All ways end with tables that can be asked, but for those that throw away. Each way runs `--rounds` times,
taking turns, and its median counts; the way of the first draft runs once over a few, since it never ends otherwise.

    python -m tests.benchmarks.bench_client --messages 30000
    python -m tests.benchmarks.bench_client --messages 300 --rounds 1
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pandas as pd
from msgspec import Raw, Struct
from websockets.asyncio.client import connect

from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore
from tests.benchmarks.report import Row, at_least, finish, parser
from tests.benchmarks.sender import sending

CONCATENATED = 2_000
"""Messages of the first draft: it slows down with each."""
THOUSAND = 1_000
RECEIVED = "recv, thrown away"
DICTS = "json.loads, a list of dicts"
FLAT = "json.loads, a list of flat dicts"
FRAME = "json.loads, DataFrame at the end"
OBJECTS = "msgspec to objects"
PERSPECTIVE = "Perspective, in thousands"
CLIENT = "our client, thrown away"
OURS = "our client and store"

Receiver = Callable[[str, int, int], Coroutine[Any, Any, float]]


async def frames_of(url: str, total: int, batch: int, take: Callable[[bytes], object]) -> float:
    """Take all frames but the first, and give the seconds that it took."""
    async with connect(url, compression=None, max_size=None) as websocket:
        await websocket.recv(decode=False)
        start = time.perf_counter()
        for _ in range(total // batch - 1):
            take(await websocket.recv(decode=False))
        return time.perf_counter() - start


async def thrown_away(url: str, total: int, batch: int) -> float:
    return await frames_of(url, total, batch, bool)


async def list_of_dicts(url: str, total: int, batch: int) -> float:
    kept: list[dict[str, Any]] = []
    return await frames_of(url, total, batch, lambda frame: kept.extend(json.loads(frame)["data"]))


async def list_of_flat_dicts(url: str, total: int, batch: int) -> float:
    """Give `data` and `type` in one dict of texts and numbers, which the garbage collector does not follow."""
    kept: list[dict[str, Any]] = []

    def take(frame: bytes) -> None:
        kept.extend({**message["data"], "type": message["type"]} for message in json.loads(frame)["data"])

    return await frames_of(url, total, batch, take)


async def frame_at_the_end(url: str, total: int, batch: int) -> float:
    kept: list[dict[str, Any]] = []
    seconds = await frames_of(url, total, batch, lambda frame: kept.append(json.loads(frame)))
    start = time.perf_counter()
    assert len(pd.DataFrame(kept)) == total - 1
    return seconds + time.perf_counter() - start


class Typed(Struct, gc=False):
    type: str
    data: Raw
    timestamp: float
    seq: int
    tick: int


class TypedBatch(Struct):
    data: list[Typed]


async def objects(url: str, total: int, batch: int) -> float:
    kept: list[Typed] = []
    one, many = msgspec.json.Decoder(Typed).decode, msgspec.json.Decoder(TypedBatch).decode
    if batch == 1:
        return await frames_of(url, total, batch, lambda frame: kept.append(one(frame)))
    return await frames_of(url, total, batch, lambda frame: kept.extend(many(frame).data))


async def into_perspective(url: str, total: int, batch: int) -> float:
    import perspective  # type: ignore[import-not-found, import-untyped, unused-ignore]  # the extra `bench`

    text, number = "string", "integer"
    columns = {"type": text, "seq": number, "tick": number, "timestamp": "float"}
    columns |= {"character_id": text, "new_state": text, "location": text}
    table = perspective.Server().new_local_client().table(columns)
    rows: list[dict[str, Any]] = []

    def take(frame: bytes) -> None:
        message = json.loads(frame)
        rows.append({**message, **message.pop("data")})
        if len(rows) == THOUSAND:
            table.update(rows)
            rows.clear()

    seconds = await frames_of(url, total, batch, take)
    start = time.perf_counter()
    table.update(rows)
    assert table.size() == total - 1
    return seconds + time.perf_counter() - start


async def concatenated(url: str, total: int, batch: int) -> float:
    frame = pd.DataFrame()

    def take(text: bytes) -> None:
        nonlocal frame
        message = json.loads(text)
        frame = pd.concat([frame, pd.DataFrame([{**message, **message.pop("data")}])], ignore_index=True)

    return await frames_of(url, total, batch, take)


async def through_the_client(url: str, total: int, batch: int, sink: Callable[..., None] | None = None) -> float:
    done = asyncio.Event()
    got = 0
    start = 0.0

    def counting(messages: list[RawMessage], received: float, epoch: str | None) -> None:
        nonlocal got, start
        start = start or time.perf_counter()
        if sink is not None:
            sink(messages, received, epoch)
        got += len(messages)
        if got > total:  # and the snapshot
            done.set()

    client = SimulationClient(url, sink=counting)
    await client.open()
    await done.wait()
    seconds = time.perf_counter() - start
    await client.close()
    assert client.position == ("bench", total)
    return seconds


async def into_the_store(url: str, total: int, batch: int) -> float:
    store = EventStore(max_rows=2 * total)
    seconds = await through_the_client(url, total, batch, store.append)
    assert len(store) == total
    return seconds


WAYS: dict[int, dict[str, Receiver]] = {
    1: {
        RECEIVED: thrown_away,
        FRAME: frame_at_the_end,
        PERSPECTIVE: into_perspective,
        CLIENT: through_the_client,
        OURS: into_the_store,
    },
    100: {
        DICTS: list_of_dicts,
        FLAT: list_of_flat_dicts,
        OBJECTS: objects,
        CLIENT: through_the_client,
        OURS: into_the_store,
    },
}


def measure(total: int, rounds: int) -> list[Row]:
    times: dict[tuple[int, str], list[float]] = {}
    has_perspective = importlib.util.find_spec("perspective") is not None
    with sending() as url:
        for _ in range(rounds):
            for batch, ways in WAYS.items():
                for name, way in ways.items():
                    if name == PERSPECTIVE and not has_perspective:
                        continue  # its row says so
                    seconds = asyncio.run(way(f"{url}/{total}/{batch}", total, batch))
                    times.setdefault((batch, name), []).append(seconds)
        few = min(total, CONCATENATED)
        draft = few / asyncio.run(concatenated(f"{url}/{few}/1", few, 1))
    return rows_of({key: [total / one for one in seconds] for key, seconds in times.items()}, draft, few)


def rows_of(rates: dict[tuple[int, str], list[float]], draft: float, few: int) -> list[Row]:
    rate = {key: statistics.median(each) for key, each in rates.items()}
    ours, unit, one = rate[1, OURS], "events/s", "a message a frame, into the store"
    limit = (rate[1, RECEIVED], RECEIVED)
    peer = rate.get((1, PERSPECTIVE))
    missing = PERSPECTIVE if peer else "Perspective is not installed: the extra `bench`"
    first_draft = f"json.loads and pd.concat per message, of {few:,}"
    name = max(DICTS, FLAT, key=lambda name: rate[100, name])
    dicts = (rate[100, name], name)
    hundred, objects_100 = "100 messages a frame", (rate[100, OBJECTS], OBJECTS)
    each = {batch: tuple(rates[batch, OURS]) for batch in WAYS}
    return [
        Row(f"{one}, beside the transport", unit, ours, None, "", *limit, target=at_least(2.5, "limit"), each=each[1]),
        Row(f"{one}, beside Perspective", unit, ours, peer, missing, *limit, target=at_least(8, "peer")),
        Row(f"{one}, beside dicts", unit, ours, rate[1, FRAME], FRAME, *limit),
        Row(f"{one}, beside a first draft", unit, ours, draft, first_draft, *limit),
        Row("a message a frame, our client, thrown away", unit, rate[1, CLIENT], None, "", *limit),
        Row(
            f"{hundred}, into the store", unit, rate[100, OURS], *dicts, *objects_100,
            target=at_least(2.5, "peer"), each=each[100],
        ),
        Row(f"{hundred}, our client, thrown away", unit, rate[100, CLIENT], *dicts, *objects_100),
    ]  # fmt: skip


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--messages", type=int, default=300_000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    finish(measure(options.messages, options.rounds), options.out)


if __name__ == "__main__":
    main()
