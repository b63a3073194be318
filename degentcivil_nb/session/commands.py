"""Commands from the notebook: sent through the client, awaited, and followed until the store has seen their effect."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..protocol.errors import OutcomeUnknown
from ..protocol.messages import CommandResult

if TYPE_CHECKING:
    from ..client.simulation_client import SimulationClient
    from ..core.portal import Portal
    from ..store.event_store import EventStore

DEADLINE_S = 10.0
GRACE_S = 2.0
CHANGES = frozenset({"set_attribute", "inject_event", "inject_state_change", "inject_character_update", "inject_error"})
"""Commands whose answer names the position of the event that they put into the stream."""


class SessionCommands:
    """Send commands to the simulation: `call` waits for the answer, `submit` gives a future and never waits."""

    def __init__(self, client: SimulationClient, portal: Portal, store: EventStore) -> None:
        self._client = client
        self._portal = portal
        self._store = store

    def call(self, name: str, arguments: Mapping[str, Any], *, deadline_s: float = DEADLINE_S) -> Any:
        """Run a command and give its result, once the store holds every event up to its effect.

        Raises `CommandError` where it failed, and `OutcomeUnknown` where nobody knows.
        """
        answer = self._portal.submit(self._request, name, dict(arguments), deadline_s).result(deadline_s + GRACE_S)
        result, epoch = answer.result, self._client.epoch
        head = _named_head(answer)
        if head is not None and not self._store.has_accounted(epoch, head):
            try:
                self._portal.call(self._arrival, epoch, head, timeout=DEADLINE_S)
            except TimeoutError:
                reason = f"it took effect, but the events up to {head} did not arrive"
                raise OutcomeUnknown(name, "", reason) from None
        if name in CHANGES and isinstance(result, Mapping) and isinstance(seq := result.get("seq"), int):
            return {**result, "row": self._store.row_of(epoch, seq)}
        return result

    def submit(self, name: str, arguments: Mapping[str, Any], *, deadline_s: float = DEADLINE_S) -> Future[Any]:
        """Send a command and give a future of its result, at once."""
        return self._portal.submit(self._result, name, dict(arguments), deadline_s)

    def run(self, name: str, **arguments: Any) -> str:
        """Run a command that changes the run's state; returns the state once the store holds all up to it."""
        result = self.call(name, arguments)
        state, cause = str(result["state"]), result.get("command_id")
        if cause is not None:  # the answer may overtake the word on the run, which has its place behind the events
            self._store.wait(lambda: self._store.run_state_confirmed(cause, state), GRACE_S)
        return state

    def change(self, name: str, arguments: Mapping[str, Any]) -> int | None:
        """Run a command that puts an event into the stream, and give its row; `None` if the store does not hold it."""
        row: int | None = self.call(name, arguments).get("row")
        return row

    def table(self) -> pd.DataFrame:
        """List what the server offers: `name`, `role`, `arguments` (JSON Schema), `doc`."""
        specs = self._client.specs
        return pd.DataFrame(
            {
                "name": [spec.name for spec in specs],
                "role": [spec.role for spec in specs],
                "arguments": [spec.arguments for spec in specs],
                "doc": [spec.doc for spec in specs],
            }
        )

    async def _arrival(self, epoch: str, head: int) -> None:
        """Wait until the store was given everything up to a position, which the client moves in the same turn.

        The store alone would not know: what was filtered, or lies before this session, is no news to it.
        """
        client = self._client
        # watched, for nobody else has a use for an event at each position
        while (at := client.position) is not None and at[0] == epoch and at[1] < head:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def _request(self, name: str, arguments: dict[str, Any], deadline_s: float) -> CommandResult:
        return await self._client.request(name, arguments, deadline_s=deadline_s)

    async def _result(self, name: str, arguments: dict[str, Any], deadline_s: float) -> Any:
        return (await self._request(name, arguments, deadline_s)).result


def _named_head(answer: CommandResult) -> int | None:
    """Give the last position at which a command's effect may be seen; older servers name it in some results only."""
    if answer.head is None and isinstance(answer.result, Mapping) and "state" in answer.result:
        head = answer.result.get("head")
        return head if isinstance(head, int) else None
    return answer.head
