"""The errors of commands that no checkpoint carried out, with what to do."""

from __future__ import annotations

from ..protocol.command_payloads import CommandSpec
from ..protocol.control_payloads import ClientInfo
from ..protocol.errors import WebSocketError
from .ownership import Owner


def deserted(owner: Owner, reached: int | None) -> WebSocketError:
    """Return the error of a command that no thread can run any more."""
    return WebSocketError(
        WebSocketError.WRONG_RUN_STATE,
        f"the run is over: {owner} that called checkpoint() has ended, after tick {reached}; "
        "a simulation should call probe.close() at its end",
    )


def too_late(name: str, reached: int | None, ago_s: float, *, on_a_loop: bool) -> WebSocketError:
    """Return the error of a command whose time was over before the simulation came to a checkpoint."""
    if on_a_loop:
        advice = "it calls checkpoint() on a running event loop; there it has to `await probe.acheckpoint(tick)`"
    elif reached is None:
        advice = "it has never reached one; call probe.checkpoint(tick) once a tick"
    else:
        advice = f"the last one was tick {reached}, {ago_s:.1f} s ago; is it busy, or stopped elsewhere?"
    return WebSocketError(
        WebSocketError.TIMEOUT, f"{name} was not done: the simulation reached no checkpoint in time: {advice}"
    )


def never(tick: int | None) -> bool:
    """Wait without a limit."""
    return False


def nobody(spec: CommandSpec, client: ClientInfo | None) -> None:
    """Refuse no command, since no client has control."""
