"""The shell's words about recordings: `record`, `replay`, `info` and `export`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import FAILED, OK, Failure, Progress, WrongUsage, count, port, read_token

if TYPE_CHECKING:
    from ..client.simulation_client import SimulationClient
    from ..recordings.recorder import RecorderStats

Run = Callable[[argparse.Namespace, Sequence[str]], int]


def declare(add: Callable[..., argparse.ArgumentParser], add_token: Callable[[argparse.ArgumentParser], None]) -> None:
    """Describe the commands: `add(run, summary, more)` makes one, `add_token` the option that names a token."""
    command = add(
        record,
        "record a simulation into a folder",
        "It runs until it is told to end (Ctrl-C, SIGTERM) and reconnects by itself. What was written can be read at "
        "any time, also after a crash; a recording that is there is gone on with.",
    )
    command.add_argument("url", metavar="URL", help="for example ws://localhost:8765")
    command.add_argument("path", metavar="PATH", type=Path, help="the folder")
    command.add_argument(
        "--history",
        type=count,
        default=100_000,
        metavar="N",
        help="begin with that many past messages (default: %(default)s)",
    )
    add_token(command)

    command = add(
        replay,
        "serve a recording as if it were live",
        "Notebooks can pause it, step, and seek: session.command('seek', tick=120).",
    )
    command.add_argument("path", metavar="PATH", type=Path, help="the folder of the recording")
    command.add_argument("--speed", type=float, default=1.0, metavar="X", help="times as fast (default: %(default)s)")
    command.add_argument("--port", type=port, default=8765, help="port, 0 for a free one (default: %(default)s)")
    command.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    command.add_argument("--paused", action="store_true", help="begin paused")
    add_token(command)

    command = add(
        info, "say what a recording holds, and what is wrong with it", "Exit code 1 says that it is not whole."
    )
    command.add_argument("path", metavar="PATH", type=Path, help="the folder of the recording")
    command.add_argument("--verify", action="store_true", help="read everything, and compare all checksums")
    command.add_argument("--json", action="store_true", help="as JSON")

    command = add(
        export,
        "write a recording as one file",
        "In CSV, texts that a spreadsheet would calculate get an apostrophe in front.",
    )
    command.add_argument("path", metavar="PATH", type=Path, help="the folder of the recording")
    command.add_argument("out", metavar="OUT", type=Path, help="a new file: OUT.parquet, OUT.csv or OUT.jsonl")


def record(arguments: argparse.Namespace, _rest: Sequence[str]) -> int:
    """Record a stream for as long as it takes."""
    from ..core.escaping import visible
    from ..recordings.record_stream import StreamRecorder

    progress = Progress("recording", sys.stderr)
    speed = _Speed()

    def tell(sentence: str) -> None:
        progress.close()
        sys.stderr.write(f"{visible(sentence)}\n")
        sys.stderr.flush()

    def watch(client: SimulationClient, stats: RecorderStats) -> None:
        trouble = f" · cannot write: {stats.error}" if stats.error else ""
        lost = f" · {stats.dropped:,} missing" if stats.dropped else ""
        at = "" if client.tick is None else f" · tick {client.tick}"
        size = stats.bytes_written / 1e6
        line = (
            f"{stats.rows:,} events · {speed(stats.rows):,.0f}/s{at} · {size:,.1f} MB · {client.state}{lost}{trouble}"
        )
        progress.line(visible(line)[:118])

    try:
        recorder = StreamRecorder(
            arguments.url,
            arguments.path,
            token=read_token(arguments.token_file),
            history=arguments.history,
            tell=tell,
            watch=watch,
        )
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    try:
        asyncio.run(recorder.run())
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    finally:
        stats = recorder.close()
        progress.close()
        if stats is not None:
            tell(f"{arguments.path}: {stats.rows:,} events")
    if stats is not None and stats.error is not None:
        raise Failure(f"the recording was left unfinished: {stats.error}")
    return OK


class _Speed:
    """Say how many more a second there are than the last time."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None

    def __call__(self, rows: int) -> float:
        now = time.monotonic()
        then, before = self._last or (now - 1, rows)
        self._last = (now, rows)
        return (rows - before) / max(now - then, 1e-3)


def replay(arguments: argparse.Namespace, _rest: Sequence[str]) -> int:
    """Serve a recording until told to end."""
    from ..replay.replay import start_replay

    token = read_token(arguments.token_file)
    try:
        played = start_replay(
            arguments.path,
            arguments.port,
            speed=arguments.speed,
            host=arguments.host,
            paused=arguments.paused,
            token=token,
        )
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    with played:
        sys.stdout.write(f"{_shown(arguments.path)} is at {played.url}\n")
        sys.stdout.write(f'In a notebook: dc.connect("{played.url}")\nCtrl-C ends it.\n')
        sys.stdout.flush()
        while True:
            time.sleep(3600)  # a signal ends it


def info(arguments: argparse.Namespace, _rest: Sequence[str]) -> int:
    """Say what a recording holds."""
    from ..recordings.run_files import find_runs, local, summary
    from ..recordings.segment_reader import SegmentFolder

    folder = SegmentFolder(arguments.path)
    filesystem, root = local(arguments.path)
    (found,) = find_runs(filesystem, root, deep=False)
    problems = [str(problem) for problem in folder.problems]
    if arguments.verify:
        progress = Progress("reading", sys.stderr)
        done = 0
        for segment in folder.segments:
            try:
                done += sum(batch.num_rows for _, batch in folder.read(segment))
            except ValueError as error:
                problems.append(
                    f"{segment.stats.name}: damaged: {error}; {segment.stats.messages:,} messages are missing"
                )
            progress(done, folder.messages)
        progress.close()
    facts: dict[str, Any] = {
        "path": str(arguments.path),
        **{name: value for name, value in summary(found).items() if name != "finished"},
        "state": "being recorded" if folder.live else "finished" if folder.finished else "unfinished",
        "problems": problems,
    }
    if arguments.json:
        sys.stdout.write(f"{json.dumps(facts, default=str, indent=2)}\n")
    else:
        for name, value in facts.items():
            for part in value if isinstance(value, list) else [value]:
                sys.stdout.write(f"{name:<12} {_shown(part)}\n")
    return FAILED if problems else OK


def _shown(value: Any) -> str:
    from ..core.escaping import visible

    if isinstance(value, dict):
        return ", ".join(f"{visible(str(name))} {number:,}" for name, number in value.items())
    return f"{value:,}" if isinstance(value, int) else visible("" if value is None else str(value))


def export(arguments: argparse.Namespace, _rest: Sequence[str]) -> int:
    """Write a recording as one file."""
    from ..recordings.export import export_recording

    progress = Progress("exporting", sys.stderr)
    try:
        lines = export_recording(arguments.path, arguments.out, progress=progress)
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    finally:
        progress.close()
    sys.stdout.write(f"{_shown(arguments.out)}: {lines:,} lines\n")
    return OK
