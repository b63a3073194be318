"""The question `findings()`, for sessions and recordings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from ...core.names import did_you_mean
from ...core.progress import following_cell
from ...protocol.control_payloads import RunState
from ...protocol.errors import WebSocketError
from ...protocol.json_text import decode
from ...protocol.messages import MessageTypes
from ...store.arguments import Moment, Names, moment_ns, names_of
from ...store.interfaces import RunStore
from ...store.pieces import Pieces
from .evidence import Evidence
from .find import RULES, find
from .finding import finding_table

Thresholds = Mapping[str, Mapping[str, Any]]


def ask_findings(
    store: RunStore,
    kind: Names = None,
    *,
    since: Moment = None,
    thresholds: Thresholds | None = None,
    silent_s: float = 0.0,
) -> pd.DataFrame:
    """Return the frame of `findings()` of a store. A cell that waits for it shows how far it is.

    Raises as `findings_of` does.
    """
    with following_cell("looking for what is wrong") as progress:

        def ask(pieces: Pieces) -> pd.DataFrame:
            told = pauses(store)
            evidence = Evidence(pieces, store.gaps(), silent_s=silent_s, pauses=told, progress=progress)
            return findings_of(evidence, kind, since=since, thresholds=thresholds)

        return store.by_pieces(ask)


def findings_of(
    evidence: Evidence, kind: Names = None, *, since: Moment = None, thresholds: Thresholds | None = None
) -> pd.DataFrame:
    """Return the frame of `findings()`; findings that were over before `since` are left out.

    Raises `ValueError` for an unknown kind or threshold, and suggests a similar one.
    """
    kinds = names_of(kind)
    for name in kinds or ():
        if name not in RULES:
            raise ValueError(
                f"there is no finding {name!r:.80}{did_you_mean(name, RULES) or ';'} the kinds are {', '.join(RULES)}"
            )
    table = finding_table(find(evidence, kinds, thresholds))
    if since is None:
        return table
    newest = evidence.clock.last_time if len(evidence) else None
    limit = np.datetime64(moment_ns(since, newest), "ns")
    goes_on = table["until"].isna().to_numpy()
    return table[goes_on | (table["until"].to_numpy("M8[ns]") >= limit)].reset_index(drop=True)


def pauses(store: RunStore) -> list[tuple[int, int]]:
    """List begin and end of each pause of the run, in nanoseconds since 1970; the last pause may have no end.

    A run that was paused before the connection reports its pause only then: the pause counts from the last event on.
    """
    found: list[tuple[int, int]] = []
    since: int | None = None
    is_first = True
    for control in store.control_rows(0, store.next_row + 1):
        if control.type != MessageTypes.RUN_STATE:
            continue
        try:
            state = decode(RunState, control.data).state
        except WebSocketError:  # the malformed message has a row in errors() already
            continue
        if state == "paused" and since is None:
            since = _last_event(store, control.time) if is_first else control.time
        elif state != "paused" and since is not None:
            found.append((since, control.time))
            since = None
        is_first = False
    return found if since is None else [*found, (since, FOR_EVER)]


def _last_event(store: RunStore, time: int) -> int:
    row = store.row_at(at=pd.Timestamp(time, unit="ns", tz="UTC"))
    return time if row is None else store.moment_of(row).time


FOR_EVER: Final = 1 << 62
