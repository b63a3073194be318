"""Parts shared by the shell commands: exit codes, arguments, and output."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

from cyclopts import Parameter
from cyclopts.validators import Number

TOKEN_VARIABLE: Final = "DEGENTCIVIL_TOKEN"  # noqa: S105 — the name of a variable, not a token

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

UNREAD: Final = errno.EINVAL if sys.platform == "win32" else errno.EPIPE
"""The error of a write to a closed pipe; Windows has another one."""


class Failure(Exception):
    """The failure of a command with one sentence and exit code 1."""


class WrongUsage(Exception):
    """The wrong use of a command, with one sentence and exit code 2."""


class Unread(Exception):
    """The end of a command whose output pipe was closed, as by `| head`; not a failure."""


def _is_finite(_type: Any, value: float) -> None:
    if not value < float("inf"):
        raise ValueError("Must be a number of seconds.")


Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Port = Annotated[int, Parameter(validator=Number(gte=0, lte=65535), help="port, 0 for a free one")]
Count = Annotated[int, Parameter(validator=Number(gte=0))]
Positive = Annotated[int, Parameter(validator=Number(gte=1))]
Seconds = Annotated[float, Parameter(validator=(Number(gte=0), _is_finite))]
History = Annotated[Count, Parameter(help="begin with that many past messages")]
Url = Annotated[str, Parameter(help="for example ws://localhost:8765")]
RecordingPath = Annotated[Path, Parameter(name="PATH", help="the folder of the recording")]
TokenFile = Annotated[
    Path | None, Parameter(help=f"read the token from a file (default: from {TOKEN_VARIABLE})", show_default=False)
]


def read_token(path: Path | None) -> str | None:
    """Read the token from a file or the environment; on a command line, other users of the machine could see it."""
    token = os.environ.get(TOKEN_VARIABLE, "") if path is None else path.read_text(encoding="utf-8")
    return token.strip() or None


def say(text: str) -> None:
    """Print a line of output."""
    put(sys.stdout, f"{text}\n")


def remark(text: str) -> None:
    """Print a line to standard error."""
    with contextlib.suppress(Unread):
        put(sys.stderr, f"{text}\n")


def put(out: TextIO | None, text: str) -> None:
    """Write and flush if the stream exists (under pythonw and in daemons it is `None`)."""
    if out is None:
        return
    try:
        out.write(text)
        out.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError) and error.errno != UNREAD:
            raise
        _let_go(out)
        raise Unread from None


def _let_go(out: TextIO) -> None:
    """Discard what is still buffered, which the interpreter would write at its end."""
    try:
        handle = out.fileno()
    except io.UnsupportedOperation:  # not a file
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, handle)
    os.close(nowhere)
