"""Promise 15: whatever stands between a live session and its server for a while, the session comes back."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import re
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import NamedTuple, Self

import trustme
from websockets.utils import accept_key

from degentcivil_nb.protocol.messages import RawMessage
from tests.soak.cuts import opened, publishing, staged, until
from tests.soak.oracle import Account, Tally

ATTEMPT_S = 0.5
MET = 2
"""Each obstacle is met so often before it goes away: the first answer, and what follows from it."""

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Obstacle(NamedTuple):
    """Something that answers in the server's place, or a certificate or an alert before anybody can."""

    name: str
    answer: Answer | None = None
    tls: ssl.SSLContext | ssl.AlertDescription | None = None


class Between:
    """A proxy in front of a server, which can be replaced by an obstacle."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.obstacle: Obstacle | None = None
        self.met = 0
        self._target = port
        self._tls = tls
        self._open: set[asyncio.StreamWriter] = set()
        if tls is not None:
            tls.sni_callback = self._certificate

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        for writer in list(self._open):
            writer.transport.abort()

    def _certificate(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        wrong = None if self.obstacle is None else self.obstacle.tls
        if wrong is None:
            return None
        self.met += 1
        if isinstance(wrong, ssl.AlertDescription):
            return wrong
        connection.context = wrong
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        obstacle = self.obstacle
        self._open.add(writer)
        try:
            if obstacle is None:
                await self._pass_on(reader, writer)
            elif obstacle.answer is not None:
                self.met += 1
                await obstacle.answer(reader, writer)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), ATTEMPT_S)  # what ends first may cut off what was said
        except (OSError, EOFError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, to_them = await asyncio.open_connection("127.0.0.1", self._target)
        self._open.add(to_them)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while piece := await source.read(1 << 16):
                sink.write(piece)
                await sink.drain()

        both = [asyncio.create_task(copy(reader, to_them)), asyncio.create_task(copy(theirs, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self._open.discard(to_them)
            to_them.transport.abort()


# --- what can stand there --------------------------------------------------------------------------------------------


async def _head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def saying(answer: bytes) -> Answer:
    """Answer the request with bytes."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(answer)
        await writer.drain()
        writer.write_eof() if writer.can_write_eof() else None

    return act


def status(number: int, *headers: str) -> Answer:
    lines = [f"HTTP/1.1 {number} Whatever", "Content-Length: 2", *headers]
    return saying("\r\n".join(lines).encode() + b"\r\n\r\nno")


