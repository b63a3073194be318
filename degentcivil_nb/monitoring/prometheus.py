"""The monitor's counters in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .connection_monitor import LEVELS, ConnectionMonitor

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PREFIX = "degentcivil_"


def exposition(monitor: ConnectionMonitor) -> bytes:
    """Return the counters as Prometheus' text, UTF-8; `ImportError` states what to install if the extra is missing."""
    client = _client()
    registry = client.CollectorRegistry()
    registry.register(_Collector(monitor))
    return bytes(client.generate_latest(registry))


def serve_metrics(monitor: ConnectionMonitor, port: int, host: str = "127.0.0.1") -> tuple[str, Callable[[], None]]:
    """Serve the counters on a thread; return the URL, with the real port if it was 0, and a function that stops it.

    The page needs no token, so it is bound to this machine unless `host` is given. `OSError` if the port is in use.
    """
    client = _client()
    registry = client.CollectorRegistry()
    registry.register(_Collector(monitor))
    server, thread = client.start_http_server(port, addr=host, registry=registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{server.server_port}/metrics", stop


def _client() -> Any:
    try:
        import prometheus_client  # an extra, imported only where it is used
    except ImportError as error:
        raise ImportError(
            "Prometheus needs its client; install it with: pip install 'degentcivil-nb[prometheus]'"
        ) from error
    return prometheus_client


class _Collector:
    """A collector that converts a monitor's counters to metrics at each request."""

    def __init__(self, monitor: ConnectionMonitor) -> None:
        self._monitor = monitor

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily

        for name, value in self._monitor.metrics.copy().items():
            family = GaugeMetricFamily if name in LEVELS else CounterMetricFamily
            yield family(f"{PREFIX}{name}", f"{name.replace('_', ' ')} of this server", value=value)
        for name, (count, seconds) in self._monitor.durations().items():
            yield SummaryMetricFamily(
                f"{PREFIX}{name}_seconds", f"how long a {name} takes", count_value=count, sum_value=seconds
            )
