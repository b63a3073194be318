"""Whether this thread runs an event loop that must not be blocked."""

from __future__ import annotations

import asyncio
import sys
import threading


def on_running_loop() -> bool:
    """Return whether this thread runs an event loop now."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def in_a_cell() -> bool:
    """Return whether this is a notebook's cell: the kernel's loop stands still while it runs in any case."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None and threading.current_thread() is threading.main_thread()
