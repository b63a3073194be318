"""The shell commands about recordings: `record`, `replay`, `info`, `export` and `migrate`."""

from __future__ import annotations

import asyncio
import contextlib
import json as json_text
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from ..core.progress import StatusLine, following
from .arguments import (
    FAILED,
    OK,
    Failure,
    Flag,
    History,
    Port,
    RecordingPath,
    TokenFile,
    Unread,
    Url,
    WrongUsage,
    read_token,
    remark,
    say,
)

if TYPE_CHECKING:
    from ..client.simulation_client import SimulationClient
    from ..recordings.recorder import RecorderStats
    from ..recordings.segment_reader import SegmentFolder


def record(
    url: Url,
    path: Annotated[Path, Parameter(help="the folder to write")],
    /,
    *,
    history: History = 100_000,
    token_file: TokenFile = None,
) -> int:
    """Record a simulation into a folder.

    It runs until Ctrl-C or SIGTERM ends it, and reconnects by itself. The recording can be read at any time, also after
    a crash. If the folder holds a recording already, it is continued.
    """
    from ..core.escaping import visible
    from ..recordings.record_stream import StreamRecorder

    line = StatusLine()
    speed = _Speed()

    def tell(sentence: str) -> None:
        with line.hidden():
            remark(visible(sentence))

    def watch(client: SimulationClient, stats: RecorderStats) -> None:
        trouble = f" · cannot write: {stats.error}" if stats.error else ""
        lost = f" · {stats.dropped:,} missing" if stats.dropped else ""
        at = "" if client.tick is None else f" · tick {client.tick}"
        size = stats.bytes_written / 1e6
        rate = f"{stats.rows:,} events · {speed(stats.rows):,.0f}/s"
        line.show(visible(f"{rate}{at} · {size:,.1f} MB · {client.state}{lost}{trouble}"))

    try:
        recorder = StreamRecorder(url, path, token=read_token(token_file), history=history, tell=tell, watch=watch)
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    try:
        asyncio.run(recorder.run())
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    finally:
        stats = recorder.close()
        line.close()
        if stats is not None:
            tell(f"{path}: {stats.rows:,} events")
    if stats is not None and stats.error is not None:
        raise Failure(f"the recording was left unfinished: {stats.error}")
    return OK


class _Speed:
    """The number of messages a second since the last call."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None

    def __call__(self, rows: int) -> float:
        now = time.monotonic()
        then, before = self._last or (now - 1, rows)
        self._last = (now, rows)
        return (rows - before) / max(now - then, 1e-3)


def replay(
    path: RecordingPath,
    /,
    *,
    speed: Annotated[float, Parameter(help="how many times as fast as the run was")] = 1.0,
    port: Port = 8765,
    host: Annotated[str, Parameter(help="address to listen on")] = "127.0.0.1",
    paused: Annotated[Flag, Parameter(help="begin paused")] = False,
    longest_silence: Annotated[
        float,
        Parameter(validator=Number(gt=0), help="seconds to which a longer silence is shortened; inf shortens none"),
    ] = 3.0,
    token_file: TokenFile = None,
) -> int:
    """Serve a recording as if it were live.

    Notebooks can pause it, step, and seek: session.command('seek', tick=120).
    """
    from ..replay.replay import start_replay

    token = read_token(token_file)
    try:
        played = start_replay(
            path,
            port,
            speed=speed,
            host=host,
            paused=paused,
            token=token,
            longest_silence_s=longest_silence,
        )
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    with played:
        with contextlib.suppress(Unread):  # it serves anyway
            say(f"{_shown(path)} is at {played.url}")
            say(f'In a notebook: dc.connect("{played.url}")\nCtrl-C ends it.')
        while True:
            time.sleep(3600)  # a signal ends it


def info(
    path: RecordingPath,
    /,
    *,
    verify: Annotated[Flag, Parameter(help="read everything and verify all checksums")] = False,
    json: Annotated[Flag, Parameter(help="print JSON")] = False,
) -> int:
    """Show what a recording holds, and what is wrong with it.

    Exit code 1 means that it is damaged or incomplete.
    """
    from ..recordings.run_files import find_runs, local, summary
    from ..recordings.segment_reader import SegmentFolder

    folder = SegmentFolder(path)
    filesystem, root = local(path)
    (found,) = find_runs(filesystem, root, deep=False)
    problems = [str(problem) for problem in folder.problems]
    facts: dict[str, Any] = {
        "path": str(path),
        **{name: value for name, value in summary(found).items() if name != "finished"},
        "state": "being recorded" if folder.live else "finished" if folder.finished else "unfinished",
    }
    if verify:
        facts["verified"] = _verify(folder, problems)
    facts["problems"] = problems
    if json:
        say(json_text.dumps(facts, default=str, indent=2))
    else:
        for name, value in facts.items():
            for part in value if isinstance(value, list) else [value]:
                say(f"{name:<12} {_shown(part)}")
    return FAILED if problems else OK


def _verify(folder: SegmentFolder, problems: list[str]) -> str:
    """Read everything; add damage to `problems`, and return what was read."""
    sound = read = 0
    with following(f"reading {_shown(folder.path)}") as progress:
        for segment in folder.segments:
            try:
                read += sum(batch.num_rows for _, batch in folder.read(segment))
                sound += 1
            except ValueError as error:
                lost = segment.stats.messages
                problems.append(f"{segment.stats.name}: damaged: {error}; {lost:,} messages are missing")
            progress(read, folder.messages)
    total = len(folder.segments)
    damaged = "1 segment is" if total - sound == 1 else f"{total - sound:,} segments are"
    whole = "all checksums match" if sound == total else f"{damaged} damaged"
    return f"{read:,} of {folder.messages:,} messages read, {sound:,} of {total:,} segments sound: {whole}"


def _shown(value: Any) -> str:
    from ..core.escaping import visible

    if isinstance(value, dict):
        return ", ".join(f"{visible(str(name))} {number:,}" for name, number in value.items())
    return f"{value:,}" if isinstance(value, int) else visible("" if value is None else str(value))


def export(
    path: RecordingPath,
    out: Annotated[Path, Parameter(help="a new file: OUT.parquet, OUT.csv, OUT.jsonl or OUT.otlp.jsonl")],
    /,
) -> int:
    """Write a recording as one file.

    In CSV, texts that a spreadsheet would calculate get an apostrophe in front.
    OUT.otlp.jsonl holds calls, tools, chat and thoughts as OpenTelemetry traces.
    """
    from ..recordings.export import export_recording

    if out.name.lower().endswith(".otlp.jsonl"):
        return _export_traces(path, out)
    try:
        lines = export_recording(path, out)
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    say(f"{_shown(out)}: {lines:,} lines")
    return OK


def migrate(path: RecordingPath, /) -> int:
    """Rewrite a recording of an older format in the current one.

    It then opens at once. Every message is compared before the new recording
    replaces the old one.
    """
    from ..recordings.migrate import migrate_recording

    try:
        messages = migrate_recording(path)
    except (ValueError, BlockingIOError, FileExistsError) as error:
        raise Failure(str(error)) from None
    say(f"{_shown(path)}: {messages:,} messages")
    return OK


def _export_traces(path: Path, out: Path) -> int:
    from ..session.recording import open_recording

    written = open_recording(path).export_otlp(out)
    left_out = ", ".join(f"{count:,} {name}" for name, count in written["left_out"].items())
    say(f"{_shown(out)}: {written['spans']:,} spans" + (f"; no spans, and left out: {left_out}" if left_out else ""))
    return OK
