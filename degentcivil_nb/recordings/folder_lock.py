"""The lock that gives a recording a single writer; it ends with its process, however that ends."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Final

from filelock import lock_descriptor

from ..protocol.errors import RecordingWarning
from .manifest import LOCK

WRITER_ATTEMPTS: Final = 5
"""Attempts of a writer: a reader that checks for a writer holds the lock for a moment."""
READER_ATTEMPTS: Final = 2
"""Attempts of a reader: another reader may be checking."""
PAUSE_S: Final = 0.02  # between two attempts


class FolderLock:
    """A recording locked for writing; `BlockingIOError` if another writer has it.

    A file system without locks cannot lock it: a `RecordingWarning` states that, and the recording continues.
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
            held = _hold(self._handle, WRITER_ATTEMPTS)
        except OSError as error:
            warnings.warn(
                f"{folder} is on a file system without file locks ({error.strerror}): it is recorded, but "
                "not protected from a second recorder",
                RecordingWarning,
                stacklevel=4,
            )
            return
        if not held:
            raise BlockingIOError(f"{folder} is already being recorded into; close that session, or pass another path")

    def release(self) -> None:
        """Release the lock; after a fork this closes only the child's handle."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def is_being_written(folder: Path) -> bool:
    """Return whether a folder has a writer; `False` on a file system without locks, where that is unknown."""
    try:
        handle = _open(folder / LOCK)
    except OSError:  # no lock file
        return False
    try:
        return not _hold(handle, READER_ATTEMPTS)
    except OSError:
        return False
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR)  # over NFS an exclusive lock needs a writable file
    except OSError:  # a read-only recording
        return os.open(path, os.O_RDONLY)


def _hold(handle: int, tries: int) -> bool:
    """Take the lock, or return `False` after `tries` attempts; `OSError` if there are no locks."""
    for left in reversed(range(tries)):
        if lock_descriptor(handle, blocking=False):
            return True
        if left:
            time.sleep(PAUSE_S)
    return False
