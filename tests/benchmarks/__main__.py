"""All figures of the README in one table: ours, the peer, the limit, the ratio, the target, and whether it is reached.

    python -m tests.benchmarks --full --out figures.json
    python -m tests.benchmarks --full --out figures.json --only store client   # the others keep what figures.json has
    python -m tests.benchmarks --full --out figures.json --only --markdown README.md   # runs nothing, writes the table

Each program runs in a process of its own, one after another; one that fails says so and stops nothing, and the exit
code is then 1. A target that is not reached is no failure. Figures mean something on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from tests.benchmarks.programs import PROGRAMS, Program
from tests.benchmarks.report import Row, markdown, table
from tests.support.paths import ROOT

LIMIT_S = 400
MARKED = re.compile(r"(<!-- benchmarks: .*? -->\n).*?(<!-- /benchmarks -->)", re.DOTALL)


class Result(Struct):
    """Say what one program gave."""

    rows: list[Row]
    seconds: float
    when: str
    error: str | None = None


class Figures(Struct):
    """Be the file: what every program gave, at one size on one machine."""

    size: Literal["small", "full"]
    machine: str
    programs: dict[str, Result]


def machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def run(program: Program, arguments: str, folder: Path) -> Result:
    """Run a program; what it says is only shown when it fails."""
    out = folder / f"{program.name}.json"
    command = [
        sys.executable,
        "-m",
        f"tests.benchmarks.bench_{program.name}",
        *arguments.split(),
        program.out,
        str(out),
    ]
    when, start = time.strftime("%Y-%m-%d %H:%M"), time.perf_counter()
    error = None
    rows: list[Row] = []
    try:
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=LIMIT_S)
        rows = program.rows(msgspec.json.decode(out.read_bytes()))
    except subprocess.CalledProcessError as failed:
        error = f"{failed}\n{failed.stderr[-3000:]}"
    except (subprocess.TimeoutExpired, OSError, KeyError, msgspec.MsgspecError) as failed:
        error = f"{type(failed).__name__}: {failed}"
    return Result(rows, round(time.perf_counter() - start, 1), when, error)


def kept(out: Path | None, size: str) -> dict[str, Result]:
    """Give what the file has of an earlier run of the same size."""
    if out is None or not out.exists():
        return {}
    held = msgspec.json.decode(out.read_bytes(), type=Figures)
    if held.size != size:
        raise SystemExit(f"{out} holds figures of the {held.size} size; give another file")
    return held.programs


def rows_of(figures: Figures) -> list[Row]:
    return [row for program in PROGRAMS if (found := figures.programs.get(program.name)) for row in found.rows]


def write_markdown(figures: Figures, target: str) -> None:
    """Print the table of targets, or put it between the two marks of a file, which is made if there is none."""
    text = f"{markdown(rows_of(figures))}\n"
    if target == "-":
        print(text)
        return
    file = Path(target)
    if not file.exists():
        file.write_text(f"<!-- benchmarks: {figures.machine} -->\n{text}<!-- /benchmarks -->\n", encoding="utf-8")
        return
    found, count = MARKED.subn(lambda mark: f"{mark[1]}{text}{mark[2]}", file.read_text(encoding="utf-8"))
    if count != 1:
        raise SystemExit(f"{file} has no place for the table: <!-- benchmarks: … --> and <!-- /benchmarks -->")
    file.write_text(found, encoding="utf-8")


def main(folder: Path) -> None:
    names = [program.name for program in PROGRAMS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = parser.add_mutually_exclusive_group(required=True)
    sizes.add_argument("--small", dest="size", action="store_const", const="small", help="to see that they work")
    sizes.add_argument("--full", dest="size", action="store_const", const="full", help="about twelve minutes")
    parser.add_argument("--only", nargs="*", choices=names, metavar="NAME", help=f"some of {', '.join(names)}, or none")
    parser.add_argument("--out", type=Path, help="write the figures as JSON; of programs that do not run, keep its own")
    parser.add_argument(
        "--markdown", nargs="?", const="-", metavar="FILE", help="the targets as Markdown: printed, or put into a file"
    )
    options = parser.parse_args()
    figures = Figures(options.size, machine(), kept(options.out, options.size))
    failed = []
    for program in PROGRAMS:
        if options.only is not None and program.name not in options.only:
            continue
        print(f"{program.name} …", end=" ", file=sys.stderr, flush=True)
        result = run(program, program.small if options.size == "small" else program.full, folder)
        print(f"{result.seconds:.0f} s", file=sys.stderr)
        if result.error is not None:
            failed.append(program.name)
            print(f"{program.name} failed: {result.error}", file=sys.stderr)
        figures.programs[program.name] = result
        if options.out is not None:
            options.out.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1))
    print(table(rows_of(figures)))
    if options.markdown is not None:
        write_markdown(figures, options.markdown)
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as made:
        main(Path(made))
