"""A bug in a thread or task is logged, costs one turn, and ends nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from msgspec import Raw

from degentcivil_nb.client.frame_connection import FrameConnection, keep_alive
from degentcivil_nb.demo.faults import Flood
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.session.subscriptions import Subscriptions
from degentcivil_nb.store.event_store import EventStore
from degentcivil_nb.widgets.refresh import Refresher
from tests.support.client_helpers import following, scripted, serving, stay
from tests.support.waiting import until


def logged(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return any(text in record.message and record.exc_info for record in caplog.records)


def test_callbacks_go_on_after_events_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = EventStore()
    read = store.event_dicts
    failed, called = threading.Event(), threading.Event()

    def once(start: int, stop: int) -> list[dict[str, Any]]:
        if start < stop and not failed.is_set():
            failed.set()
            raise MemoryError("a bug")
        return read(start, stop)

    monkeypatch.setattr(store, "event_dicts", once)
    subscriptions = Subscriptions(store)
    try:
        handle = subscriptions.add(None, lambda _: called.set())
        store.append([RawMessage("x", Raw(b"1"))], 1.0)
        assert failed.wait(10)
        until(lambda: handle.dropped)
        store.append([RawMessage("y", Raw(b"2"))], 2.0)
        assert called.wait(10) and handle.dropped == 1
    finally:
        subscriptions.close()
    assert logged(caplog, "could not be read for callbacks")


def test_a_callback_that_is_too_slow_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    store, called, go_on = EventStore(), threading.Event(), threading.Event()

    def slow(event: dict[str, Any]) -> None:
        called.set()
        go_on.wait(10)

    subscriptions = Subscriptions(store, allowance=5)
    try:
        handle = subscriptions.add(None, slow)
        store.append([RawMessage("x", Raw(b"1"))], 1.0)
        assert called.wait(10)
        store.append([RawMessage("x", Raw(b"1"))] * 20, 1.0)
        go_on.set()
        until(lambda: handle.dropped)
        assert handle.dropped == 15
    finally:
        subscriptions.close()
    said = [record.message for record in caplog.records if "too slow" in record.message]
    assert said == [
        "a callback on * is too slow: it misses 15 events; the handle's `dropped` counts all that it misses"
    ]


def test_one_panel_that_cannot_send_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    turns: list[str] = []

    class Flow:
        due = sent_at = 0.0
        watched = True

        def ready(self) -> bool:
            return True

    class View:
        def __init__(self, name: str) -> None:
            self.flow = Flow()
            self._name = name

        def beat(self, now: float) -> None:
            if self._name == "broken":
                raise OSError("the kernel's socket is closed")

        def refresh(self, now: float) -> int:
            turns.append(self._name)
            if self._name == "broken":
                raise OSError("the kernel's socket is closed")
            return 0

    refresher = Refresher()
    views: list[Any] = [View("broken"), View("sound")]
    refresher.tick(views, 1.0)
    refresher.tick(views, 100.0)
    assert turns == ["broken", "sound"] * 2
    assert logged(caplog, "a view could not be brought up to date")


def test_a_flood_that_fails_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class Probe:
        def event(self, *_: object) -> None:
            raise ZeroDivisionError("a bug")

    flood = Flood(Probe(), rate=10, seconds=1)  # type: ignore[arg-type]
    flood.wait()
    assert logged(caplog, "a flood ended after 0 of 10 events")


async def test_a_connection_is_cut_rather_than_looked_after_no_more(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: float) -> None:
        raise ZeroDivisionError("a bug")

    async with scripted(serving(stay)) as url, following(url, delays=lambda: iter([3600.0])) as (client, _):
        connection = client._connections.connection
        assert isinstance(connection, FrameConnection)
        await asyncio.wait_for(keep_alive(connection, lambda: 5.0, lambda: 5.0, broken), 5)
        await asyncio.wait_for(connection.wait_closed(), 5)
    assert logged(caplog, "pinging failed")
