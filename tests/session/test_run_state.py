"""The state of the run is the same in repr, metrics and panels, and as of what the store holds."""

from __future__ import annotations

from websockets.asyncio.server import ServerConnection

import degentcivil_nb as dc
from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.protocol.control_payloads import Heartbeat, RunState
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.simulation import SimulationProbe
from tests.support.client_helpers import following, frame, scripted, serving
from tests.support.waiting import eventually, until


def states(session: dc.Session) -> set[object]:
    """Ask in each place that shows the state."""
    head = session.dashboard().headline
    text = repr(session)
    said = next(state for state in ("running", "pausing", "paused", "finished", "dead") if state in text)
    return {said, session.metrics()["run_state"], head.snapshot().body["run_state"]}


def test_a_new_run_at_the_old_ones_place_is_not_finished_as_that_was() -> None:
    with SimulationProbe(port=0) as probe, dc.connect(probe.url) as session:
        probe.checkpoint(5)
        probe.close()
        until(lambda: session.metrics()["run_state"] == "finished")
        with SimulationProbe(port=probe.server.port):
            session.reconnect()
            until(lambda: session.metrics()["connection"] == "live")
            assert states(session) == {"running"}


def test_repr_metrics_and_the_head_line_say_the_same() -> None:
    with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as session:
        assert states(session) == {"paused"}
        session.resume()
        assert states(session) == {"running"}
        session.pause()
        assert states(session) == {"paused"}


async def test_a_heartbeat_that_is_ahead_of_the_stream_does_not_change_the_run() -> None:
    seen: list[tuple[str, str | None]] = []
    client: SimulationClient | None = None

    def note(messages: list[RawMessage], received: float, epoch: str | None) -> None:
        seen.extend((message.type, client.run_state if client else None) for message in messages)

    async def pause(websocket: ServerConnection) -> None:
        await websocket.send(frame("heartbeat", Heartbeat("one", head=0, run_state="paused")))
        await (await websocket.ping())  # it has been read
        await websocket.send(frame("bell", {}, seq=1))
        await websocket.send(frame("run_state", RunState("paused")))

    async with scripted(serving(pause)) as url:
        client = SimulationClient(url, sink=note)
        try:
            await client.open()
            await eventually(lambda: client.run_state == "paused")
        finally:
            await client.close()
    assert ("bell", "running") in seen


async def test_what_two_heartbeats_say_while_nothing_comes_is_so() -> None:
    async def pause(websocket: ServerConnection) -> None:
        for _ in range(2):
            await websocket.send(frame("heartbeat", Heartbeat("one", head=0, run_state="paused")))

    async with scripted(serving(pause)) as url, following(url) as (client, _):
        await eventually(lambda: client.run_state == "paused")
