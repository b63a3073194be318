"""Promises 1 and 2: real servers, clients and stores, and a network that does everything a network does."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from degentcivil_nb.protocol.errors import ConnectFailed
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from tests.soak.oracle import TYPES, Account, Tally, Witness
from tests.support.fault_proxy import FaultProxy

HEARTBEAT_S = 0.25
ATTEMPT_S = 1.0
PATIENCE_S = 60.0


class Stage:
    """Hold a server that can die and come back at its port, and all that its epochs published."""

    def __init__(self, *sizes: int, heartbeat_s: float = HEARTBEAT_S, max_queued: int | None = None) -> None:
        self.witnesses: dict[str, Witness] = {}
        self._max_queued = max_queued
        self._sizes = sizes
        self._heartbeat_s = heartbeat_s
        self._port = 0
        self._number = 0

    async def start(self) -> None:
        self.witness = Witness(*self._sizes)
        self.server = SimulationWebSocket(
            "127.0.0.1",
            self._port,
            history=self.witness,
            heartbeat_s=self._heartbeat_s,
            resume_s=2.0,
            max_queued=self._max_queued,
        )
        self.witness.epoch = self.server.epoch
        self.witnesses[self.server.epoch] = self.witness
        await self.server.start()
        self._port = self.server.port

    async def die(self) -> None:
        """End as a killed process does: no last words, no close frames."""
        self.witness.dead = True  # from here on whatever is heard of it is its end
        for websocket in list(self.server.clients):
            websocket.transport.abort()
        await self.server.close()

    def publish(self, count: int, size: int = 0) -> None:
        for _ in range(count):
            self._number += 1
            data = {"event_type": "x", "n": self._number} | ({"pad": "x" * size} if size else {})
            self.server.publish(TYPES[self._number % 3], data)

    @property
    def events(self) -> int:
        return sum(witness.head for witness in self.witnesses.values())


@contextlib.asynccontextmanager
async def staged(*sizes: int, heartbeat_s: float = HEARTBEAT_S, max_queued: int | None = None) -> AsyncIterator[Stage]:
    stage = Stage(*sizes, heartbeat_s=heartbeat_s, max_queued=max_queued)
    await stage.start()
    try:
        yield stage
    finally:
        await stage.server.close()


@contextlib.asynccontextmanager
async def publishing(stage: Stage, per_s: int) -> AsyncIterator[None]:
    """Publish in bursts until the end of the block."""

    async def read_until() -> None:
        rng = random.Random(1)
        while True:
            stage.publish(rng.randint(1, max(1, per_s // 50)))
            if rng.random() < 0.02:
                stage.server.publish("run_state", {"state": "running", "reason": "command"})
            await asyncio.sleep(0.01)  # at this pace

    task = asyncio.create_task(read_until())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> float:
    """Wait for a condition and give the seconds that took; `TimeoutError` says what never came about."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience_s:
            raise TimeoutError(what)
        await asyncio.sleep(0.005)  # nobody announces this condition
    return time.monotonic() - began


async def opened(account: Account) -> None:
    """Open a client, however busy the machine is with the others."""
    for patience in range(20):
        try:
            await account.client.open()
            return
        except ConnectFailed:
            if patience == 19:
                raise
            await asyncio.sleep(0.2)  # the server may be closed for a moment


def describe(account: Account) -> str:
    client = account.client
    return f"{client.state} at {client.position}, circuit {client.circuit}: {client.last_error}"


# --- what a network does ---------------------------------------------------------------------------------------------

Fault = Callable[[Stage, FaultProxy, Account, random.Random], Awaitable[None]]


async def _cut(account: Account, proxy: FaultProxy) -> None:
    """Wait until the fault has bitten, or help it along."""
    with contextlib.suppress(TimeoutError):
        await until(lambda: account.client.state != "live", "a fault that bites", 2.0)
    if account.client.state == "live":
        proxy.reset()


