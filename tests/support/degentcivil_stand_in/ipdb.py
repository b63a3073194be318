"""The debugger's trap: as the real one, it keeps its thread at a prompt until somebody answers on the terminal."""

from __future__ import annotations

import bdb
import sys


def set_trace(frame=None):
    while True:
        sys.stdout.write("ipdb> ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            raise bdb.BdbQuit
        if line.strip() in ("c", "continue"):
            return
