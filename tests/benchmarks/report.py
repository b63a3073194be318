"""What every program of this folder gives: rows of ours, the peer, the limit, the ratio, and the target of it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

Of = Literal["ours", "peer", "limit"]
HEADS = ("what", "unit", "ours", "spread", "peer", "limit", "ratio", "target", "reached")


class Target(Struct, frozen=True, omit_defaults=True):
    """Say what is to be reached: by the value itself, or by its ratio to the peer or the limit."""

    at_least: bool
    value: float
    of: Of = "ours"

    def __str__(self) -> str:
        times = "" if self.of == "ours" else f" × {self.of}"
        return f"{'≥' if self.at_least else '≤'} {short(self.value)}{times}"


def best(action: Callable[[], Any], rounds: int = 5) -> float:
    """Give the shortest of some runs in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def at_least(value: float, of: Of = "ours") -> Target:
    return Target(True, value, of)


def at_most(value: float, of: Of = "ours") -> Target:
    return Target(False, value, of)


class Row(Struct, frozen=True, omit_defaults=True):
    """Be one line of the table; peer and limit were measured in the same run, in the same unit."""

    what: str
    unit: str
    ours: float
    peer: float | None = None
    peer_is: str = ""
    limit: float | None = None
    limit_is: str = ""
    target: Target | None = None
    each: tuple[float, ...] = ()
    """The single values behind `ours`, where they say more."""
    brief: bool = True
    """Whether a short table of the targets has it too."""

    @property
    def beside(self) -> Literal["peer", "limit"] | None:
        """Say which of the two the ratio is to: the one that the target names, else the peer."""
        if self.target is not None and self.target.of != "ours":
            return self.target.of
        return "peer" if self.peer is not None else "limit" if self.limit is not None else None

    @property
    def ratio(self) -> float | None:
        value = None if self.beside is None else getattr(self, self.beside)
        return self.ours / value if value else None

    @property
    def reached(self) -> bool | None:
        """Say whether the target is reached; `None` where there is none."""
        if self.target is None:
            return None
        value = self.ours if self.target.of == "ours" else self.ratio
        if value is None:
            return False
        return value >= self.target.value if self.target.at_least else value <= self.target.value


def read_rows(text: bytes) -> list[Row]:
    return msgspec.json.decode(text, type=list[Row])


def write_rows(rows: Sequence[Row], path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1))


def short(value: float | None) -> str:
    """Give a number as one reads it."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1_000 or value == int(value) else f"{value:.3g}"


def cells_of(row: Row) -> list[str]:
    peer, limit = (
        f"{short(value)} ({name})" if value is not None and name else short(value)
        for value, name in ((row.peer, row.peer_is), (row.limit, row.limit_is))
    )
    ratio = row.ratio
    reached = {None: "", True: "yes", False: "NO"}[row.reached]
    spread = f"{short(min(row.each))}–{short(max(row.each))}" if len(row.each) > 1 else ""
    return [row.what, row.unit, short(row.ours), spread, peer, limit, short(ratio), str(row.target or ""), reached]


def table(rows: Sequence[Row]) -> str:
    lines = [list(HEADS), *map(cells_of, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def markdown(rows: Sequence[Row]) -> str:
    """Give the brief ones of the rows that have a target as Markdown; the ratio is the one that the target is about."""
    lines = ["| what | here | beside | ratio | target | reached |", "|---|---|---|---|---|---|"]
    for row in rows:
        if row.target is None or not row.brief:
            continue
        beside = ""
        if row.beside is not None:
            beside = f"{short(getattr(row, row.beside))}, {getattr(row, f'{row.beside}_is')}"
        target = str(row.target).replace(" × limit", "").replace(" × peer", "")
        asks = f"{target} {row.unit}" if row.target.of == "ours" else f"ratio {target}"
        here = f"{short(row.ours)} {row.unit}"
        reached = "yes" if row.reached else "**no**"
        lines.append(f"| {row.what} | {here} | {beside} | {short(row.ratio)} | {asks} | {reached} |")
    return "\n".join(lines)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make the parser of a program that ends with `finish`."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, help="write the rows as JSON")
    return made


def so_far(rows: list[Row]) -> list[Row]:
    """Give rows back, and say at once what was measured: a long program may not come to its end."""
    for row in rows:
        sys.stderr.write(f"{row.what}: {short(row.ours)} {row.unit}\n")
    sys.stderr.flush()
    return rows


def finish(rows: Sequence[Row], out: Path | None) -> None:
    """Print the table, and write the rows where they are wanted."""
    sys.stdout.write(table(rows) + "\n")
    if out is not None:
        write_rows(rows, out)