async def clean_close(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    proxy.close()


async def reset(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    proxy.reset()


async def half_open(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    proxy.reset("client")  # the server goes on with its half for a while


async def silent_server(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    proxy.reset("server")
    await _cut(account, proxy)


async def black_hole(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    way = rng.choice((proxy.down, proxy.up))
    way.black_hole(True)
    await _cut(account, proxy)


async def mid_frame(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    proxy.down.cut_in_frame(rng.randint(1, 6), rng.choice(("close", "reset")))
    stage.publish(3)
    await _cut(account, proxy)


async def mid_frame_up(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    proxy.up.cut_in_frame(1, "reset")
    await _cut(account, proxy)


async def one_byte_at_a_time(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    proxy.down.slice_bytes = 1
    proxy.reset()
    await asyncio.sleep(0.25)  # some bytes have arrived by then
    proxy.reset()  # somewhere in the handshake, `hello`, `resumed` or the replay


async def _attempt_after(proxy: FaultProxy, accepted: int) -> None:
    """Wait for the attempt after the one to be cut; sometimes an older connection took the fault upon itself."""
    with contextlib.suppress(TimeoutError):
        await until(lambda: proxy.accepted > accepted + 1, "the attempt after the one to be cut", 2.0)


async def during_hello(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    accepted = proxy.accepted
    proxy.reset()
    proxy.down.limit_data(rng.randint(1, 900), rng.choice(("close", "reset")))
    await _attempt_after(proxy, accepted)


async def before_resume(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    accepted = proxy.accepted
    proxy.reset()
    proxy.up.cut_in_frame(1, "reset")  # `resume` itself
    await _attempt_after(proxy, accepted)


async def during_replay(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    accepted = proxy.accepted
    proxy.reset()
    stage.publish(300)
    proxy.down.limit_data(rng.randint(900, 20_000), rng.choice(("close", "reset")))
    await _attempt_after(proxy, accepted)


async def server_closes(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    clients = list(stage.server.clients)
    if clients:
        await asyncio.wait_for(rng.choice(clients).close(1012, "a fault on purpose"), 5)


async def kernel_restart(stage: Stage, proxy: FaultProxy, account: Account, rng: random.Random) -> None:
    """End the client and go on with another one from the position of the last, as after a kernel's restart."""
    await account.client.close()
    account.make_client(account.client.position)
    proxy.heal()
    await opened(account)


FAULTS: tuple[tuple[Fault, int], ...] = (
    (clean_close, 4),
    (reset, 4),
    (half_open, 3),
    (silent_server, 1),
    (black_hole, 2),
    (mid_frame, 5),
    (mid_frame_up, 1),
    (one_byte_at_a_time, 1),
    (during_hello, 4),
    (before_resume, 2),
    (during_replay, 4),
    (server_closes, 1),
    (kernel_restart, 2),
)


async def cuts(clients: int, times: int, *, per_s: int = 400, seed: int = 0) -> Tally:
    """Promise 1: cut each of some clients many times, in every way, while the town goes on."""
    tally = Tally()
    kinds: dict[str, int] = {}
    async with staged(10_000_000, 1 << 33) as stage, contextlib.AsyncExitStack() as stack:
        stage.publish(500)
        stage.server.feed.head_after_drain()
        accounts: list[Account] = []

        async def follow(number: int) -> None:
            rng = random.Random(seed * 1000 + number)
            proxy = await stack.enter_async_context(FaultProxy(stage.server.port))
            types = (None, None, ["trade"], ["trade", "error_report"])[number % 4]
            account = Account(
                stage.witnesses, proxy.url, types=types, history=(1000, 100, 0)[number % 3], timeout=ATTEMPT_S
            )
            accounts.append(account)
            await opened(account)
            stack.push_async_callback(lambda: account.client.close())
            weights = [weight for _, weight in FAULTS]
            for _ in range(times):
                (fault,) = rng.choices([fault for fault, _ in FAULTS], weights)
                await fault(stage, proxy, account, rng)
                kinds[fault.__name__] = kinds.get(fault.__name__, 0) + 1
                proxy.heal()
                head = stage.witness.head

                def caught_up(account: Account = account, head: int = head) -> bool:
                    position = account.client.position
                    return account.client.state == "live" and position is not None and position[1] >= head

                tally.recovered_s.append(await until(caught_up, f"recovery from {fault.__name__}: {describe(account)}"))
                await asyncio.sleep(rng.random() * 0.05)  # the next cut comes at any moment
            tally.cuts += times

        async with publishing(stage, per_s):
            await asyncio.gather(*(follow(number) for number in range(clients)))
        await _settle(stage, accounts, tally)
    tally.more |= {"clients": clients, "kinds": kinds}
    return tally


async def _settle(stage: Stage, accounts: list[Account], tally: Tally) -> None:
    stage.server.feed.head_after_drain()
    for account in accounts:
        await until(partial(account.is_at, stage.witness), "the end of the stream")
        tally.add(account.settle())
        tally.more.setdefault("false", []).extend(account.false[:3])
    tally.events = stage.events


async def overflows(count: int, *, clients: int = 2, seed: int = 0) -> Tally:
    """Promise 2: let history move on behind clients that are away, too slow, or lost a part with everybody else."""
    tally = Tally()
    rng = random.Random(seed)
    window = 60
    rounds = max(1, count // clients)
    async with (
        staged(window, 8_000_000, heartbeat_s=5.0, max_queued=500) as stage,
        contextlib.AsyncExitStack() as stack,
    ):
        pairs: list[tuple[FaultProxy, Account]] = []
        for number in range(clients):
            proxy = await stack.enter_async_context(FaultProxy(stage.server.port))
            account = Account(stage.witnesses, proxy.url, types=(None, ["trade"])[number % 2], timeout=5.0)
            await account.client.open()
            stack.push_async_callback(account.client.close)
            pairs.append((proxy, account))
        for number in range(rounds):
            size, how = (30_000, rng.choice(("slow", "slow", "away"))) if number % 10 == 9 else (0, "away")
            for proxy, _ in pairs:
                if how == "slow":
                    proxy.down.black_hole(True)
                else:
                    await proxy.disable()
            for _ in range(rng.randint(2, 5) if size == 0 else 8):
                stage.publish(rng.randint(20, 60), size)
                if rng.random() < 0.3:
                    stage.server.publish("run_state", {"state": "running", "reason": "command"})
                await asyncio.sleep(0.01)  # so that they go in several frames
            if rng.random() < 0.2:
                stage.publish(500 + rng.randint(1, 80))  # faster than the server's loop: an overflow
            stage.server.feed.head_after_drain()
            for proxy, _ in pairs:
                if how == "slow":
                    proxy.down.black_hole(False)
                else:
                    await proxy.enable()
            for _, account in pairs:
                seconds = await until(partial(account.is_at, stage.witness), "recovery from an overflow")
                tally.recovered_s.append(seconds)
        await _settle(stage, [account for _, account in pairs], tally)
        tally.cuts = rounds * clients
        reasons: dict[str, int] = {}
        for _, account in pairs:
            for reason in account.store.gaps()["reason"]:
                reasons[reason] = reasons.get(reason, 0) + 1
        tally.more |= {"clients": clients, "reasons": reasons}
    return tally


async def kills(count: int, *, clients: int = 3, seed: int = 0) -> Tally:
    """Promise 2: kill the server again and again; each time a new epoch begins at the same port."""
    tally = Tally()
    rng = random.Random(seed)
    async with staged(200, 8_000_000) as stage, contextlib.AsyncExitStack() as stack:
        accounts: list[Account] = []
        for number in range(clients):
            account = Account(stage.witnesses, stage.server.url, types=(None, ["trade"])[number % 2], timeout=ATTEMPT_S)
            await account.client.open()
            stack.push_async_callback(account.client.close)
            accounts.append(account)
        for _ in range(count):
            for _ in range(rng.randint(0, 4)):
                stage.publish(rng.randint(1, 120))
                await asyncio.sleep(rng.random() * 0.02)  # so that frames of any size are on their way
            if rng.random() < 0.8:
                stage.server.feed.head_after_drain()
            await stage.die()
            await stage.start()
            stage.publish(rng.choice((0, 1, 50, 450)))
            stage.server.feed.head_after_drain()
            for account in accounts:
                if rng.random() < 0.9:  # else it may be killed again before they are all back
                    tally.recovered_s.append(
                        await until(
                            partial(account.is_at, stage.witness),
                            f"recovery from a kill: {describe(account)}",
                        )
                    )
        await _settle(stage, accounts, tally)
        tally.cuts = count
        tally.more |= {"clients": clients, "epochs": len(stage.witnesses)}
    return tally
