"""Files that appear only when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a path beside `target` to write to; what was written there replaces `target` at the end, or is deleted.

    An `OSError` names the target and not the file beside it, and says where a folder is missing.
    """
    beside = target.with_name(f".{target.name}.part")
    try:
        yield beside
        beside.replace(target)
    except OSError as error:
        folder = target.parent
        if not folder.is_dir():
            kind = NotADirectoryError if folder.exists() else FileNotFoundError
            raise kind(f"{target} cannot be written: there is no folder {folder}; create it first") from None
        if error.errno is not None and error.filename in (None, os.fspath(beside)):  # a full disk names no file
            error.filename, error.filename2 = os.fspath(target), None
        raise
    finally:
        with suppress(OSError):  # such as a parent that is a file: nothing was written
            beside.unlink(missing_ok=True)
