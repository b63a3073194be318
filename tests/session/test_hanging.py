"""A simulation that hangs is reported: the time since its last checkpoint is in repr, metrics and health."""

from __future__ import annotations

import re
import time

import degentcivil_nb as dc
from degentcivil_nb.monitoring.health import judge
from degentcivil_nb.simulation import SimulationProbe
from tests.support.waiting import until


def test_seconds_since_the_last_checkpoint_stand_in_metrics_repr_and_health() -> None:
    with SimulationProbe(port=0) as probe, dc.connect(probe.url) as session:
        for tick in range(4):
            probe.checkpoint(tick)
        began = time.monotonic()  # from here on it hangs
        until(lambda: "no checkpoint for" in repr(session))
        assert 3.0 <= session.metrics()["checkpoint_age_s"] <= time.monotonic() - began + 0.1
        assert re.search(r"running at tick 3, no checkpoint for \d+ s", repr(session))
        until(lambda: session.metrics()["checkpoint_age_s"] >= 10)  # told each second, not with each heartbeat
        assert time.monotonic() - began < 13
        reasons = judge(session.metrics()).reasons
        assert [reason for reason in reasons if reason.startswith("no checkpoint for 1")]
        probe.state_change("emma", "MOVE")
        probe.checkpoint(4)
        until(lambda: session.metrics()["checkpoint_age_s"] < 3)
        assert "no checkpoint" not in repr(session)


def test_a_run_that_is_paused_does_not_hang() -> None:
    with dc.start_local_server(characters=2, paused=True) as server, dc.connect(server) as session:
        time.sleep(3.5)  # longer than a run may hang before it is said
        assert not session.metrics()["checkpoint_age_s"] > 0
        assert "no checkpoint" not in repr(session)


def test_without_checkpoints_it_is_the_last_event_that_counts() -> None:
    with SimulationProbe(port=0) as probe, dc.connect(probe.url) as session:
        probe.state_change("emma", "MOVE")
        probe.flush()
        until(lambda: session.metrics()["message_age_s"] > 1)
        assert session.metrics().isna()["checkpoint_age_s"]
        probe.state_change("emma", "IDLE")
        until(lambda: session.metrics()["message_age_s"] < 1)
