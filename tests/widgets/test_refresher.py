"""Flow control and the refresher: who is sent what when, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from hashlib import pbkdf2_hmac

import pytest

from degentcivil_nb.widgets.flow import OVERDUE_S, Flow
from degentcivil_nb.widgets.refresh import SHARE, MainThread, Refresher, View
from tests.support.clock import Clock

PATIENCE_S = 5.0
mark: ContextVar[str] = ContextVar("mark", default="none")


class Counter:
    """Be a view that counts how often it was drawn."""

    def __init__(self, size: int = 100) -> None:
        self.flow = Flow()
        self.size = size
        self.drawn = 0
        self.beats: list[float] = []
        self.said = threading.Event()
        self.context = ""
        self.event = threading.Event()

    def beat(self, now: float) -> None:
        self.beats.append(now)

    def say_reading(self, now: float) -> None:
        self.said.set()

    def refresh(self, now: float) -> int:
        self.drawn += 1
        self.context = mark.get()
        self.flow.sent(now)
        self.event.set()
        return self.size


class Fixed(MainThread):
    """Be a main thread that is busy or not as a test says."""

    def __init__(self, blocked: bool) -> None:
        super().__init__()
        self.is_blocked = blocked

    def blocked(self) -> bool:
        return self.is_blocked


def ticks(refresher: Refresher, view: Counter, clock: Clock, seconds: float, acknowledge: bool = True) -> None:
    for _ in range(round(seconds / 0.2)):
        clock.now += 0.2
        refresher.tick([view], clock.now)
        if acknowledge and view.flow.watched:
            view.flow.acknowledge("a", view.flow.number)


def test_a_view_that_nobody_watches_is_never_drawn() -> None:
    clock, view = Clock(100.0), Counter()
    ticks(Refresher(clock=clock), view, clock, 2)
    assert view.drawn == 0


def test_the_next_update_waits_for_every_page_to_have_drawn_the_last() -> None:
    flow = Flow()
    flow.show("fast")
    flow.show("slow")
    number = flow.sent(1.0)
    flow.acknowledge("fast", number)
    assert not flow.ready()
    flow.acknowledge("slow", number)
    assert flow.ready()


def test_a_page_that_is_gone_gets_nothing_until_it_asks_again() -> None:
    clock, view = Clock(100.0), Counter()
    refresher = Refresher(clock=clock, main=Fixed(False))
    view.flow.show("a")
    ticks(refresher, view, clock, 10, acknowledge=False)
    assert view.drawn == 1
    assert not view.flow.watched
    view.flow.acknowledge("a", 1)  # it was only slow
    ticks(refresher, view, clock, 1)
    assert view.drawn > 1


def test_while_a_cell_blocks_the_acknowledgements_the_newest_state_goes_out_every_half_second() -> None:
    clock, view = Clock(100.0), Counter()
    refresher = Refresher(clock=clock, main=Fixed(True))
    view.flow.show("a")
    ticks(refresher, view, clock, 10, acknowledge=False)
    assert 14 <= view.drawn <= 21
    assert view.flow.watched


def test_large_updates_share_the_budget_of_bytes() -> None:
    clock, view = Clock(100.0), Counter(size=100_000)
    refresher = Refresher(clock=clock)
    view.flow.show("a")
    ticks(refresher, view, clock, 20)
    assert 35 <= view.drawn <= 45  # 200 kB a second


def test_a_view_that_takes_long_is_drawn_less_often_and_does_not_delay_the_others() -> None:
    clock = Clock(100.0)

    class Slow(Counter):
        def refresh(self, now: float) -> int:
            clock.now += 0.3
            return super().refresh(now)

    slow, quick = Slow(), Counter()
    refresher = Refresher(clock=clock, spent=clock)
    for view in (slow, quick):
        view.flow.show("a")
    views: list[View] = [slow, quick]
    start = clock.now
    while clock.now < start + 30:
        clock.now += 0.2
        refresher.tick(views, clock.now)
        for view in (slow, quick):
            view.flow.acknowledge("a", view.flow.number)
    assert slow.drawn * 0.3 <= 0.25 * 30
    assert quick.drawn > 4 * slow.drawn


def test_a_view_that_the_machine_slept_in_is_drawn_again_at_once() -> None:
    clock = Clock(100.0)

    class Asleep(Counter):
        def refresh(self, now: float) -> int:
            clock.now += 8.0 if self.drawn == 0 else 0.0
            return super().refresh(now)

    view = Asleep()
    view.flow.show("a")
    ticks(Refresher(clock=clock), view, clock, 1)
    assert view.drawn == 5, "it rested for 40 s after a drawing that a suspended process took 8 s for"


def test_what_other_threads_do_for_a_view_is_part_of_its_cost() -> None:
    class Pooled(Counter):
        spent = 0.0

        def refresh(self, now: float) -> int:
            began, before = time.monotonic(), time.process_time()
            reader = threading.Thread(target=pbkdf2_hmac, args=("sha1", b"a", b"b", 100_000))
            reader.start()
            reader.join()
            self.spent = min(time.monotonic() - began, time.process_time() - before)
            return super().refresh(now)

    view = Pooled()
    view.flow.show("a")
    Refresher().tick([view], now := time.monotonic())
    assert view.flow.due - now >= view.spent / SHARE


def test_a_page_that_is_slow_to_draw_still_hears_that_python_is_there() -> None:
    clock, view = Clock(), Counter()
    refresher = Refresher(clock=clock, main=Fixed(True))
    view.flow.show("a")
    ticks(refresher, view, clock, 4, acknowledge=False)
    assert len(view.beats) == 20


def test_a_refresher_that_is_closed_draws_the_last_and_still_answers_who_asks(
    nothing_leaks: Callable[[], None],
) -> None:
    refresher, view = Refresher(rate_hz=50), Counter()
    refresher.add(view)
    refresher.post(lambda: view.flow.show("a"))
    assert view.event.wait(PATIENCE_S)
    drawn = view.drawn
    refresher.close()
    assert not refresher.running
    assert view.drawn > drawn
    assert view.beats, "who looks is told that this is the end"
    answered = threading.Event()
    refresher.post(answered.set)
    assert answered.wait(PATIENCE_S)
    refresher.close()
    refresher.remove(view)


def test_late_is_what_took_half_a_second() -> None:
    flow = Flow()
    flow.show("a")
    flow.sent(10.0)
    assert not flow.overdue(10.0 + OVERDUE_S - 0.01)
    assert flow.overdue(10.0 + OVERDUE_S)


def test_the_thread_starts_with_the_first_page_in_an_empty_context_and_ends_with_the_last_view(
    nothing_leaks: Callable[[], None],
) -> None:
    mark.set("the cell's")
    refresher, view = Refresher(rate_hz=50), Counter()
    refresher.add(view)
    refresher.post(lambda: view.flow.show("a"))
    assert view.event.wait(PATIENCE_S)
    assert view.context == "none"
    refresher.remove(view)
    nothing_leaks()


def test_closing_draws_the_last_state_and_joins_the_thread(nothing_leaks: Callable[[], None]) -> None:
    refresher, view = Refresher(rate_hz=50), Counter()
    refresher.add(view)
    refresher.post(lambda: view.flow.show("a"))
    assert view.event.wait(PATIENCE_S)
    drawn = view.drawn
    refresher.close()
    assert view.drawn == drawn + 1
    assert not refresher.running
    refresher.close()
    refresher.post(view.event.clear)
    assert view.event.is_set()


def test_input_that_fails_is_logged_and_stops_nothing(
    nothing_leaks: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    refresher, view = Refresher(rate_hz=50), Counter()
    refresher.add(view)
    refresher.post(lambda: view.flow.show(1 / 0))  # type: ignore[arg-type]
    refresher.post(lambda: view.flow.show("a"))
    assert view.event.wait(PATIENCE_S)
    refresher.close()
    assert "failed to handle its input" in caplog.text


async def test_the_probe_tells_a_blocked_loop_from_a_free_one() -> None:
    assert await asyncio.to_thread(MainThread(asyncio.get_running_loop(), wait_s=30.0).blocked) is False
    main = MainThread(asyncio.get_running_loop(), wait_s=0.05)
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(main.blocked()))
    thread.start()
    thread.join()  # the loop's own thread is here meanwhile, as a cell would be
    assert found == [True]
    assert MainThread(None).blocked() is False


def test_a_view_that_reads_much_says_so_and_holds_no_other_up() -> None:
    """Issue 16: a question about a whole run stopped all panels of a session."""
    refresher, quick = Refresher(rate_hz=50), Counter()
    own = refresher.own()
    let = threading.Event()

    class Slow(Counter):
        def refresh(self, now: float) -> int:
            assert self.said.wait(30)
            assert let.wait(30)
            return super().refresh(now)

    slow = Slow()
    own.add(slow)
    refresher.add(quick)
    for each, view in ((own, slow), (refresher, quick)):
        each.post(lambda view=view: view.flow.show("a"))  # type: ignore[misc]
    assert slow.said.wait(30)
    drawn = quick.drawn
    for _ in range(3):
        quick.event.clear()
        refresher.post(lambda: quick.flow.acknowledge("a", quick.flow.number))
        assert quick.event.wait(30)
    assert quick.drawn > drawn
    assert slow.drawn == 0
    let.set()
    assert slow.event.wait(30)
    refresher.close()
    assert not refresher.running
    assert not own.running


def test_views_with_threads_of_their_own_share_the_budget_and_hear_of_every_move() -> None:
    clock = Clock()
    refresher = Refresher(clock=clock, main=Fixed(False), bytes_per_s=1_000)
    own = refresher.own()
    first, second = Counter(900), Counter(900)
    for view in (first, second):
        view.flow.show("a")
    clock.now += 1
    refresher.tick([first], clock.now)
    own.tick([second], clock.now)
    assert (first.drawn, second.drawn) == (1, 1)
    for each, view in ((refresher, first), (own, second)):
        view.flow.acknowledge("a", view.flow.number)
        clock.now += 0.2
        each.tick([view], clock.now)
    assert first.drawn + second.drawn == 2, "both have spent it"
    own.add(second)
    second.flow.due = 1e9
    second.event.clear()
    refresher.poke()
    assert second.event.wait(30)
    refresher.close()


@pytest.mark.parametrize("asked, period_s", [(None, 0.2), (2.0, 0.5), (50.0, 0.2)])
def test_a_thread_of_its_own_may_draw_less_often_than_others_and_never_more(
    asked: float | None, period_s: float
) -> None:
    assert Refresher(5.0).own(asked)._period == pytest.approx(period_s)


def test_a_widget_that_is_collected_while_work_is_posted_does_not_stop_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refresher, view, garbage, done = Refresher(), Counter(), Counter(), threading.Event()
    refresher.add(view)
    refresher.add(garbage)
    thread = threading.Thread

    def collect(*args: object, **kwargs: object) -> threading.Thread:
        refresher.remove(garbage)  # as a widget's `__del__` does, on whichever thread collects it
        return thread(*args, **kwargs)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr("degentcivil_nb.widgets.refresh.threading.Thread", collect)
    poster = thread(target=refresher.post, args=(done.set,), daemon=True)
    poster.start()
    poster.join(PATIENCE_S)
    assert not poster.is_alive()
    assert done.wait(PATIENCE_S)
    refresher.remove(view)
