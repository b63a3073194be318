"""The probe of a worker process: the same methods, which publish to the simulation's stream over another connection."""

from __future__ import annotations

import logging
import ssl as ssl_module
import threading
import time
from collections import deque
from contextlib import ExitStack
from multiprocessing.util import Finalize
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from ..core import lifetime
from ..core.arguments import whole_number
from ..core.plain import plain
from ..core.shortening import shortened
from ..protocol.errors import WebSocketError
from ..protocol.json_text import encode, encode_quick
from ..protocol.messages import CONTROL, Links, MessageTypes, WebSocketMessage
from ..server.stream.receipts import Receipt
from ..server.workers import WELCOME
from .methods.capturing import CapturingMethods
from .methods.thoughts import ThoughtMethods

log = logging.getLogger("degentcivil_nb.simulation")

MOST: Final = 100_000
"""The most messages that wait to be sent; any more are lost, counted, and reported as an `error`."""
BATCH: Final = 256
LONGEST: Final = 900_000
"""The most bytes of a message; the values of a longer one are shortened."""
SEND_S: Final = 0.01
"""How often the published messages are sent."""
OPEN_S: Final = 10.0
CLOSE_S: Final = 10.0


class WorkerHandle(NamedTuple):
    """The address and one-time token with which a worker process publishes to the stream.

    Made by `probe.worker()`. It can be given to a process in any way that takes texts, and pickled.

    Examples
    --------
    >>> with dc.SimulationProbe(port=0) as town:
    ...     handle = town.worker()
    ...     with handle.open() as worker:  # in the worker process
    ...         _ = worker.state_change("emma", "MOVE")
    ...     with dc.connect(town) as session:
    ...         session.events()["character_id"].to_list()
    ['emma']
    """

    url: str
    token: str

    def open(self, *, ssl: ssl_module.SSLContext | None = None) -> WorkerProbe:
        """Connect, in the worker process, and return a probe that publishes to the stream.

        Parameters
        ----------
        ssl : ssl.SSLContext, optional
            For ``wss://``, where the system's own certificates are not enough.

        Returns
        -------
        WorkerProbe
            A probe with all methods that publish something. Close it, or use it as a context manager.

        Raises
        ------
        ConnectionError
            If the simulation cannot be reached, or the token was used before.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town, town.worker().open() as worker:
        ...     worker.measure("gini", 0.5)
        """
        try:
            connection, closing = _welcomed(
                self.url,
                additional_headers={"Authorization": f"Bearer {self.token}"},
                open_timeout=OPEN_S,
                ssl=ssl,
                proxy=None,
            )
        except (OSError, WebSocketException, TimeoutError) as error:
            raise ConnectionError(
                f"the simulation at {self.url} cannot be reached by this worker: {error}. Make a handle with "
                "probe.worker() for each process, while the probe is open"
            ) from error
        return WorkerProbe(connection, closing)

    def __repr__(self) -> str:
        return f"<WorkerHandle {self.url}>"


class _WorkerTicking:
    """The tick of a worker's messages: the simulation's own, unless the worker sets one."""

    def __init__(self) -> None:
        self.tick: Any = None
        self.links: Links | None = None

    def handles_command(self) -> bool:
        return False


