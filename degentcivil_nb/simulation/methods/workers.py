"""Worker processes that publish to the same stream."""

from __future__ import annotations

from typing import Any

from ...protocol.messages import Links
from ...server.workers import Workers
from ..worker import WorkerHandle
from .serving import ServingMethods


class WorkerMethods(ServingMethods):
    """The methods of a probe about worker processes."""

    _options: dict[str, Any]

    def worker(self) -> WorkerHandle:
        """Make a handle with which one worker process publishes to the same stream, over a connection of its own.

        The handle holds only an address and a one-time token, so it can be given to a process that was forked, spawned,
        or runs elsewhere. Make one for each process.

        Returns
        -------
        WorkerHandle
            `handle.open()` in the worker process returns a probe with all methods that publish something.

        Raises
        ------
        RuntimeError
            If the probe is closed.

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
        self._must_be_open()
        workers: Workers = self._options["workers"]
        return WorkerHandle(self.url, workers.new_token())

    def _tell_of_worker(
        self, type: str, data: Any, tick: int | None, timestamp: float | None, links: Links | None
    ) -> None:
        """Publish a worker's message; without a tick of its own it gets the simulation's."""
        self._publish(type, data, self.control.tick if tick is None else tick, timestamp, None, links)
