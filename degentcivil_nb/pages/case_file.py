"""The case file: one page of a moment of a run, which opens from disk without Python, scripts or a network."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd

from ..analysis.chain import Chain
from ..core.escaping import visible
from ..core.progress import following_cell
from ..core.version import __version__
from ..core.whole_file import written_whole
from ..figures.colours import state_colour
from ..store.interfaces import RunStore
from ..store.moments import RowMoment
from ..store.schema import Ints, Mask
from ..store.stay_pieces import stays_where
from ..store.timeline import ToldRows
from . import sections as said
from .parts import CELL, Part, Picture, Remark, Section, Table, Text, cell, lines, number, one_line, records, stamp

STYLE: Final = Path(__file__).with_name("case_file.css").read_text(encoding="utf-8")
MOST_BYTES: Final = 3_000_000
"""The most bytes of a page; tables are cut further if they would exceed their share."""
TABLE_BYTES: Final = 700_000
TEXT_BYTES: Final = 900_000
CAPS: Final = (CELL, 80, 40, 20, 10)
LONG: Final = 1_000_000
"""The number of events from which on one section can take seconds, so that progress is shown from the start."""
CHAIN: Final = 60
TALL: Final = 60
"""The number of rows from which on a table has its own scroll bar."""
DIRECTIONS: Final = {"causes": "What led to it (why)", "effects": "What it led to (effects)"}


class CaseRun(said.Run, Protocol):
    """The questions that a case file asks of a session or a recording."""

    def why(self, row: int) -> Chain: ...
    def effects(self, row: int) -> Chain: ...


@dataclass(frozen=True, slots=True)
class Case:
    """The subject of a page: the run, the moment, and the events in question."""

    name: str
    facts: Mapping[str, object]
    moment: RowMoment | None
    rows: Sequence[int]
    newest: bool
    """Whether the moment is that of the newest event."""
    made: pd.Timestamp


def page_of(case: Case, run: CaseRun, store: RunStore) -> str:
    """Return a case file as HTML."""
    row = None if case.moment is None else case.moment.row
    time = None if case.moment is None else case.moment.time
    gaps = store.gaps()
    known = [_owner(store, number) for number in case.rows]
    first = [name for name in known if name]
    questions: list[Callable[[], Section | list[Section]]] = [
        lambda: _about(case, run, store),
        lambda: said.whole_run(store, time),
        lambda: said.town(store.characters() if row is None else store.characters(row=row), store.places()),
        lambda: said.timeline_around(store, lambda *span: _stays(store, *span), row, first, gaps, 60),
        lambda: said.events_around(store, row),
        lambda: said.calls_around(store, row),
        lambda: said.chat_around(store, row),
        lambda: said.errors_until(store, row),
        lambda: said.findings_of(run.findings()),
        lambda: said.gaps_of(gaps),
        lambda: said.stops_of(run),
    ]
    sections: list[Section] = []
    is_long = store.next_row - store.first_row > LONG
    with following_cell("writing a case file", patience_s=0 if is_long else None) as progress:
        for done, ask in enumerate(questions):
            progress(done, len(questions))
            answer = ask()
            sections += answer if isinstance(answer, list) else [answer]
    return _page(case, [section for section in sections if section.parts])


def _stays(store: RunStore, start: int, end: int) -> pd.DataFrame:
    def seen(begin: ToldRows, ends: Ints) -> Mask:
        return (begin.when <= end) & (np.maximum(ends, begin.when) >= start)  # a sender's times may go back

    return store.by_pieces(lambda pieces: stays_where(pieces, seen))


def _owner(store: RunStore, row: int) -> str | None:
    names = store.frame_of([row])["character_id"].tolist()
    return cell(names[0]) or None if names else None


def _about(case: Case, run: CaseRun, store: RunStore) -> list[Section]:
    """Return the sections about the events in question: each event, its causes and its effects."""
    sections = []
    for row in case.rows:
        columns, listed, _, numbers = said.event_table(store, [row], store.next_row - store.first_row)
        parts: list[Part] = [
            Table(columns, listed, 1, "event", numbers),
            Text(f"Payload of row {row:,}", said.cut_text(store.payload(row))),
        ]
        for chain in (run.why(row), run.effects(row)):
            parts += _chain(chain)
        sections.append(Section(f"Row {row:,}", parts))
    return sections


def _chain(chain: Chain) -> list[Part]:
    if len(chain) < 2:
        return [Remark(f"{DIRECTIONS[chain.direction]}: nothing is known."), *map(Remark, chain.notes)]
    shown = chain.table().iloc[[place for place in chain.in_tree_order() if 0 < place <= CHAIN]]
    rows = [
        ["· " * min(int(link.depth), 12) + str(int(link.depth)), number(link.row), cell(link.tick), cell(link.type),
         cell(link.grade), cell(link.text)]
        for link in records(shown)
    ]  # fmt: skip
    columns = ["depth", "row", "tick", "type", "grade", "text"]
    table = Table(columns, rows, len(chain) - 1, "link", frozenset({"row", "tick"}), "nearest")
    return [Remark(f"{DIRECTIONS[chain.direction]}:"), table, *map(Remark, chain.notes)]


# --- HTML ------------------------------------------------------------------------------------------------------------


def _page(case: Case, sections: Sequence[Section]) -> str:
    digest = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    title = f"{case.name}, {_moment_of(case)}"
    room = _Room(TEXT_BYTES)
    body = "".join(_section(number, section, room) for number, section in enumerate(sections))
    links = "".join(f'<a href="#s{number}">{one_line(section.title)}</a>' for number, section in enumerate(sections))
    facts = "".join(
        f"<tr><th>{one_line(name)}</th><td>{one_line(value, 400)}</td></tr>" for name, value in _facts(case).items()
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="referrer" content="no-referrer"><meta name="viewport" content="width=device-width">'
        f"<title>{one_line(title, 200)}</title><style>{STYLE}</style></head><body>"
        f"<header><h1>{one_line(case.name, 200)}</h1><p>{one_line(_moment_of(case), 300)}</p>"
        f'<table class="facts"><tbody>{facts}</tbody></table><nav aria-label="sections">{links}</nav></header>'
        f"<main>{body}</main></body></html>\n"
    )


def _moment_of(case: Case) -> str:
    if case.moment is None:
        return "no event yet"
    tick = "" if case.moment.tick is None else f"tick {case.moment.tick:,}, "
    newest = " (the newest event held)" if case.newest else ""
    return f"{tick}row {case.moment.row:,}, {stamp(pd.Timestamp(case.moment.time, unit='ns'))} UTC{newest}"


def _facts(case: Case) -> dict[str, object]:
    return {
        "moment": _moment_of(case),
        **{name: value for name, value in case.facts.items() if value not in (None, "")},
        "written": f"{stamp(case.made)} UTC by degentcivil_nb {__version__}; all times are UTC",
    }


class _Room:
    """The remaining bytes for texts."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, html: str) -> bool:
        """Reserve the bytes of a text, if enough remain."""
        size = len(html.encode())
        if size > self._left:
            return False
        self._left -= size
        return True