class WorkerProbe(CapturingMethods, ThoughtMethods):
    """A probe in a worker process. Its messages are in the simulation's stream, in the order of this worker.

    Nothing here raises into the worker or waits for the network, except `close()`.
    """

    def __init__(self, connection: ClientConnection, closing: ExitStack) -> None:
        self._worker_ticking = _WorkerTicking()
        super().__init__(self._queue_up, self._worker_ticking, time.time)
        self.lost = 0
        """Messages that were lost, because they came faster than they could be sent or the connection was cut."""
        self._told_lost = 0
        self._connection = connection
        self._disconnect = closing.close
        self._queue: deque[bytes] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._over = ""
        """Why nothing is sent any more, where it is the doing of the worker's own code."""
        self._sender = threading.Thread(target=self._send_all, name="degentcivil-worker", daemon=True)
        self._sender.start()
        lifetime.register(self, inherited=type(self)._give_up)
        self._finalize = Finalize(self, self.close, exitpriority=10)  # a worker of a pool ends without atexit

    def set_tick(self, tick: int | None) -> None:
        """Set the tick of all following messages; `None`: the simulation's tick when they arrive there.

        Parameters
        ----------
        tick : int or None
            The tick, a whole number from 0 on. Any other value is published as an `error`, and changes nothing.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     with town.worker().open() as worker:
        ...         worker.set_tick(7)
        ...         worker.measure("gini", 0.5)
        ...     with dc.connect(town) as session:
        ...         session.measures()["tick"].to_list()
        [7]
        """
        try:
            self._worker_ticking.tick = None if tick is None else whole_number("tick", tick, 0)
        except ValueError as error:
            self._misused("set_tick", f"set_tick(): {error}; it stays as it was")

    def _queue_up(
        self,
        type: str,
        data: Any,
        tick: int | None = None,
        timestamp: float | None = None,
        receipt: Receipt | None = None,
        links: Links | None = None,
    ) -> None:
        if self._closing or len(self._queue) >= MOST:
            self.lost += 1
            if self._over:
                self._warn("worker", "over", "this %s is %.0s%s: what it publishes from now on is lost", self._over)
            return
        try:
            message = encode_quick(WebSocketMessage(type, data, timestamp, None, tick, None, *(links or ())))
        except Exception:  # noqa: BLE001 — what is not plain is converted, which may fail too
            message = self._encode_converted(type, data, tick, timestamp, links)
        if len(message) > LONGEST or type in CONTROL:
            message = self._encode_converted(type, data, tick, timestamp, links)
        self._queue.append(message)

    def _encode_converted(
        self, type: Any, data: Any, tick: int | None, timestamp: float | None, links: Links | None
    ) -> bytes:
        try:
            if type in CONTROL:
                raise WebSocketError(WebSocketError.INVALID_MESSAGE, f"{type} is reserved for the server")
            fitting = shortened(plain(data), LONGEST)
            return encode(WebSocketMessage(type, fitting, timestamp, None, tick, None, *(links or ())))
        except Exception as error:  # noqa: BLE001 — nothing may be raised into the simulation
            self.left_behind += 1
            payload = {"code": WebSocketError.UNENCODABLE, "message": f"{type!s:.200} could not be encoded: {error}"}
            return encode(WebSocketMessage(MessageTypes.ERROR, payload, timestamp, None, tick))

    def _send_all(self) -> None:
        while True:
            closing = self._closing  # read before the queue, so that nothing published before is left
            try:
                while self._queue:
                    batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
                    self._connection.send(_frame(batch), text=True)
                if self.lost > self._told_lost:
                    self._tell_lost()
            except (WebSocketException, OSError) as error:
                self.lost += len(self._queue)
                self._queue.clear()
                self._closing = True
                log.warning(
                    "the connection of this worker is gone (%s): everything that it publishes from now on is lost",
                    error,
                )
                return
            if closing:
                return
            self._wake.wait(SEND_S)

    def _tell_lost(self) -> None:
        lost, self._told_lost = self.lost - self._told_lost, self.lost
        text = f"{lost:,} events of a worker process were lost: they came faster than they could be sent"
        payload = {"code": WebSocketError.SERVER_ERROR, "message": text}
        self._connection.send(_frame([encode(WebSocketMessage(MessageTypes.ERROR, payload))]), text=True)

    def close(self) -> None:
        """Send the published messages, and close the connection. A second call does nothing.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     worker = town.worker().open()
        ...     worker.close()
        """
        self._finalize.cancel()
        lifetime.release(self)
        self._closing, self._over = True, self._over or "closed"
        self._wake.set()
        if threading.current_thread() is not self._sender:
            self._sender.join(CLOSE_S)
        self._disconnect()

    def _give_up(self) -> None:
        """Send nothing: this is a forked child, and the connection stayed in the parent."""
        self._finalize.cancel()
        self._closing, self._over = True, "of the process that this one was forked from; open another handle here"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _welcomed(url: str, **options: Any) -> tuple[ClientConnection, ExitStack]:
    """Connect, and wait until the server has admitted this worker; the stack closes the connection."""
    with ExitStack() as stack:
        connection: ClientConnection = stack.enter_context(connect(url, **options))
        if connection.recv(timeout=OPEN_S) != WELCOME:
            raise PermissionError("its token was used before, or is not one of this simulation's")
        return connection, stack.pop_all()


def _frame(messages: list[bytes]) -> bytes:
    return messages[0] if len(messages) == 1 else b'{"type":"batch","data":[' + b",".join(messages) + b"]}"
