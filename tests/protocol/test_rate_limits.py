"""Rate limits hold in every window, and a refusal says how long to wait."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from degentcivil_nb.protocol.errors import WebSocketError
from degentcivil_nb.protocol.rate_limits import RateLimiter, SlidingWindow
from tests.support.clock import Clock


async def test_the_guide_s_own_use() -> None:
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    for _ in range(100):
        await limiter.check_rate_limit("emma's notebook")
    with pytest.raises(WebSocketError) as caught:
        await limiter.check_rate_limit("emma's notebook")
    assert caught.value.code == WebSocketError.RATE_LIMIT
    assert caught.value.retryable
    assert caught.value.details == {"retry_after_s": 60.0}
    await limiter.check_rate_limit("somebody else's")
    clock.now = 60.0
    await limiter.check_rate_limit("emma's notebook")


@given(
    st.lists(st.floats(0, 3, allow_nan=False), max_size=200),
    st.integers(1, 7),
    st.sampled_from([0.5, 1.0, 10.0]),
)
def test_it_admits_exactly_what_the_model_admits(pauses: list[float], limit: int, window: float) -> None:
    clock = Clock()
    limiter = RateLimiter(limit, window, clock=clock)
    admitted: list[float] = []
    for pause in pauses:
        clock.now += pause
        recent = [at for at in admitted if at + window > clock.now]
        wait = limiter.take("a")
        assert (wait == 0.0) is (len(recent) < limit)
        if wait == 0.0:
            admitted.append(clock.now)
        else:
            assert wait == pytest.approx(recent[-limit] + window - clock.now)
    for start in admitted:  # no interval of the window's length holds more, wherever it begins
        assert sum(start <= at and at - start < window * (1 - 1e-9) for at in admitted) <= limit


def test_waiting_as_long_as_it_says_is_enough() -> None:
    clock = Clock()
    limiter = RateLimiter(3, 1.0, clock=clock)
    for at in (0.1, 0.2, 0.7):
        clock.now = at
        assert limiter.take("a") == 0.0
    clock.now = 0.8
    clock.now += limiter.take("a") + 1e-9
    assert limiter.take("a") == 0.0


def test_an_address_has_a_limit_of_its_own_and_a_refusal_costs_nothing() -> None:
    clock = Clock()
    limiter = RateLimiter(2, 10, max_per_address=3, clock=clock)
    assert [limiter.take(client, "10.0.0.5") for client in ("a", "a", "b")] == [0.0, 0.0, 0.0]
    for client in ("b", "c", "d"):  # reconnecting under another name does not help
        assert limiter.take(client, "10.0.0.5") == 10.0
    with pytest.raises(WebSocketError, match=r"at most 3 of one address in 10 s"):
        limiter.check("e", "10.0.0.5")
    with pytest.raises(WebSocketError, match=r"at most 2 in 10 s"):
        limiter.check("a", "10.0.0.5")
    assert limiter.take("b", "10.0.0.6") == 0.0
    clock.now = 10.0
    assert limiter.take("b", "10.0.0.5") == 0.0  # the refusals have used nothing up


def test_a_client_costs_constant_memory() -> None:
    window = SlidingWindow(100, 60)
    for number in range(100):
        window.admit(float(number))
    full = sys.getsizeof(window._times)
    for number in range(100_000):
        window.admit(float(number))
    assert sys.getsizeof(window._times) == full < 1_500


def test_the_idle_are_forgotten_and_nothing_changes_by_it() -> None:
    clock = Clock()
    limiter = RateLimiter(1, 10, clock=clock)
    for number in range(1_000):
        limiter.take(number)
    assert len(limiter) == 1_000
    clock.now = 5.0
    limiter.take("busy")
    clock.now = 10.0
    for _ in range(1_000):
        limiter.take("busy")
    assert len(limiter) == 1
    assert limiter.take("busy") == 5.0


def test_an_endless_stream_of_new_names_is_bounded() -> None:
    limiter = RateLimiter(1, 60, max_tracked=50, clock=Clock())
    for number in range(10_000):
        limiter.take(number)
    assert len(limiter) <= 51


def test_a_clock_that_jumps_back_admits_no_more() -> None:
    clock = Clock()
    limiter = RateLimiter(2, 10, clock=clock)
    clock.now = 100.0
    limiter.take("a")
    limiter.take("a")
    clock.now = 50.0
    assert limiter.take("a") > 0


@pytest.mark.parametrize("wrong", [{"max_messages": 0}, {"max_per_address": 0}, {"window_seconds": 0}])
def test_its_settings_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="number of"):
        RateLimiter(**wrong)  # type: ignore[arg-type]
