"""What goes over the connections is counted, in constant memory, from any thread, and shown for plots."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.request

import pytest

from degentcivil_nb.monitoring import prometheus
from degentcivil_nb.monitoring.connection_monitor import ConnectionMonitor
from tests.support.clock import Clock


def make() -> tuple[Clock, ConnectionMonitor]:
    clock = Clock(100.0)
    return clock, ConnectionMonitor(clock=clock, wall=lambda: clock.now + 1_000_000)


def test_the_guide_s_own_use() -> None:
    monitor = ConnectionMonitor()
    monitor.update_metrics("messages_sent")
    monitor.update_metrics("active_connections", 3)
    monitor.update_metrics("active_connections", -1)
    found = monitor.get_metrics()
    assert {name: found[name] for name in ("total_connections", "active_connections", "messages_sent")} == {
        "total_connections": 0,
        "active_connections": 2,
        "messages_sent": 1,
    }
    assert (found["messages_received"], found["errors"]) == (0, 0)
    found["errors"] = 99  # the caller's own
    assert monitor.metrics["errors"] == 0


def test_the_figures_of_a_session_are_there_from_the_beginning() -> None:
    clock, monitor = make()
    clock.now += 2.5
    found = monitor.get_metrics()
    assert {"bytes_received", "bytes_sent", "messages_per_s", "latency_p50_s", "latency_p95_s"} <= set(found)
    assert (found["uptime_s"], found["messages_per_s"], found["latency_p95_s"]) == (2.5, 0.0, None)


def test_latency_is_of_the_last_samples_in_constant_memory() -> None:
    _, monitor = make()
    for milliseconds in range(1, 101):
        monitor.observe("latency", milliseconds / 1000)
    found = monitor.get_metrics()
    assert found["latency_p50_s"] == pytest.approx(0.051)
    assert found["latency_p95_s"] == pytest.approx(0.096)
    for _ in range(100_000):
        monitor.observe("latency", 2.0)
    assert monitor.get_metrics()["latency_p50_s"] == 2.0
    assert len(monitor._samples["latency"].last) == 512
    assert monitor.durations()["latency"][0] == 100_100


def test_the_rate_is_that_of_the_last_five_whole_seconds() -> None:
    clock, monitor = make()
    for second in range(10):
        clock.now = 100.0 + second
        monitor.update_metrics("messages_received", 10 * second)
        monitor.update_metrics("messages_sent", 1)
    clock.now = 110.0
    assert monitor.get_metrics()["messages_per_s"] == (50 + 60 + 70 + 80 + 90 + 5) / 5
    clock.now = 200.0
    assert monitor.get_metrics()["messages_per_s"] == 0.0


def test_its_history_has_a_row_a_second_also_for_those_in_which_nothing_happened() -> None:
    clock, monitor = make()
    assert monitor.history().empty
    monitor.update_metrics("active_connections")
    monitor.update_metrics("messages_sent", 5)
    clock.now = 103.2
    monitor.update_metrics("messages_sent", 7)
    monitor.update_metrics("overflowed")
    clock.now = 105.5
    frame = monitor.history()
    assert list(frame["messages_sent"]) == [5, 0, 0, 7, 0]
    assert list(frame["overflowed"]) == [0, 0, 0, 1, 0]
    assert list(frame["active_connections"]) == [1, 1, 1, 1, 1]
    assert frame.index[0].timestamp() == 1_000_100
    assert frame.index.name == "time"
    assert len(monitor.history(seconds=2)) == 2


def test_its_history_is_bounded_and_right_after_its_beginning_is_gone() -> None:
    clock = Clock(100.0)
    monitor = ConnectionMonitor(clock=clock, history_s=10)
    for second in range(100):
        clock.now = 100.0 + second
        monitor.update_metrics("messages_sent")
    frame = monitor.history()
    assert len(monitor._totals) == 10
    assert list(frame["messages_sent"])[1:] == [1.0] * (len(frame) - 1)


def test_no_update_is_lost_between_threads() -> None:
    monitor = ConnectionMonitor()

    def work() -> None:
        for _ in range(5_000):
            monitor.update_metrics("errors")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert monitor.metrics["errors"] == 20_000


def test_prometheus_reads_it() -> None:
    _, monitor = make()
    monitor.update_metrics("messages_sent", 5)
    monitor.update_metrics("active_connections", 2)
    monitor.observe("latency", 0.25)
    lines = prometheus.exposition(monitor).decode().splitlines()
    for line in (
        "degentcivil_messages_sent_total 5.0",
        "degentcivil_active_connections 2.0",
        "degentcivil_latency_seconds_count 1.0",
        "degentcivil_latency_seconds_sum 0.25",
    ):
        assert line in lines


def test_prometheus_is_served_until_stopped(nothing_leaks: object) -> None:
    monitor = ConnectionMonitor()
    monitor.update_metrics("messages_sent")
    url, stop = prometheus.serve_metrics(monitor, 0)
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            assert b"degentcivil_messages_sent_total 1.0" in answer.read()
    finally:
        stop()


def test_prometheus_is_imported_when_first_used_and_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from degentcivil_nb.monitoring import prometheus, connection_monitor\n"
        "assert 'pandas' not in sys.modules\n"
        "try: prometheus.exposition(connection_monitor.ConnectionMonitor())\n"
        "except ImportError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'degentcivil-nb[prometheus]'" in ran.stdout
