"""permessage-deflate: negotiated, off on loopback, and one setting on either side."""

from __future__ import annotations

import pytest
from websockets.asyncio.client import connect

from degentcivil_nb.client.connecting import Connector
from degentcivil_nb.client.simulation_client import SimulationClient
from degentcivil_nb.monitoring.connection_monitor import ConnectionMonitor
from degentcivil_nb.server.entrance.auth import WebSocketAuth
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket
from degentcivil_nb.simulation import SimulationProbe
from tests.support.client_helpers import following
from tests.support.server_helpers import publish, serving, shape, v1

BEARER = {"Authorization": "Bearer s3cret"}


async def test_compression_is_negotiated_when_asked_for() -> None:
    for wanted in (True, False):
        async with serving(compression=wanted) as server, v1(server) as client:
            assert bool(client.websocket.protocol.extensions) is wanted
            await client.resume()
            await client.until_type("snapshot")
            publish(server, 1, 2)
            assert shape(await client.until_seq(2)) == [1, 2]


async def test_it_is_off_on_loopback_and_on_where_others_connect_unless_one_says_otherwise() -> None:
    for host, wanted, used in (("127.0.0.1", None, False), ("0.0.0.0", None, True), ("0.0.0.0", False, False)):
        server = SimulationWebSocket(host, 0, auth=WebSocketAuth({"s3cret": "viewer"}), compression=wanted)
        await server.start()
        try:
            async with connect(f"ws://127.0.0.1:{server.port}", additional_headers=BEARER) as client:
                assert bool(client.protocol.extensions) is used, (host, wanted)
        finally:
            await server.close()


@pytest.mark.parametrize(
    ("url", "wanted", "offered"),
    [
        ("ws://127.0.0.1:1", None, None),
        ("ws://localhost:1", True, "deflate"),
        ("wss://town.example.org", None, "deflate"),
        ("wss://town.example.org", False, None),
    ],
)
def test_a_client_offers_it_to_other_machines(url: str, wanted: bool | None, offered: str | None) -> None:
    assert Connector(url, token=None, ssl=None, compression=wanted)._options["compression"] == offered


@pytest.mark.parametrize("server_wants", [True, False])
@pytest.mark.parametrize("client_wants", [True, False])
async def test_both_must_want_it_and_nothing_changes_but_the_bytes(server_wants: bool, client_wants: bool) -> None:
    monitor = ConnectionMonitor()
    async with (
        serving(compression=server_wants) as server,
        following(server.url, compression=client_wants, monitor=monitor) as (client, sink),
    ):
        publish(server, *range(1, 501))
        await sink.until(lambda: len(sink.seqs) == 500)
        assert sink.seqs == list(range(1, 501))
        assert client.websocket is not None
        used = bool(client.websocket.protocol.extensions)
    assert used is (server_wants and client_wants)
    assert (monitor.metrics["bytes_received"] < 20_000) is used


async def test_a_probe_has_the_same_setting() -> None:
    with SimulationProbe(port=0, compression=True) as probe:
        client = SimulationClient(probe.url, compression=True)
        await client.open()
        try:
            assert client.websocket is not None
            assert client.websocket.protocol.extensions
        finally:
            await client.close()
