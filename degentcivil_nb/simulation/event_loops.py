"""Checks for an event loop on this thread, which must not be blocked."""

from __future__ import annotations

import asyncio
import sys
import threading


def on_running_loop() -> bool:
    """Return whether this thread runs an event loop now."""
    return (
        asyncio._get_running_loop() is not None
    )  # get_running_loop() raises, which costs as much as half a checkpoint


def in_a_cell() -> bool:
    """Return whether this is a notebook's cell: while a cell runs, the kernel's loop is blocked in any case."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None and threading.current_thread() is threading.main_thread()
