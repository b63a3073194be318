"""A stream as lines of text on a terminal, with all control characters escaped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from datetime import datetime
from typing import Final, Literal, TextIO

import msgspec

from ..client.simulation_client import SimulationClient
from ..core.escaping import visible, visible_json
from ..core.names import NEARLY, did_you_mean
from ..protocol.errors import ConnectFailed
from ..protocol.json_text import FOREIGN, encode
from ..protocol.messages import ORDERED_CONTROL, STANDARD_TYPES, MessageTypes, RawMessage
from .arguments import Unread, put

CAP: Final = 400
"""The most characters of a payload in a text line; JSON lines are complete."""

_ALWAYS: Final = frozenset({MessageTypes.GAP, MessageTypes.RUN_STATE})
"""Types that are printed whatever types are requested: without them the rest would be misread."""


def text_line(message: RawMessage, received: float) -> str:
    """Return a message as one line: local time, seq, tick, type and payload, cut if it is long."""
    moment = message.timestamp if message.timestamp is not None else received
    try:
        time = datetime.fromtimestamp(moment).astimezone().strftime("%H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError, OSError):  # a number that is not a time on this machine
        time = f"{moment:g}"
    seq = "" if message.seq is None else f"#{message.seq}"
    tick = "" if message.tick is None else f"t{message.tick}"
    payload = _compact(bytes(message.data))
    if len(payload) > CAP:
        payload = f"{payload[:CAP]}… ({len(payload):,} characters)"
    return visible(f"{time} {seq:>8} {tick:>7} {message.type:<18} {payload}")


def json_line(message: RawMessage, received: float) -> str:
    """Return a message as one complete line of JSON; `received` replaces a missing timestamp."""
    if message.timestamp is None:
        message = msgspec.structs.replace(message, timestamp=received)
    return visible_json(_compact(encode(message)))


def _compact(data: bytes) -> str:
    try:
        return msgspec.json.format(data, indent=-1).decode("utf-8", "backslashreplace")
    except FOREIGN:  # payloads are not decoded before this
        return data.decode("utf-8", "backslashreplace")


async def follow(
    url: str,
    out: TextIO | None,
    notices: TextIO | None,
    *,
    token: str | None = None,
    history: int = 10,
    types: Collection[str] = (),
    form: Literal["text", "json"] = "text",
) -> None:
    """Print a stream until the connection ends for good or `out` is closed.

    Changes of the connection are printed to `notices`. Raises `ConnectFailed` if there is no connection (any more), and
    `ValueError` for an invalid URL. A slow terminal slows the reading down; the server then declares the missed
    messages as a gap, which is printed.
    """
    for name in types:
        if name not in STANDARD_TYPES | ORDERED_CONTROL:
            own = (
                did_you_mean(name, STANDARD_TYPES, NEARLY)
                or "; messages are shown only if the simulation itself has a type of that name"
            )
            put(notices, f"the protocol has no type {visible(name)!r}{own}\n")
    line = json_line if form == "json" else text_line
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(messages: list[RawMessage], received: float, epoch: str | None) -> None:
        wanted = [
            f"{line(message, received)}\n"
            for message in messages
            if message.type in _ALWAYS or (message.type in types if types else message.type != MessageTypes.SNAPSHOT)
        ]
        try:
            if not ended.done():
                put(out, "".join(wanted))
        except Unread:
            ended.set_result(None)
        except OSError as error:  # a full disk
            ended.set_exception(error)

    told = ""

    def tell() -> None:
        nonlocal told
        why = f": {client.last_error}" if client.state == "reconnecting" and client.last_error else ""
        if told != f"{client.state}{why}" and client.state != "closed":  # the caller prints the end
            told = f"{client.state}{why}"
            with contextlib.suppress(Unread):
                put(notices, f"{visible(told)}\n")

    client = SimulationClient(url, token=token, history=history, types=list(types) or None, sink=take, on_change=tell)
    try:
        await client.open()
        run = asyncio.create_task(client.run())
        try:
            await asyncio.wait((run, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            run.cancel()
        if not ended.done():
            raise ConnectFailed(client.last_error or "the connection ended", "The server sends nothing more")
        ended.result()
    finally:
        await client.close()
