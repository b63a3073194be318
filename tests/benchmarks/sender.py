"""A process that sends messages that were made beforehand, from a blocking socket: a sender that is no bottleneck."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Raw
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from degentcivil_nb.protocol.codec import encode_batch
from degentcivil_nb.protocol.control_payloads import Hello, Resumed, Snapshot
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage, WebSocketMessage
from tests.support.paths import ROOT

STATES = ("IDLE", "MOVE", "PLAN", "ACT", "CHATING", "TRADE")
PLACES = ("Park", "Cafe", "Library", "Market")


def message(number: int) -> bytes:
    """Make a `state_change` of about 190 bytes."""
    now = 1_800_000_000 + number / 1_000
    data = {
        "character_id": f"character-{number % 50:03d}",
        "new_state": STATES[number % len(STATES)],
        "location": PLACES[number % len(PLACES)],
        "timestamp": now,
    }
    return encode(WebSocketMessage("state_change", data, now, number + 1, number // 50))


def text_frame(data: bytes) -> bytes:
    return Frame(Opcode.TEXT, data).serialize(mask=False)


def control(type: str, payload: Any) -> bytes:
    return text_frame(encode(RawMessage(type, Raw(encode(payload)))))


def send_forever() -> None:
    """Answer `/MESSAGES/BATCH` with that many messages, `BATCH` to a frame, as v1 to whoever offers it."""
    made: dict[str, bytes] = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            peer, _ = listener.accept()
            with peer:
                send_one(peer, made)


def send_one(peer: socket.socket, made: dict[str, bytes]) -> None:
    def choose(_: ServerProtocol, offered: Any) -> Subprotocol | None:
        return offered[0] if offered else None

    protocol = ServerProtocol(select_subprotocol=choose)
    while not (events := protocol.events_received()):
        protocol.receive_data(peer.recv(65536))
    request: Any = events[0]
    protocol.send_response(protocol.accept(request))
    peer.sendall(b"".join(protocol.data_to_send()))
    total, batch = (int(part) for part in request.path.strip("/").split("/"))
    if request.path not in made:
        messages = [message(number) for number in range(total)]
        frames = messages if batch == 1 else [encode_batch(messages[i : i + batch]) for i in range(0, total, batch)]
        made[request.path] = b"".join(map(text_frame, frames))
    try:
        if protocol.subprotocol:
            peer.sendall(control("hello", Hello("bench", head=total)))
            peer.recv(65536)  # resume
            peer.sendall(control("resumed", Resumed("bench", total, 1)) + control("snapshot", Snapshot(0)))
        peer.sendall(made[request.path])
        peer.recv(65536)  # until the receiver has had enough
    except OSError:
        return


@contextmanager
def sending() -> Iterator[str]:
    """Run the process; gives the URL to which `/MESSAGES/BATCH` is added."""
    command = [sys.executable, "-m", "tests.benchmarks.sender"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"ws://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


if __name__ == "__main__":
    send_forever()
