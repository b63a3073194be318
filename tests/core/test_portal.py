"""A portal runs coroutines for threads that have no loop, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from degentcivil_nb.core.portal import Portal

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="empty")


async def double(number: int) -> int:
    await asyncio.sleep(0)  # a coroutine that gives way once
    return 2 * number


def test_a_call_returns_what_the_coroutine_does(nothing_leaks: Callable[[], None]) -> None:
    with Portal() as portal:
        assert portal.call(double, 21) == 42


def test_a_call_raises_what_the_coroutine_does() -> None:
    async def fail() -> None:
        raise LookupError("not here")

    with Portal() as portal, pytest.raises(LookupError, match="not here"):
        portal.call(fail)


def test_submit_gives_a_future() -> None:
    with Portal() as portal:
        assert portal.submit(double, 4).result(5) == 8


def test_a_call_that_takes_too_long_is_cancelled() -> None:
    ended = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with Portal() as portal:
        with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
            portal.call(forever, timeout=0.05)
        assert ended.wait(5)


def test_a_timeout_of_the_coroutine_itself_is_not_mistaken_for_ours() -> None:
    async def impatient() -> None:
        raise TimeoutError("its own")

    with Portal() as portal, pytest.raises(TimeoutError, match="its own"):
        portal.call(impatient, timeout=5)


def test_a_call_from_its_own_thread_is_refused_with_advice() -> None:
    with Portal() as portal:

        async def call_again() -> int:
            return portal.call(double, 1)

        with pytest.raises(RuntimeError, match="own thread; await the coroutine"):
            portal.call(call_again, timeout=5)


def test_closing_from_its_own_thread_is_refused_with_advice() -> None:
    with Portal() as portal:

        async def close() -> None:
            portal.close()

        with pytest.raises(RuntimeError, match="call it from another"):
            portal.call(close, timeout=5)


def test_close_cancels_joins_and_may_be_repeated(nothing_leaks: Callable[[], None]) -> None:
    portal = Portal()
    waiting = threading.Event()

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    future = portal.submit(wait)
    assert waiting.wait(5)
    portal.close()
    portal.close()
    assert future.cancelled() and portal.closed and not portal.thread.is_alive()


def test_whoever_waits_while_it_is_closed_is_told() -> None:
    portal = Portal()
    told: list[BaseException] = []
    waiting = threading.Event()

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def call() -> None:
        try:
            portal.call(wait)
        except RuntimeError as error:
            told.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert waiting.wait(5)
    portal.close()
    caller.join(5)
    assert "closed while this call waited" in str(told[0])


def test_a_closed_portal_takes_no_calls() -> None:
    portal = Portal()
    portal.close()
    with pytest.raises(RuntimeError, match="closed"):
        portal.call(double, 1)


def test_neither_the_thread_nor_a_call_sees_the_context_of_the_cell() -> None:
    async def look() -> str:
        return variable.get()

    variable.set("this cell")
    with Portal() as portal:
        assert portal.call(look) == "empty"


def test_many_threads_close_one_portal_at_once(nothing_leaks: Callable[[], None]) -> None:
    portal = Portal()
    start = threading.Barrier(8)

    def close() -> None:
        start.wait(5)
        portal.close()

    threads = [threading.Thread(target=close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert not portal.thread.is_alive()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_in_a_forked_child_a_portal_is_inert_and_says_so() -> None:
    with Portal() as portal:
        child = os.fork()
        if child == 0:
            try:
                told = False
                try:
                    portal.submit(double, 1)
                except RuntimeError as error:
                    told = "forked" in str(error)
                portal.close()
                os._exit(0 if told and portal.closed else 1)
            finally:
                os._exit(2)
        deadline = time.monotonic() + 10
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.01)  # waitpid has no time limit
        assert os.waitstatus_to_exitcode(ended[1]) == 0
        assert portal.call(double, 1, timeout=5) == 2
