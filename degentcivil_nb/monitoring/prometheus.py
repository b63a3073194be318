"""The monitor's figures in Prometheus' text format, for whoever runs a simulation for days."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .connection_monitor import LEVELS, ConnectionMonitor

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PREFIX = "degentcivil_"


def exposition(monitor: ConnectionMonitor) -> bytes:
    """Give the figures as Prometheus' text, UTF-8; `ImportError` says what to install if the extra is missing."""
    client = _client()
    registry = client.CollectorRegistry()
    registry.register(_Collector(monitor))
    return bytes(client.generate_latest(registry))


def serve_metrics(monitor: ConnectionMonitor, port: int, host: str = "127.0.0.1") -> tuple[str, Callable[[], None]]:
    """Serve the figures on a thread; return the URL, with the real port if it was 0, and what stops it.

    Nobody is asked for a token there, so only this machine can read it unless `host` says otherwise. `OSError` if
    the port is in use.
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
        import prometheus_client  # an extra, and nobody else's to pay for
    except ImportError as error:
        raise ImportError(
            "Prometheus needs its client; install it with: pip install 'degentcivil-nb[prometheus]'"
        ) from error
    return prometheus_client


class _Collector:
    """Turn a monitor's figures into metrics whenever somebody asks."""

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
