"""The limits of connections: in all, from one address, and how far a peer may lag."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, Final, NamedTuple

from ...core.address import is_loopback
from ...protocol.errors import WebSocketError

FULL: Final = 1013
"""The close code of a refusal: try again later."""


class PoolStatistics(NamedTuple):
    """The numbers of a pool; `oldest_s` is the age of its longest connection in seconds."""

    active: int
    max_connections: int
    addresses: int
    busiest_address: int
    peak: int
    accepted: int
    refused: int
    oldest_s: float


class ConnectionPool:
    """The live connections by client, up to a limit.

    `max_per_address` limits the connections from one address. By default it is a quarter of all for other machines, and
    unlimited for loopback, where tunnels and proxies end. `max_lag` and `max_lag_bytes` are how far a peer may lag
    (`None`: as far as the history reaches), and `max_stall_s` how long it may make no progress; the peers apply them.
    """

    def __init__(
        self,
        max_connections: int = 1000,
        *,
        max_per_address: int | None = None,
        max_lag: int | None = None,
        max_lag_bytes: int | None = None,
        max_stall_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (
            ("max_connections", max_connections),
            ("max_per_address", max_per_address),
            ("max_lag", max_lag),
            ("max_lag_bytes", max_lag_bytes),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value!r:.80}")
        if not max_stall_s > 0:
            raise ValueError(f"max_stall_s must be a number of seconds above 0, not {max_stall_s!r:.80}")
        self.max_connections = max_connections
        self.max_per_address = max_per_address
        self.max_lag = max_lag
        self.max_lag_bytes = max_lag_bytes
        self.max_stall_s = max_stall_s
        self.connections: dict[Hashable, Any] = {}
        """The live connections by client."""
        self._clock = clock
        self._addresses: dict[Hashable, str] = {}
        self._per_address: Counter[str] = Counter()
        self._since: dict[Hashable, float] = {}
        self._peak = self._accepted = self._refused = 0

    async def add_connection(self, client_id: Hashable, websocket: Any) -> None:
        """Add a connection, which replaces an earlier one of the client; `WebSocketError` 1106 names the limit."""
        self.add(client_id, websocket)

    async def remove_connection(self, client_id: Hashable, websocket: Any = None) -> None:
        """Remove a client's connection, if it has one and it is `websocket` (when given)."""
        self.remove(client_id, websocket)

    def add(self, client_id: Hashable, websocket: Any) -> None:
        """Add a connection as `add_connection` does, without awaiting."""
        address = address_of(websocket)
        held = self._addresses.get(client_id)
        self._check_room(address, replaces=client_id in self.connections, from_there=held == address)
        self.remove(client_id)
        self.connections[client_id] = websocket
        self._addresses[client_id] = address
        self._per_address[address] += 1
        self._since[client_id] = self._clock()
        self._accepted += 1
        self._peak = max(self._peak, len(self.connections))

    def remove(self, client_id: Hashable, websocket: Any = None) -> None:
        """Remove a connection as `remove_connection` does, without awaiting."""
        held = self.connections.get(client_id)
        if held is None or (websocket is not None and held is not websocket):
            return
        del self.connections[client_id]
        self._since.pop(client_id, None)
        address = self._addresses.pop(client_id, "")
        self._per_address[address] -= 1
        if self._per_address[address] <= 0:
            del self._per_address[address]

    def statistics(self) -> PoolStatistics:
        """Return how full the pool is and was."""
        now = self._clock()
        return PoolStatistics(
            active=len(self.connections),
            max_connections=self.max_connections,
            addresses=len(self._per_address),
            busiest_address=max(self._per_address.values(), default=0),
            peak=self._peak,
            accepted=self._accepted,
            refused=self._refused,
            oldest_s=now - min(self._since.values(), default=now),
        )

    def _check_room(self, address: str, *, replaces: bool, from_there: bool) -> None:
        if len(self.connections) - replaces >= self.max_connections:
            self._refuse(f"the server is full: it accepts {self.max_connections} connections", "max_connections")
        limit = self.max_per_address
        if limit is None:
            if is_loopback(address) or not address:
                return
            limit = max(1, self.max_connections // 4)
        if self._per_address[address] - from_there >= limit:
            self._refuse(f"your address already has {limit} connections, the most that are allowed", "max_per_address")

    def _refuse(self, why: str, limit: str) -> None:
        self._refused += 1
        raise WebSocketError(WebSocketError.CAPACITY, f"{why}; try again later", details={"limit": limit})


def address_of(websocket: Any) -> str:
    """Return the address of the other end without its port; empty if there is none, as on a Unix socket."""
    found = getattr(websocket, "remote_address", None)
    return str(found[0]) if isinstance(found, tuple) and found else ""
