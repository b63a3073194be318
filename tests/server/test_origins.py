"""Foreign pages and rebound host names are refused; Python clients and pages of this machine are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from degentcivil_nb.core.address import is_ip, is_loopback, parse_host_port
from degentcivil_nb.server.entrance.auth import WebSocketAuth
from degentcivil_nb.server.entrance.origins import Gate
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket

IN_A_HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)
EVIL = [
    "http://evil",
    "http://evil.com:8765",
    "http://localhost.evil.com",
    "http://127.0.0.1.evil.com",
    "http://evil.com/localhost",
    "http://localhost@evil.com",
    "http://evil@localhost",
    "http://localhost\\.evil.com",
    "file://localhost",
    "null",
    "",
    "localhost",
    "http://",
    "http://localhost:port",
    "http://[::1",
    "http://localhost, http://evil.com",
    "http://127.1",
]


def headers(host: str | None = "localhost:8765", origin: str | None = None, cookie: str | None = None) -> Headers:
    found = Headers()
    for name, value in (("Host", host), ("Origin", origin), ("Cookie", cookie)):
        if value is not None:
            found[name] = value
    return found


@pytest.mark.parametrize("origin", EVIL)
def test_a_foreign_page_is_refused_by_a_local_server(origin: str) -> None:
    assert Gate("localhost").refusal(headers(origin=origin)) is not None


@pytest.mark.parametrize("origin", [*EVIL, "http://localhost:8888", "http://10.0.0.5:8765"])
def test_no_page_at_all_may_use_a_server_that_others_can_reach(origin: str) -> None:
    assert Gate("0.0.0.0").refusal(headers("10.0.0.5:8765", origin)) is not None


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:8888", "https://localhost", "http://127.0.0.1:1", "http://[::1]:8888", "HTTP://LOCALHOST"],
)
def test_jupyter_on_this_machine_may_connect(origin: str) -> None:
    assert Gate("127.0.0.1").refusal(headers(origin=origin)) is None


def test_a_python_client_says_no_origin_and_a_browser_that_says_none_is_refused() -> None:
    gate = Gate("localhost")
    assert gate.refusal(headers()) is None
    assert gate.refusal(headers(cookie="session=1")) is not None


@pytest.mark.parametrize("host", ["evil.com", "evil.com:8765", "localhost.evil.com:8765", "10.0.0.5", "", "a b", None])
def test_a_rebound_name_is_refused_even_where_origin_agrees(host: str | None) -> None:
    assert Gate("localhost").refusal(headers(host)) is not None
    assert Gate("localhost").refusal(headers(host, f"http://{host}")) is not None


def test_a_server_that_others_can_reach_goes_by_its_names_and_by_addresses() -> None:
    gate = Gate("town.example.org")
    for host in ("town.example.org:8765", "10.0.0.5:8765", "[fe80::1]:8765", "localhost:8765"):
        assert gate.refusal(headers(host)) is None
    assert gate.refusal(headers("evil.com:8765", "http://evil.com:8765")) is not None


def test_two_of_a_header_are_refused() -> None:
    for name in ("Host", "Origin"):
        doubled = headers(origin="http://localhost")
        doubled[name] = "localhost"
        assert Gate("localhost").refusal(doubled) is not None


def test_named_lists_are_exact() -> None:
    gate = Gate(
        "0.0.0.0", origins=["https://hub.example.org/", "http://localhost:*"], hosts=["Town.example.org", "b:1"]
    )
    for origin, fits in {
        "https://hub.example.org": True,
        "https://hub.example.org:443": True,
        "https://hub.example.org:444": False,
        "http://hub.example.org": False,
        "https://x.hub.example.org": False,
        "http://localhost:8888": True,
        "http://127.0.0.1:8888": False,
    }.items():
        assert (gate.refusal(headers("town.example.org:9", origin)) is None) is fits, origin
    assert gate.refusal(headers("b:1")) is None
    for host in ("b:2", "localhost", "10.0.0.5"):
        assert gate.refusal(headers(host)) is not None


@pytest.mark.parametrize("kind", ["origins", "hosts"])
def test_what_is_no_origin_or_host_cannot_be_listed(kind: str) -> None:
    with pytest.raises(ValueError, match="it should look like"):
        Gate("localhost", **{kind: ["//nowhere/"]})


@given(IN_A_HEADER, IN_A_HEADER)
def test_no_header_makes_it_raise(host: str, origin: str) -> None:
    Gate("localhost").refusal(headers(host, origin))
    Gate("0.0.0.0", origins=["http://a"], hosts=["a"]).refusal(headers(host, origin))


@pytest.mark.parametrize("origin", ["http://evil", "http://localhost.evil.com", "null"])
async def test_the_real_server_answers_403_before_it_looks_at_a_token(origin: str) -> None:
    server = SimulationWebSocket("127.0.0.1", 0, auth=WebSocketAuth({"right": "debugger"}))
    await server.start()
    try:
        bearer = {"Authorization": "Bearer right"}
        with pytest.raises(InvalidStatus) as refused:
            async with connect(server.url, origin=Origin(origin), additional_headers=bearer):
                pass
        async with connect(server.url, origin=Origin("http://localhost:8888"), additional_headers=bearer):
            pass
        with pytest.raises(InvalidStatus) as rebound:
            async with connect(
                server.url.replace("127.0.0.1", "evil.com"),
                host="127.0.0.1",
                origin=Origin("http://evil.com"),
                additional_headers=bearer,
            ):
                pass
        with pytest.raises(InvalidStatus) as cookie:
            async with connect(server.url, additional_headers={**bearer, "Cookie": "a=b"}):
                pass
    finally:
        await server.close()
    assert [caught.value.response.status_code for caught in (refused, rebound, cookie)] == [403, 403, 403]


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *((host, True) for host in ("localhost", "LOCALHOST.", "a.localhost", "127.9.9.9", "[::1]")),
        *((host, False) for host in ("localhost.evil.com", "10.0.0.1", "", "0.0.0.0", "::")),
    ],
)
def test_what_is_this_machine(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_places_are_read_or_refused() -> None:
    assert parse_host_port("Example.org:80") == ("example.org", 80)
    assert parse_host_port("[::1]:8765") == ("::1", 8765)
    assert parse_host_port("a") == ("a", None)
    assert [parse_host_port(text) for text in ("", "a/b", "a?b", "a:b", "u@h", "[::1", ":80", "a\n")] == [None] * 8
    assert is_ip("[::1]")
    assert not is_ip("a")
