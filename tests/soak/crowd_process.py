"""A server, or healthy clients, in a process of their own: told what to do by lines of JSON, answering with one each.

`python -m tests.soak.crowd_process serve|watch URL COUNT`
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct

from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.json_text import decode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from degentcivil_nb.server.stream.history import History

HISTORY = 10_000


class _Sent(Struct, gc=False):
    sent: float


class Serving:
    """Publish at a steady rate, each message with the time at which it was due: a loop held up hides nothing."""

    async def start(self, per_s: float, size: int, batch_s: float) -> Any:
        self._pad = "x" * size
        self._late: list[float] = []
        self.server = SimulationWebSocket("127.0.0.1", 0, history=History(HISTORY, 1 << 30), batch_s=batch_s)
        self._publish([time.time()] * HISTORY)
        await self.server.start()
        self.server.feed.head_after_drain()
        self._task = asyncio.create_task(self._go_on(per_s))
        return self.server.url

    def _publish(self, times: list[float]) -> None:
        for due in times:
            self.server.publish("event_notification", {"event_type": "x", "sent": due, "pad": self._pad})

    async def _go_on(self, per_s: float) -> None:
        began, done = time.time(), 0
        while True:
            woken = time.monotonic()
            await asyncio.sleep(1 / per_s)  # the pace of the simulation
            self._late.append(time.monotonic() - woken - 1 / per_s)
            count = int((time.time() - began) * per_s)
            self._publish([began + number / per_s for number in range(done + 1, count + 1)])
            done = count

    async def look(self) -> Any:
        late, self._late = np.array(self._late or [0.0]), []
        seen = {"head": self.server.history.head, "clients": len(self.server.clients)}
        return seen | {"late_p99": float(np.percentile(late, 99)), "late_max": float(late.max())}

    async def stop(self) -> Any:
        self._task.cancel()
        await self.server.close()


class Watching:
    """Be healthy clients, and sample how late each message comes."""

    async def start(self, url: str, count: int) -> Any:
        self.samples: list[float] = []
        self.gaps = 0
        self.clients = [SimulationClient(url, history=0, sink=self._take) for _ in range(count)]
        await asyncio.gather(*(client.open() for client in self.clients))

    def _take(self, messages: list[RawMessage], received: float, epoch: str | None) -> None:
        self.gaps += sum(message.type == "gap" for message in messages)
        self.samples += [received - decode(_Sent, m.data).sent for m in messages if m.type == "event_notification"]

    async def look(self) -> Any:
        samples, self.samples = np.array(self.samples or [0.0]), []
        p50, p99, most = (float(np.percentile(samples, percent)) for percent in (50, 99, 100))
        reconnects = sum(client.reconnects for client in self.clients)
        return {"count": len(samples), "p50": p50, "p99": p99, "max": most, "gaps": self.gaps, "reconnects": reconnects}

    async def stop(self) -> Any:
        await asyncio.gather(*(client.close() for client in self.clients))


async def main(role: str) -> None:
    actor = {"serve": Serving, "watch": Watching}[role]()
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, *arguments = json.loads(line)
        method: Callable[..., Any] = getattr(actor, name)
        print(json.dumps(await method(*arguments)), flush=True)
        if name == "stop":
            return


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
