"""The health of a session: no problems, or the reasons as sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from degentcivil_nb.monitoring.connection_monitor import ConnectionMonitor
from degentcivil_nb.monitoring.health import Limits, judge

WELL: dict[str, Any] = {
    "connection": "live",
    "dialect": "v1",
    "run_state": "running",
    "lag_s": 0.01,
    "latency_p95_s": 0.002,
    "queue_depth": 0,
    "gaps": 0,
    "missing": 0,
    "errors": 0,
    "circuit": "closed",
    "heartbeat_s": 5.0,
    "silent_s": 1.0,
}


def test_a_healthy_connection_has_no_reasons() -> None:
    assert judge(WELL) == ("ok", ())
    assert judge(pd.Series(WELL, dtype=object)) == ("ok", ())
    assert judge(ConnectionMonitor().get_metrics()) == ("ok", ())


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"connection": "reconnecting", "last_error": "nobody listens"}, "down", "reconnecting: nobody listens"),
        ({"connection": "closed"}, "down", "the connection is closed"),
        ({"circuit": "open", "connection": "reconnecting"}, "down", "reconnect\\(\\) tries now"),
        ({"silent_s": 10.1}, "down", "nothing arrived from the other side for 10.1 s"),
        ({"run_state": "dead"}, "down", "the simulation died"),
        ({"lag_s": 3.0}, "degraded", "lags 3.0 s behind"),
        ({"latency_p95_s": 1.5}, "degraded", "longer than 1.5 s"),
        ({"queue_depth": 20_000}, "degraded", "20,000 messages wait"),
        ({"gaps": 2}, "degraded", "2 gaps in the stream"),
        ({"gaps": 1}, "degraded", "^1 gap in the stream"),
        ({"duplicates": 1}, "degraded", "^1 message that arrived twice was dropped"),
        ({"evicted": 1}, "degraded", "^1 event was dropped"),
        ({"slow_gaps": 1}, "degraded", "^1 time a client was too slow"),
        ({"checkpoint_age_s": 12.0}, "degraded", "^no checkpoint for 12 s: the simulation has a long tick"),
        ({"checkpoint_age_s": pd.NA, "message_age_s": 40.0}, "degraded", "^no event for 40 s"),
        ({"errors": 1}, "degraded", "^1 error$"),
        ({"overflowed": 7}, "degraded", "7 messages were lost"),
        ({"active_connections": 95, "max_connections": 100}, "degraded", "95 of at most 100"),
    ],
)
def test_each_trouble_is_a_reason(change: dict[str, Any], status: str, reason: str) -> None:
    found = judge({**WELL, **change})
    assert found.status == status
    assert len(found.reasons) == 1
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.reasons[0])


def test_a_run_that_stands_or_has_just_been_at_a_checkpoint_is_not_told_to_hang() -> None:
    for change in (
        {"run_state": "paused", "checkpoint_age_s": 0.0, "message_age_s": 900.0},
        {"run_state": "finished", "message_age_s": 900.0},
        {"checkpoint_age_s": 0.2, "message_age_s": 900.0},  # it goes on, and has nothing to say
    ):
        assert judge({**WELL, **change}) == ("ok", ())


def test_a_dead_peer_is_noticed_within_two_intervals_whatever_the_interval() -> None:
    assert judge({**WELL, "heartbeat_s": 0.5, "silent_s": 1.0}).status == "ok"
    assert judge({**WELL, "heartbeat_s": 0.5, "silent_s": 1.01}).status == "down"


def test_what_went_wrong_once_is_a_reason_only_while_it_grows() -> None:
    before = {**WELL, "errors": 5, "gaps": 1}
    assert judge(before, before).status == "ok"
    assert judge({**before, "errors": 7}, before).reasons == ("2 errors",)


def test_unknown_and_strange_figures_are_no_reasons() -> None:
    strange = {
        **WELL,
        "lag_s": pd.NA,
        "latency_p95_s": None,
        "missing": pd.NA,
        "queue_depth": "many",
        "errors": float("nan"),
    }
    assert judge(strange) == ("ok", ())


def test_the_limits_can_be_set() -> None:
    assert judge({**WELL, "lag_s": 3.0}, limits=Limits(lag_s=10)).status == "ok"


def test_the_worst_comes_first() -> None:
    found = judge({**WELL, "connection": "closed", "lag_s": 9.0, "errors": 1})
    assert ["connection" in found.reasons[0], "lags" in found.reasons[1], "error" in found.reasons[2]] == [True] * 3
