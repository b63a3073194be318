"""One writer a recording: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Final

from filelock import lock_descriptor

from ..protocol.errors import RecordingWarning
from .manifest import LOCK

ATTEMPTS: Final = 5
"""Tries of a writer: a reader that looks whether somebody writes holds the lock for a moment."""
LOOKS: Final = 2
"""Tries of a reader: another reader may be looking."""
PAUSE_S: Final = 0.02


class FolderLock:
    """A recording held for writing; `BlockingIOError` where another writer holds it.

    On a file system without locks nothing can be held: a `RecordingWarning` says so, and the recording goes on.
    """

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take(folder)
        except BaseException:  # a warning may be an error
            self.release()
            raise

    def _take(self, folder: Path) -> None:
        try:
            held = _hold(self._handle, ATTEMPTS)
        except OSError as error:
            warnings.warn(
                f"{folder} lies on a file system without file locks ({error.strerror}): it is recorded into, but "
                "nothing keeps a second recorder away",
                RecordingWarning,
                stacklevel=4,
            )
            return
        if not held:
            raise BlockingIOError(f"{folder} is being recorded into already; close that session, or give another path")

    def release(self) -> None:
        """Let others write; after a fork this lets go of the child's part only."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def is_being_written(folder: Path) -> bool:
    """Say whether a writer is at work in a folder; where there are no locks that cannot be known, and is `False`."""
    try:
        handle = _open(folder / LOCK)
    except OSError:  # no lock file
        return False
    try:
        return not _hold(handle, LOOKS)
    except OSError:
        return False
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR)  # over NFS an exclusive lock wants a file that may be written
    except OSError:  # a recording that may only be read
        return os.open(path, os.O_RDONLY)


def _hold(handle: int, tries: int) -> bool:
    """Take the lock, or find after `tries` that somebody else has it; `OSError` where there are no locks."""
    for left in reversed(range(tries)):
        if lock_descriptor(handle, blocking=False):
            return True
        if left:
            time.sleep(PAUSE_S)
    return False
