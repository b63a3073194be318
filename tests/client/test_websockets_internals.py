"""What the client's own frame reader and the server's shared frames need of websockets beyond its documented API."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import metadata
from typing import NoReturn

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.connection import Connection
from websockets.client import ClientProtocol
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri


def changed(what: str) -> NoReturn:
    version = metadata.version("websockets")
    pytest.fail(
        f"websockets {version} has changed where client/frame_connection.py or server/peers/v1_peer.py "
        f"rests on it: {what}. Read docs/decisions/frame-reader.md before anything else."
    )


def open_protocol() -> ClientProtocol:
    protocol = ClientProtocol(parse_uri("ws://localhost"), max_size=1_000)
    protocol.state = OPEN
    protocol.parser = protocol.parse()
    next(protocol.parser)
    return protocol


def test_a_connection_has_the_hooks_that_are_overridden() -> None:
    for name, parameters in {
        "data_received": ["self", "data"],
        "process_event": ["self", "event"],
        "connection_lost": ["self", "exc"],
        "send_data": ["self"],
    }.items():
        hook = getattr(ClientConnection, name, None)
        if hook is None or list(inspect.signature(hook).parameters) != parameters:
            changed(f"ClientConnection.{name} does not take {parameters}")


@pytest.mark.parametrize(
    ("what", "holds"),
    [
        ("`state` is not OPEN after the handshake", lambda it: it.state is OPEN),
        ("`extensions` is not an empty list without extensions", lambda it: it.extensions == []),
        ("`debug` is not there", lambda it: it.debug is False),
        ("`max_message_size` is not the limit", lambda it: it.max_message_size == 1_000),
        ("`current_size` is not None between messages", lambda it: it.current_size is None),
        ("`fail(code, reason)` is not there", lambda it: len(inspect.signature(it.fail).parameters) == 2),
    ],
)
def test_the_protocol_tells_how_far_it_is(what: str, holds: Callable[[ClientProtocol], bool]) -> None:
    try:
        if not holds(open_protocol()):
            changed(what)
    except AttributeError as error:
        changed(f"{what}: {error}")


def test_between_the_fragments_of_a_message_the_protocol_says_so() -> None:
    protocol = open_protocol()
    protocol.receive_data(Frame(Opcode.TEXT, b"one", fin=False).serialize(mask=False))
    between = protocol.current_size
    protocol.receive_data(Frame(Opcode.CONT, b"two").serialize(mask=False))
    if between is None or protocol.current_size is not None:
        changed(f"`current_size` is {between} between fragments, and {protocol.current_size} after the last")
    events = protocol.events_received()
    if [(type(event), event.opcode, bytes(event.data), event.fin) for event in events if isinstance(event, Frame)] != [
        (Frame, Opcode.TEXT, b"one", False),
        (Frame, Opcode.CONT, b"two", True),
    ]:
        changed(f"fragments arrive as {events}")
    if not {Opcode.TEXT, Opcode.BINARY, Opcode.CONT} <= set(DATA_OPCODES):
        changed("DATA_OPCODES lacks one of text, binary and continuation")


def test_a_frame_without_a_mask_is_the_same_for_every_peer() -> None:
    if Frame(Opcode.TEXT, b"x" * 3).serialize(mask=False) != b"\x81\x03xxx":
        changed("`Frame.serialize(mask=False)` does not write the bytes of RFC 6455, 5.2")


def test_a_connection_says_whether_a_fragmented_send_is_under_way() -> None:
    if "send_in_progress" not in inspect.getsource(Connection.__init__):
        changed("`Connection.send_in_progress` is not there")