def _section(number: int, section: Section, room: _Room) -> str:
    parts = "".join(_part(part, room) for part in section.parts)
    return f'<section id="s{number}"><h2>{one_line(section.title)}</h2>{parts}</section>'


def _part(part: Part, room: _Room) -> str:
    match part:
        case Table():
            return _table(part)
        case Picture():
            return f"<figure>{part.svg}<figcaption>{one_line(part.alt, 400)}</figcaption></figure>"
        case Text():
            html = f"<details><summary>{one_line(part.title)}</summary><pre>{lines(part.text)}</pre></details>"
            left_out = f"{part.title}: left out, since the page would be too large ({len(part.text):,} characters)"
            return html if room.take(html) else f"<p>{one_line(left_out, 300)}</p>"
        case Remark():
            return f"<p>{one_line(part.text, 600)}</p>"


def _table(table: Table) -> str:
    """Return a table; if it is too large, first its cells and then its rows are cut, and the table says so."""
    for cap in CAPS:
        html = _table_html(table, cap)
        if len(html.encode()) <= TABLE_BYTES:
            return html
    fewer = Table(
        table.columns, table.rows[: len(table.rows) // 2], table.total, table.what, table.numbers, table.which,
        table.marked, table.states,
    )  # fmt: skip
    return _table(fewer)


def _table_html(table: Table, cap: int) -> str:
    head = "".join(f"<th{_class(table, name)}>{one_line(name)}</th>" for name in table.columns)
    body = "".join(
        f"<tr{' class=here' if number == table.marked else ''}>"
        + "".join(
            f"<td{_class(table, name)}>{_cell(table, name, text, cap)}</td>"
            for name, text in zip(table.columns, row, strict=True)
        )
        + "</tr>"
        for number, row in enumerate(table.rows)
    )
    cut = f"; texts are cut at {cap} characters" if any(len(text) > cap for row in table.rows for text in row) else ""
    tall = " tall" if len(table.rows) > TALL else ""
    return (
        f'<div class="scroll{tall}" tabindex="0"><table><caption>{one_line(said.shown_of(table))}{cut}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _class(table: Table, name: str) -> str:
    return " class=n" if name in table.numbers else ""


def _cell(table: Table, name: str, text: str, cap: int) -> str:
    shown = one_line(text, cap)
    if name not in table.states or not text:
        return shown
    return f'<svg width="10" height="10"><circle cx="5" cy="5" r="4.5" fill="{state_colour(text)}"/></svg> {shown}'


def write_page(path: Path, html: str) -> None:
    """Write a page completely or not at all."""
    with written_whole(path) as beside:
        beside.write_text(html, encoding="utf-8", errors="backslashreplace")


def checked_target(path: Path) -> Path:
    """Return the path of a page; raise `ValueError` if it does not end in .html."""
    if path.suffix.lower() not in (".html", ".htm"):
        stem, name = visible(path.stem)[:80], visible(path.name)[:80]
        raise ValueError(f"a case file is an HTML page: call it {stem}.html, not {name}")
    return path


def rows_asked(rows: Any) -> list[int]:
    """Return the rows that a page is about: one, a list-like of them, or none."""
    from ..store.arguments import whole

    if rows is None:
        return []
    several = rows.tolist() if hasattr(rows, "tolist") else rows
    if isinstance(several, str) or not hasattr(several, "__iter__"):
        several = [several]
    return list(dict.fromkeys(whole(row, "a row", least=None) for row in several))
