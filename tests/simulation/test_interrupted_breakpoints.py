"""Interrupts of a simulation while breakpoints are judged: its next message is published all the same."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from degentcivil_nb.protocol.breakpoints import BreakpointSpec
from degentcivil_nb.simulation.breakpoints import Breakpoints
from degentcivil_nb.simulation.payloads import StateChange

INTERRUPTS = 300


class Ticking:
    tick = 1

    def handles_command(self) -> bool:
        return False


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals need the main thread")
def test_an_interrupt_never_leaves_the_breakpoints_locked() -> None:
    """With `acquire` before `try`, one of six interrupts of such a loop hung the simulation for ever."""
    points = Breakpoints(
        Ticking(),  # type: ignore[arg-type]  # the two that are asked here
        forward=lambda: lambda *message, **more: None,
        stop=lambda hit: None,
        totals=lambda: (0.0, 0),
        characters=list,
        present=set,
        later=lambda delay, call: None,
        changed=lambda: None,
    )
    points.set_breakpoints([BreakpointSpec("b", "money > 3 and state == 'X'")])
    publish = points.publishing()
    change = StateChange("emma", "A", None, 1.0)
    armed = False

    def interrupt(*_: Any) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for number in range(INTERRUPTS):
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, 0.0002 + number % 20 * 2e-5)
                while True:
                    publish("state_change", change, 1, 1.0)
            except KeyboardInterrupt:
                pass
            assert not points._lock.locked()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
