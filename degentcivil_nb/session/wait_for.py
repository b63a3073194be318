"""Waiting for an event: the store is followed row by row until one meets the conditions."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

from ..expressions.conditions import Condition, compile_condition, scope_of
from ..store.arguments import LongTime, wait_s, whole

if TYPE_CHECKING:
    from ..store.event_store import EventStore

CHUNK_ROWS = 1024
CLOSED_POLL_S = 0.5


def wait_for(
    store: EventStore,
    types: Collection[str] | None,
    *,
    where: str | None,
    after: int | None,
    timeout: LongTime,
    closed: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Return the first event after row `after` (default: from now on) that meets all conditions, as a dict.

    Raises `ValueError` for a condition that cannot be understood, `TimeoutError` when none came, and `RuntimeError`
    once `closed` says that nothing more can come.
    """
    timeout = wait_s(timeout)
    condition = compile_condition(where).fresh() if where is not None else None
    if condition is not None:
        condition.refuse_checkpoints()
    row = store.next_row if after is None else max(whole(after, "`after`", least=None) + 1, store.first_row)
    deadline = clock() + timeout
    while True:
        for event in store.event_dicts(row, row + CHUNK_ROWS):
            if (types is None or event["type"] in types) and (condition is None or _meets(condition, event, store)):
                return event
            row = event["row"] + 1
        row = max(row, store.first_row)
        if store.next_row > row:
            continue
        if closed():
            raise RuntimeError("the session is closed and receives no more events; connect again")
        left = deadline - clock()
        if left <= 0:
            wanted = " or ".join(types)[:200] if types else "event"
            condition_text = f" where {where[:200]}" if where else ""
            raise TimeoutError(
                f"no {wanted}{condition_text} within {timeout:g} s; is the run paused, or the condition too narrow?"
            )
        store.wait(partial(_passed, store, row), timeout=min(left, CLOSED_POLL_S))


def _passed(store: EventStore, row: int) -> bool:
    return store.next_row > row


def _meets(condition: Condition, event: dict[str, Any], store: EventStore) -> bool:
    character = event["character_id"]
    attributes = {} if character is None else {name: store.attribute(character, name) for name in condition.names}
    columns = {name: value for name, value in event.items() if name not in ("data", "payload")}
    return condition.test(scope_of(columns, event["payload"], attributes))
