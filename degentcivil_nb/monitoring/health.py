"""Health of a connection and its run, judged from numbers, with reasons in sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from ..core.counting import counted


class Figures(Protocol):
    """A dict or `Series` of numbers by name."""

    def get(self, name: str, default: Any, /) -> Any:
        """Return a number, or `default`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits (seconds, shares and counts) beyond which a number becomes a reason."""

    lag_s: float = 2.0
    checkpoint_s: float = 10.0
    message_s: float = 30.0
    latency_s: float = 1.0
    silent_intervals: float = 2.0
    silent_s: float = 20.0
    queue_depth: int = 10_000
    full: float = 0.9


class Health(NamedTuple):
    """A judgement: `ok`, `degraded` or `down`, and the reasons, most serious first; none if it is `ok`."""

    status: Literal["ok", "degraded", "down"]
    reasons: tuple[str, ...]


def judge(figures: Figures, before: Figures | None = None, *, limits: Limits | None = None) -> Health:
    """Judge the numbers of `session.metrics()` or of a server's monitor; missing ones are skipped.

    `silent_s` and `heartbeat_s` show a lost peer; `last_error` is the reason why a connection is not live. Counters of
    failures (`errors`, `gaps`, …) are reasons while they grow: since `before` (earlier numbers), or without it since
    the beginning.
    """
    limits = limits or Limits()
    down = _down(figures, limits)
    reasons = [*down, *_strained(figures, limits), *_grown(figures, before or {})]
    return Health("down" if down else "degraded" if reasons else "ok", tuple(reasons))


def _down(figures: Figures, limits: Limits) -> list[str]:
    reasons = []
    why = figures.get("last_error", None)
    because = f": {why}" if why else ""
    if figures.get("circuit", "closed") == "open":
        reasons.append(f"connecting failed repeatedly and is paused for a while; reconnect() tries now{because}")
    elif (connection := figures.get("connection", "live")) != "live":
        reasons.append(f"the connection is {connection}{because}")
    silent, interval = _number(figures, "silent_s"), _number(figures, "heartbeat_s")
    if interval and silent > limits.silent_intervals * interval:
        reasons.append(f"nothing arrived from the other side for {silent:.1f} s, with a heartbeat every {interval:g} s")
    if figures.get("run_state", None) == "dead":
        reasons.append("the simulation died")
    return reasons


def _strained(figures: Figures, limits: Limits) -> list[str]:
    reasons = []
    silent = _number(figures, "silent_s")
    if silent > limits.silent_s and not _number(figures, "heartbeat_s"):
        reasons.append(f"the other side has been silent for {silent:.0f} s; it may be busy, and the connection is kept")
    if (lag := _number(figures, "lag_s")) > limits.lag_s:
        reasons.append(f"what is shown lags {lag:.1f} s behind the simulation")
    if (latency := _number(figures, "latency_p95_s")) > limits.latency_s:
        reasons.append(f"one ping in twenty takes longer than {latency:.1f} s")
    if (depth := _number(figures, "queue_depth")) > limits.queue_depth:
        reasons.append(f"{counted(depth, 'message waits', 'messages wait')} to be stored")
    if trouble := figures.get("recording_error", None):
        reasons.append(f"the recording cannot be written: {trouble}")
    if deleted := _number(figures, "recording_deleted"):
        reasons.append(f"files of the recording were deleted, and {counted(deleted, 'message')} with them")
    active, most = _number(figures, "active_connections"), _number(figures, "max_connections")
    if most and active >= limits.full * most:
        reasons.append(f"{active:,.0f} of at most {most:,.0f} connections are in use")
    if (still := quiet(figures, limits.checkpoint_s, limits.message_s)) is not None:
        reasons.append(f"{still}: the simulation has a long tick, waits for something, or hangs")
    return reasons


def quiet(figures: Figures, checkpoint_s: float, message_s: float) -> str | None:
    """Return a text that says how long a run has been quiet although it should be going on, or `None`.

    The quiet time is measured by checkpoints or, for a run without any, by events. The result is `None` if it is
    shorter than the given seconds, and for a run that is paused or over.
    """
    if figures.get("run_state", None) not in (None, "running", "pausing"):
        return None
    checkpoint, message = _known(figures, "checkpoint_age_s"), _known(figures, "message_age_s")
    if checkpoint is not None:
        return f"no checkpoint for {checkpoint:,.0f} s" if checkpoint >= checkpoint_s else None
    return f"no event for {message:,.0f} s" if message is not None and message >= message_s else None


_COUNTS = {
    "errors": ("error", "errors", ""),
    "unreadable": ("message", "messages", " could not be read: errors() says why"),
    "gaps": ("gap", "gaps", " in the stream: gaps() says where and why"),
    "duplicates": ("message that arrived twice was", "messages that arrived twice were", " dropped"),
    "overflowed": (
        "message was", "messages were", " lost because the simulation published faster than the server could take",
    ),
    "slow_gaps": ("time", "times", " a client was too slow and messages were skipped for it"),
    "evicted": ("event was", "events were", " dropped to stay within the retention limit"),
}  # fmt: skip
"""Counters that are reasons while they grow: the noun for one, for several, and the rest of the sentence."""


def _grown(figures: Figures, before: Figures) -> list[str]:
    reasons = []
    for name, (one, several, rest) in _COUNTS.items():
        if (more := _number(figures, name) - _number(before, name)) > 0:
            reasons.append(f"{counted(more, one, several)}{rest}")
    return reasons


def _number(figures: Figures, name: str) -> float:
    """Return a value as a number; 0 if it is missing or not a number."""
    return _known(figures, name) or 0.0


def _known(figures: Figures, name: str) -> float | None:
    """Return a value as a number; `None` if it is missing or not a number."""
    try:
        value = float(figures.get(name, None))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
