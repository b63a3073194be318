"""Promise 11: whatever value a simulation hands over, its message arrives, or an `error` 1005 stands in its place."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisDeprecationWarning

import degentcivil_nb as dc
from degentcivil_nb.protocol.errors import WebSocketError
from degentcivil_nb.simulation import SimulationProbe
from tests.core.test_plain import EXPECTED, VALUES, Hidden, Unshowable
from tests.soak.oracle import Tally

WIDE = (Unshowable(), Hidden(), "x" * 10_000_000, np.zeros((2_000, 2_000)), "\ud800" * 100_000)
"""Values above the limit of a message, or that cannot even be shown."""
KNOWN = [value for value, _ in EXPECTED] + list(WIDE)
_PART = 500
"""So many messages go before the session is waited for: none is lost for slowness, which is another promise."""


def values(examples: int, known: Sequence[Any] = KNOWN) -> Tally:
    """Hand known and so many random nested values to each word of a probe, and compare with what a session has."""
    tally = Tally()
    with SimulationProbe(port=0) as probe, dc.connect(probe, retention=10_000_000) as session:

        def tell(one: Any, two: Any, three: Any) -> None:
            probe.state_change(one, two, three, cause=one)
            probe.character_update(one, what=two, location=three)
            probe.event(one, two, character_id=three, id=one)
            probe.error(one, two, character_id=three, exception=one)
            probe.llm_call(one, prompt=two, response=three, model=one, cost_usd=three, extra=one)
            probe.tool_call(one, two, three, one)
            probe.said(one, two, three)
            probe.thought(one, two, three, evidence=one)
            probe.measure(one, two)
            probe.publish("any", [one, two, three])
            tally.events += 10
            if tally.events % _PART == 0:
                _wait(probe, session)

        @settings(
            max_examples=examples,
            suppress_health_check=list(HealthCheck),
            deadline=None,
            database=None,
            derandomize=True,
        )
        @given(st.tuples(VALUES, VALUES, VALUES))
        def tell_random(found: tuple[Any, Any, Any]) -> None:
            tell(*found)

        for value in known:
            tell(value, value, value)
        with warnings.catch_warnings(action="ignore", category=HypothesisDeprecationWarning):  # a probe makes ids
            tell_random()
        _wait(probe, session)
        stats, rows, gaps = probe.stats(), session.events(), session.gaps()
        tally.stored, tally.gaps = len(rows), len(gaps)
        published = int(stats["published"] or 0)
        tally.lost = abs(published - len(rows)) + max(0, tally.events - published)  # a pair as place tells once more
        tally.duplicated = int(rows["seq"].duplicated().sum())
        declared = int((rows["code"] == WebSocketError.UNENCODABLE).sum())
        tally.changed = abs(declared - int(stats["unencodable"] or 0))
        tally.more = {"declared_1005": declared, "converted": stats["converted"]}
    return tally


def _wait(probe: SimulationProbe, session: dc.Session) -> None:
    head = probe.flush()
    if not len(session) or session.events(last=1)["seq"].iloc[0] < head:
        session.wait_for(where=f"seq >= {head}", after=-1, timeout=60)
