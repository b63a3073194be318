"""TLS on this machine with one option, and refusals that say what is wrong."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from degentcivil_nb.client.connecting import Connector
from degentcivil_nb.protocol.errors import ConnectFailed
from degentcivil_nb.protocol.messages import WebSocketMessage
from degentcivil_nb.server.entrance.tls import LocalTls, client_tls, local_tls
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket


@pytest.fixture(scope="module")
def tls() -> LocalTls:
    return local_tls()


@pytest.fixture
async def server(tls: LocalTls) -> AsyncIterator[SimulationWebSocket]:
    server = SimulationWebSocket("127.0.0.1", 0, ssl=tls.server, heartbeat_s=0.1)
    await server.start()
    yield server
    await server.close()


async def test_a_client_with_the_authority_is_served_over_tls(tls: LocalTls, server: SimulationWebSocket) -> None:
    assert server.url.startswith("wss://")
    async with connect(server.url, ssl=tls.client) as client:
        assert client.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert WebSocketMessage.from_json(await asyncio.wait_for(client.recv(), 5)).type == "heartbeat"


async def test_the_authority_can_be_given_as_a_file(tls: LocalTls, server: SimulationWebSocket, tmp_path: Path) -> None:
    path = tls.write_authority(tmp_path / "authority.pem")
    for context in (client_tls(path), ssl.create_default_context(cafile=path)):
        async with connect(server.url, ssl=context):
            pass
    assert "PRIVATE KEY" not in path.read_text()


async def dial(url: str, context: ssl.SSLContext | None) -> Any:
    return await Connector(url, token="s3cret", ssl=context).connect()


async def test_a_client_without_the_authority_is_told_what_to_pass(server: SimulationWebSocket) -> None:
    with pytest.raises(ConnectFailed, match=r"is not trusted.*Pass ssl=") as caught:
        await dial(server.url, None)
    assert caught.value.terminal


async def test_another_authority_does_not_do(server: SimulationWebSocket) -> None:
    with pytest.raises(ConnectFailed, match="is not trusted"):
        await dial(server.url, local_tls().client)


async def test_a_certificate_for_another_name_does_not_do() -> None:
    tls = local_tls(["town.example.org"])
    server = SimulationWebSocket("127.0.0.1", 0, ssl=tls.server)
    await server.start()
    try:
        with pytest.raises(ConnectFailed, match=r"is for another host.*Use the host name") as caught:
            await dial(server.url, tls.client)
        assert caught.value.terminal
    finally:
        await server.close()


async def test_plain_to_tls_and_tls_to_plain_say_which_scheme_to_use(
    tls: LocalTls, server: SimulationWebSocket
) -> None:
    with pytest.raises(ConnectFailed, match="wss://"):
        await dial(server.url.replace("wss://", "ws://"), None)
    plain = SimulationWebSocket("127.0.0.1", 0)
    await plain.start()
    try:
        with pytest.raises(ConnectFailed, match="ws://"):
            await dial(plain.url.replace("ws://", "wss://"), tls.client)
    finally:
        await plain.close()


def test_a_token_does_not_go_over_plain_ws_to_another_machine() -> None:
    with pytest.raises(ConnectFailed, match=r"unencrypted.*wss://") as caught:
        Connector("ws://town.example.org:8765", token="s3cret", ssl=None)
    assert "s3cret" not in str(caught.value)


def test_it_is_imported_when_first_used_and_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['trustme'] = None\n"
        "import degentcivil_nb.server.entrance.tls as tls\n"
        "try: tls.local_tls()\n"
        "except ImportError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'degentcivil-nb[tls]'" in ran.stdout
