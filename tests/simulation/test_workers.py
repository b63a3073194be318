"""Worker processes tell the same stream, each over a connection of its own with a one-time token."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from typing import Any

import pytest
import websockets.sync.client

import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe

EVENTS = 200


class Mood:
    """A value of the worker's own, which is no plain data."""

    def __repr__(self) -> str:
        return "calm"


def work(handle: Any, name: str) -> None:
    with handle.open() as worker:
        for number in range(EVENTS):
            worker.state_change(name, ("IDLE", "MOVE")[number % 2], number=number)
        call = worker.llm_call(name, prompt_type="PLAN", prompt="?", response="go")
        worker.said(name, ["emma"], "hello", cause=call)
        worker.character_update(name, mood=Mood())
        worker.set_tick(99)
        worker.measure(name, 1.5)


def work_in_a_pool(handle: Any) -> None:
    worker = handle.open()  # never closed: the end of the process sends the rest
    worker.event("pooled", os.getpid())


def vanish(handle: Any) -> None:
    worker = handle.open()
    worker.event("last words")
    worker._connection.socket.close()
    os._exit(1)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_tell_the_same_stream_whole_and_in_their_order(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    with SimulationProbe(port=0, token="secret") as probe, dc.connect(probe, token="secret") as session:
        probe.checkpoint(4)
        names = ["noah", "mia"]
        processes = [context.Process(target=work, args=(probe.worker(), name)) for name in names]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0]
        probe.state_change("emma", "IDLE")
        probe.event("end")
        session.wait_for("event_notification", after=-1)
        for name in names:
            told = session.events("state_change", character_id=name, payload=True)
            assert [payload["number"] for payload in told["payload"]] == list(range(EVENTS))
            assert set(told["tick"]) == {probe.control.tick}, "the tick of the simulation, where the worker says none"
            assert session.measures(name)["tick"].to_list() == [99]
            assert session.characters().loc[name, "mood"] == "calm"
        assert set(session.chat()["cause"]) == set(session.llm_calls()["event_id"]), "each worker has ids of its own"
        assert session.events()["event_id"].dropna().is_unique
        assert not len(session.errors()) and not len(session.gaps())


def test_a_process_that_ends_without_closing_sends_what_it_told() -> None:
    context: Any = multiprocessing.get_context("spawn")
    with SimulationProbe(port=0) as probe, dc.connect(probe) as session:
        process = context.Process(target=work_in_a_pool, args=(probe.worker(),))
        process.start()
        process.join(60)
        assert session.wait_for("event_notification", after=-1)["event_type"] == "pooled"


def test_a_worker_that_vanishes_is_said() -> None:
    context: Any = multiprocessing.get_context("spawn")
    with SimulationProbe(port=0) as probe, dc.connect(probe) as session:
        process = context.Process(target=vanish, args=(probe.worker(),))
        process.start()
        process.join(60)
        assert "ended without closing" in session.wait_for("error", after=-1)["message"]


def test_a_handle_is_an_address_and_a_token_that_is_used_once() -> None:
    with SimulationProbe(port=0, token="secret") as probe:
        handle = probe.worker()
        assert pickle.loads(pickle.dumps(handle)) == handle and all(type(part) is str for part in handle)
        assert handle.token not in repr(handle)
        with handle.open() as worker:
            worker.event("once")
        with pytest.raises(ConnectionError, match="cannot be reached"):
            handle.open()
        assert probe.flush() == 1
    with pytest.raises(ConnectionError, match="cannot be reached"):
        handle.open()


def test_a_used_token_is_refused_also_where_everybody_may_connect() -> None:
    with SimulationProbe(port=0) as probe:
        handle = probe.worker()
        handle.open().close()
        with pytest.raises(ConnectionError, match="its token was used before"):
            handle.open()


def test_what_is_no_event_is_refused_and_does_no_harm() -> None:
    with SimulationProbe(port=0) as probe, dc.connect(probe) as session:
        handle = probe.worker()
        headers = {"Authorization": f"Bearer {handle.token}"}
        with websockets.sync.client.connect(handle.url, additional_headers=headers, proxy=None) as raw:
            raw.send('{"type": "run_state", "data": {"state": "dead"}}')
            raw.send("no JSON")
            raw.send('{"type": "event_notification", "data": {"event_type": "fine"}}')
        assert session.wait_for("event_notification", after=-1)["event_type"] == "fine"
        assert len(session.errors()) == 2 and session.metrics()["run_state"] == "running"
