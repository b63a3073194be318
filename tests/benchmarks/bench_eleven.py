"""The first eleven questions of a researcher, on a run that was written for them: the answers are known.

A day of a town (`tests/support/planted_day.py`) in which every kind of fault is planted is asked while it is live and
as a recording, the first time after it was opened and again; beside it what pandas takes for the same, by hand, on a
flat frame that is already in memory, and how many lines that is. A wrong answer ends the program with exit code 1.

    python -m tests.benchmarks.bench_eleven --markdown
    python -m tests.benchmarks.bench_eleven --days 50 --only-recorded    # about 10 million events
    python -m tests.benchmarks.bench_eleven --days 50 --only-recorded --folder KEPT   # made once, and kept there
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import degentcivil_nb as dc
from tests.benchmarks.by_hand import BY_HAND, Log, lines_of, log_of
from tests.benchmarks.report import Row, at_most, parser, table, write_rows
from tests.support.eleven import Question, questions
from tests.support.planted_day import PlantedDay

LIMIT_S: Final = 1.0
PATIENCE_S: Final = 300.0


class Asked(NamedTuple):
    """What a question took, and whether each answer was right."""

    seconds: float
    right: bool


class Line(NamedTuple):
    """A question in all the ways in which it was asked."""

    question: Question
    live: Asked | None
    first: Asked
    again: Asked
    by_hand: Asked | None
    lines: int | None

    @property
    def right(self) -> bool:
        return all(one is None or one.right for one in (self.live, self.first, self.again))


def asked(question: Question, run: Any) -> Asked:
    at = run if question.prepare is None else question.prepare(run)
    start = time.perf_counter()
    answer = question.ask(at)
    return Asked(time.perf_counter() - start, bool(question.right(answer)))


def of_recording(day: PlantedDay, folder: Path, twin: Path | None) -> list[tuple[Question, Asked, Asked]]:
    """Ask each question of a recording that was opened for it, and once more."""
    found = []
    for number in range(len(questions(day, None if twin is None else dc.open_recording(twin)))):
        with dc.open_recording(folder) as run, ExitStack() as stack:
            other = None if twin is None else stack.enter_context(dc.open_recording(twin))
            question = questions(day, other)[number]
            found.append((question, asked(question, run), asked(question, run)))
    return found


def of_session(day: PlantedDay, folder: Path, twin: Path | None, events: int) -> list[Asked]:
    """Ask each question of a session that took the run as it was replayed to it."""
    with ExitStack() as stack:
        other = None if twin is None else stack.enter_context(dc.open_recording(twin))
        replay = stack.enter_context(dc.start_replay(folder, speed=1e6, paused=True, longest_silence_s=1))
        session = stack.enter_context(dc.connect(replay, history=0, retention=2 * events))
        session.resume()
        limit = time.monotonic() + PATIENCE_S
        while len(session) < events:
            if time.monotonic() > limit:
                raise RuntimeError(f"of {events:,} events {len(session):,} came; {session!r}")
            time.sleep(0.02)  # polls: no call waits for a number of events
        return [asked(question, session) for question in questions(day, other)]


def by_hand(call: str, log: Log | None, day: PlantedDay) -> tuple[Asked | None, int | None]:
    written = BY_HAND.get(call.partition("tick=")[0] + "tick=…)" if "tick=" in call else call)
    if log is None or written is None:
        return None, None
    start = time.perf_counter()
    right = written(log, day)
    return Asked(time.perf_counter() - start, right), lines_of(written)


def measure(folder: Path, day: PlantedDay, twin: Path | None, *, only_recorded: bool = False) -> list[Line]:
    with dc.open_recording(folder) as run:
        events = len(run)
        log = None if only_recorded else log_of(run)
    pairs = [by_hand(question.call, log, day) for question in questions(day, None)]
    hands = dict(zip((question.call for question in questions(day, None)), pairs, strict=True))
    del log
    recorded = of_recording(day, folder, twin)
    live = [None] * len(recorded) if only_recorded else of_session(day, folder, twin, events)
    return [
        Line(question, told, first, again, *hands.get(question.call, (None, None)))
        for (question, first, again), told in zip(recorded, live, strict=True)
    ]


def rows_of(lines: list[Line]) -> list[Row]:
    """Give a row for each question: the slowest way in which it was asked."""
    rows = []
    for line in lines:
        took = max(one.seconds for one in (line.live, line.first, line.again) if one is not None)
        name = f"{line.question.number or 'all'}: {line.question.call}{'' if line.right else ', WRONG'}"
        peer = None if line.by_hand is None else line.by_hand.seconds
        rows.append(Row(name, "s", took, peer, "pandas, by hand", target=at_most(LIMIT_S)))
    return rows


def markdown(lines: list[Line]) -> str:
    text = [
        "| question | call | right | live, s | recorded first, s | again, s | lines of pandas instead | they take, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        number, hand = str(line.question.number or "all"), line.by_hand
        times = [f"{one.seconds:.2f}" if one is not None else "" for one in (line.live, line.first, line.again)]
        shown = ["", ""] if hand is None else [str(line.lines), f"{hand.seconds:.2f}{'' if hand.right else ', wrong'}"]
        cells = [number, f"`{line.question.call}`", "yes" if line.right else "**no**", *times, *shown]
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def made(folder: Path, make: Callable[[], PlantedDay]) -> PlantedDay:
    """Give a day whose run is recorded in a folder; one that is there was made of the same seed and size."""
    day = make()
    if folder.exists():
        for _ in day.parts():  # what is known of the run comes of running it
            pass
    else:
        day.record(folder)
    return day


def main(made_in: Path) -> None:
    options = parser(__doc__)
    options.add_argument("--characters", type=int, default=100)
    options.add_argument("--ticks", type=int, default=1_440)
    options.add_argument("--days", type=int, default=1)
    options.add_argument("--seed", type=int, default=5)
    options.add_argument("--folder", type=Path, help="where the runs are kept, or are to be kept")
    options.add_argument("--only-recorded", action="store_true", help="neither live nor by hand")
    options.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    chosen = options.parse_args()
    size: dict[str, Any] = {"characters": chosen.characters, "ticks": chosen.ticks, "days": chosen.days}
    folder = chosen.folder or made_in
    day = made(folder / "run", lambda: PlantedDay(chosen.seed, **size))
    if not (folder / "changed").exists():
        PlantedDay(chosen.seed, **size, changed=True).record(folder / "changed")
    lines = measure(folder / "run", day, folder / "changed", only_recorded=chosen.only_recorded)
    rows = rows_of(lines)
    sys.stdout.write((markdown(lines) if chosen.markdown else table(rows)) + "\n")
    if chosen.out is not None:
        write_rows(rows, chosen.out)
    wrong = [line.question.call for line in lines if not line.right]
    if wrong:
        raise SystemExit(f"wrong answers: {', '.join(wrong)}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bench-eleven-") as name:
        main(Path(name))
