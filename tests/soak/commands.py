"""Promise 7: a command takes effect at most once, and its outcome is known or called unknown."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter

from degentcivil_nb.client.circuit_breaker import Circuit
from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.errors import CommandError, OutcomeUnknown
from degentcivil_nb.simulation.probe import SimulationProbe
from tests.soak.cuts import until
from tests.soak.oracle import Tally, hurried
from tests.support.fault_proxy import FaultProxy

DEADLINE_S = 3.0


class Simulation:
    """Run on a thread of its own, count what commands do to it, and publish a few events in every tick."""

    def __init__(self, per_tick: int = 1, tick_s: float = 0.002, paused: bool = False) -> None:
        self.probe = SimulationProbe(port=0, tick_s=tick_s, paused=paused)
        self.effects: Counter[str] = Counter()
        self.published = 0
        self._per_tick = per_tick
        self._ended = threading.Event()
        self.probe.command(self.bump)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def bump(self, token: str) -> int:
        """Take effect, countably."""
        self.effects[token] += 1
        return self.effects[token]

    def _run(self) -> None:
        tick = 0
        while not self._ended.is_set():
            for _ in range(self._per_tick):
                self.published += 1
                self.probe.event("x", {"n": self.published})
            self.probe.checkpoint(tick)
            tick += 1

    def __enter__(self) -> Simulation:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.probe.finish()
        self._thread.join(10)
        self.probe.close()


async def _bite(proxy: FaultProxy, rng: random.Random) -> None:
    """Cut at some moment between the command's first byte and the last of its answer."""
    how = rng.randrange(6)
    if how == 0:
        proxy.up.cut_in_frame(1)
    elif how == 1:
        proxy.down.cut_in_frame(rng.randint(1, 3), rng.choice(("close", "reset")))
    elif how == 2:
        proxy.down.black_hole(True)
        await asyncio.sleep(rng.random() * 0.02)  # cut at any moment of the exchange
        proxy.reset()
        proxy.down.black_hole(False)
    elif how == 3:
        proxy.up.black_hole(True)
        await asyncio.sleep(rng.random() * 0.02)  # cut at any moment of the exchange
        proxy.up.black_hole(False)
        proxy.reset(rng.choice(("client", "both")))
    else:
        await asyncio.sleep(rng.random() * 0.01)  # cut at any moment of the exchange
        proxy.reset() if how == 4 else proxy.close()


async def commands(cuts: int, *, clients: int = 4, restart_every: int = 50, seed: int = 0) -> Tally:
    """Send a command at each cut and compare what is said of it with what the simulation counted."""
    tally = Tally(cuts=cuts)
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    with Simulation() as simulation:
        probe = simulation.probe

        async def command(client: SimulationClient, proxy: FaultProxy, number: int, rng: random.Random) -> None:
            token = str(number)
            request = asyncio.create_task(client.request("bump", {"token": token}, deadline_s=DEADLINE_S))
            await asyncio.sleep(0)  # the request has begun
            if number % restart_every == restart_every - 1:
                await asyncio.to_thread(probe.restart_server)
            else:
                await _bite(proxy, rng)
            loop = asyncio.get_running_loop()
            began = loop.time()
            try:
                said: object = (await request).result
                outcomes["known"] += 1
                expected = range(1, 2)
            except OutcomeUnknown as error:
                said = error
                outcomes["unknown"] += 1
                expected = range(2)
            except CommandError as error:
                said = error
                outcomes["refused"] += 1
                expected = range(1)
            tally.recovered_s.append(loop.time() - began)
            proxy.heal()
            await until(lambda: client.state == "live", f"life after command {number}: {client.last_error}")
            if simulation.effects[token] not in expected:
                wrong.append(f"{token}: {simulation.effects[token]} times, but {said!r}")

        async def follow(first: int) -> None:
            rng = random.Random(seed * 1000 + first)
            async with FaultProxy(probe.server.port) as proxy:
                client = SimulationClient(
                    proxy.url, history=0, delays=hurried, circuit=Circuit(failures=1_000_000), timeout=1.0
                )
                await client.open()
                for number in range(first, cuts, clients):
                    await command(client, proxy, number, rng)
                await client.close()

        await asyncio.gather(*(follow(number) for number in range(clients)))
        await asyncio.sleep(0.1)  # a command that was never claimed could still be, if that were possible
        tally.events = simulation.published
        tally.duplicated = sum(count > 1 for count in simulation.effects.values())
        tally.changed = len(wrong)
    tally.more = {"outcomes": dict(outcomes), "effects": sum(simulation.effects.values()), "wrong": wrong[:5]}
    return tally