def accepting(frames: bytes, *headers: str) -> Answer:
    """Complete the handshake, and say that."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = re.search(rb"(?i)sec-websocket-key: *(\S+)", await _head(reader))
        key = accept_key(found[1].decode() if found else "")
        lines = ["HTTP/1.1 101 OK", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {key}"]
        writer.write("\r\n".join([*lines, *headers]).encode() + b"\r\n\r\n" + frames)
        await writer.drain()

    return act


def text(payload: bytes) -> bytes:
    return b"\x81" + bytes([len(payload)]) + payload


def closing(code: int) -> bytes:
    return b"\x88\x02" + struct.pack("!H", code)


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _reset_after_the_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _head(reader)
    writer.transport.abort()


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 101 Switching Protocols\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)  # to dribble is the point


V1 = "Sec-WebSocket-Protocol: degentcivil.v1"
HELLO = b'{"type":"hello","data":{"epoch":"another"}}'


def plain_obstacles() -> Iterator[Obstacle]:
    """List what can be met without TLS, the statuses first."""
    for number in range(300, 600):
        yield Obstacle(f"status {number}", status(number))
    for number in (301, 302, 303, 307, 308):
        for location in (
            "/hub/login?next=%2Fws",
            "http://127.0.0.1:1/ws/",
            "https://login.invalid/",
            "ws://127.0.0.1:1",
            "http://[broken",
            "ftp://127.0.0.1/",
            "javascript:alert(1)",
            "//",
            "ws://user:password@127.0.0.1:1/",
            "http://127.0.0.1:99999/",
            f"http://{'a' * 70}.invalid/",
            "\xff",
        ):
            yield Obstacle(f"{number} to {location}", status(number, f"Location: {location}"))
        yield Obstacle(f"{number} to two places", status(number, "Location: /a", "Location: /b"))
        yield Obstacle(f"{number} to itself", status(number, "Location: /"))
    for wait in ("0", "-1", "soon", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT", ""):
        yield Obstacle(f"Retry-After {wait[:30]!r}", status(429, f"Retry-After: {wait}", "Date: yesterday"))
    yield Obstacle("two Retry-Afters", status(503, "Retry-After: 0", "Retry-After: 0"))
    yield Obstacle("reset", _reset)
    yield Obstacle("reset after the request", _reset_after_the_request)
    yield Obstacle("silence", _silence)
    yield Obstacle("a byte at a time", _dribble)
    for name, said in {
        "nothing": b"",
        "a mail server": b"220 mail.example ESMTP\r\n\r\n",
        "zeros": bytes(5000),
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "no head": b"<html>Please log in</html>",
        "half a head": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs",
        "an endless line": b"HTTP/1.1 200 " + b"x" * 100_000,
        "endless headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        "no number": b"HTTP/1.1 abc OK\r\n\r\n",
        "a wrong length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
        "an upgrade to nothing": b"HTTP/1.1 101 OK\r\n\r\n",
        "a wrong key": b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: x\r\n\r\n",
        "status 100": b"HTTP/1.1 100 Continue\r\n\r\n",
        "status 200": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
        "status 204": b"HTTP/1.1 204 No Content\r\n\r\n",
        "status 999": b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n",
    }.items():
        yield Obstacle(name, saying(said))
    yield Obstacle("a subprotocol that nobody offered", accepting(b"", "Sec-WebSocket-Protocol: other"))
    yield Obstacle("an extension that nobody offered", accepting(b"", "Sec-WebSocket-Extensions: x-other"))
    for name, frames in {
        "another's greeting": text(b'{"type":"hello","data":{"epoch":5}}'),
        "a later protocol": text(b'{"type":"hello","data":{"epoch":"x","protocol":2}}'),
        "no JSON": text(b"<html>"),
        "a greeting and no more": text(HELLO),
        "a masked frame": b"\x81\x81\x00\x00\x00\x00x",
        "reserved bits": b"\xf1\x01x",
        "an unknown opcode": b"\x83\x01x",
        "a frame of 2^62 bytes": b"\x81\x7f" + struct.pack("!Q", 1 << 62),
        "no UTF-8": text(b"\xff\xfe"),
    }.items():
        yield Obstacle(name, accepting(frames + closing(1000), V1))
    for code in (1000, 1001, 1002, 1003, 1007, 1010, 1011, 1012, 1013, 1014, 3000, 4000, 4008, 4999):
        yield Obstacle(f"close {code}", accepting(closing(code), V1))


def certificates(authority: trustme.CA) -> Iterator[Obstacle]:
    """List what can be met before the handshake where there is TLS."""

    def of(issuer: trustme.CA, host: str, *, until: datetime.datetime | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        issuer.issue_cert(host, not_after=until).configure_cert(context)
        return context

    yield Obstacle("an unknown authority", tls=of(trustme.CA(), "127.0.0.1"))
    yield Obstacle("another host's certificate", tls=of(authority, "login.example"))
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    yield Obstacle("an expired certificate", tls=of(authority, "127.0.0.1", until=past))
    yield Obstacle("an alert", tls=ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE)
    yield Obstacle("an internal error", tls=ssl.ALERT_DESCRIPTION_INTERNAL_ERROR)


def plain_sample(share: float) -> list[Obstacle]:
    """Give every so-manieth status, and of everything else that at least."""
    every = list(plain_obstacles())
    step = max(1, round(1 / share))
    statuses = [obstacle for obstacle in every if re.fullmatch(r"status [345]\d\d", obstacle.name)]
    return statuses[::step] + [obstacle for obstacle in every if obstacle not in statuses][:: max(1, step // 5)]


class _Listener(Account):
    """An account that counts the rows of junk: they are nobody's, and stand in the store without a position."""

    junk = 0

    def __call__(self, messages: list[RawMessage], received: float, epoch: str | None) -> None:
        good = [message for message in messages if message.type != "error"]
        self.junk += len(messages) - len(good)
        super().__call__(good, received, epoch)


async def meet(obstacles: list[Obstacle], tally: Tally, *, authority: trustme.CA | None = None) -> None:
    """Put one obstacle after another between a live session and its server, and take it away again."""
    theirs = ours = None
    if authority is not None:
        theirs, ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
        authority.issue_cert("127.0.0.1").configure_cert(theirs)
        authority.configure_trust(ours)
    async with staged() as stage, Between(stage.server.port, theirs) as between:
        scheme = "ws" if authority is None else "wss"
        account = _Listener(stage.witnesses, f"{scheme}://127.0.0.1:{between.port}", timeout=ATTEMPT_S, ssl=ours)
        await opened(account)
        client = account.client
        try:
            async with publishing(stage, 100):
                for obstacle in obstacles:
                    between.met, between.obstacle = 0, obstacle
                    between.cut()
                    met = partial(lambda obstacle: between.met >= MET or client.state == "closed", obstacle)
                    await until(met, f"{obstacle.name} was not met: {client.state}, {client.last_error}")
                    between.obstacle = None
                    between.cut()
                    back = partial(lambda head: (client.position or ("", 0))[1] > head, stage.witness.head)
                    what = f"recovery from {obstacle.name}: {client.state}, {client.last_error}"
                    tally.recovered_s.append(await until(back, what, patience_s=20))
                    tally.cuts += 1
            stage.server.feed.head_after_drain()
            await until(partial(account.is_at, stage.witness), "the end of the stream")
        finally:
            await client.close()
        tally.events += stage.events
        tally.add(account.settle())
        tally.more["junk"] = tally.more.get("junk", 0) + account.junk
        tally.more.setdefault("false", []).extend(account.false[:3])


async def transient(share: float) -> Tally:
    """Meet that share of all obstacles of this module, and each certificate."""
    tally, authority = Tally(), trustme.CA()
    await meet(plain_sample(share), tally)
    await meet(list(certificates(authority)), tally, authority=authority)
    return tally
