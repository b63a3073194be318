"""One writer a recording: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from .manifest import LOCK

ATTEMPTS = 5

if sys.platform == "win32":

    def _try(handle: int, *, shared: bool = False) -> bool:
        return True  # two writers are not kept apart there

else:
    import fcntl

    def _try(handle: int, *, shared: bool = False) -> bool:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class FolderLock:
    """Hold a recording for writing; `BlockingIOError` where somebody else does."""

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        for left in reversed(range(ATTEMPTS)):
            if _try(self._handle):
                return
            if left:
                time.sleep(0.02)  # a reader that looks whether somebody writes holds it for a moment
        os.close(self._handle)
        raise BlockingIOError(f"{folder} is being recorded into already; close that session, or give another path")

    def release(self) -> None:
        """Let others write; after a fork this lets go of the child's part only."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def is_being_written(folder: Path) -> bool:
    """Say whether a writer is at work in a folder."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:  # no lock file
        return False
    try:
        return not _try(handle, shared=True)  # another reader is no writer
    finally:
        os.close(handle)
