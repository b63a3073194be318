"""What the shell's words share: how they end, what they take, and how they show that they are at work."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

TOKEN_VARIABLE: Final = "DEGENTCIVIL_TOKEN"  # noqa: S105 — the name of a variable, not a token

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

_BAR: Final = 30
_PATIENCE_S: Final = 1.0
_REDRAW_S: Final = 0.2


class Failure(Exception):
    """End the command with one sentence and exit code 1."""


class WrongUsage(Exception):
    """End the command with one sentence and exit code 2."""


def read_token(path: Path | None) -> str | None:
    """Read the token from a file or else the environment; on a command line all users of the machine could see it."""
    token = os.environ.get(TOKEN_VARIABLE, "") if path is None else path.read_text(encoding="utf-8")
    return token.strip() or None


def count(text: str) -> int:
    """Read an argument that is a number, 0 or more."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def positive(text: str) -> int:
    """Read an argument that is a number, 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def port(text: str) -> int:
    """Read an argument that is a port."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must be between 0 and 65535")
    return value


def seconds(text: str) -> float:
    """Read an argument that is a number of seconds."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of seconds, 0 or more")
    return value


class Progress:
    """Show on a terminal how far work is that takes over a second; show nothing where nobody looks."""

    def __init__(self, what: str, out: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._out = out
        self._clock = clock
        self._next = clock() + _PATIENCE_S
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        """Take note that `done` of `total` is done."""
        now = self._clock()
        if now < self._next or not self._out.isatty():
            return
        self._next = now + _REDRAW_S
        share = min(1.0, done / total) if total else 1.0
        bar = "#" * round(share * _BAR)
        self.line(f"{self._what} [{bar:<{_BAR}}] {share:4.0%}  {done:,} of {total:,}")

    def line(self, text: str) -> None:
        """Put another line in the place of the one that is shown, on a terminal."""
        if self._out.isatty():
            self._shown = True
            self._out.write(f"\r{text}\x1b[K")
            self._out.flush()

    def close(self) -> None:
        """Take the line away."""
        if self._shown:
            self._shown = False
            self._out.write("\r\x1b[K")
            self._out.flush()
