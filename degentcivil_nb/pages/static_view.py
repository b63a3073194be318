"""Static views, which saved notebooks, nbconvert and GitHub show in place of a panel.

They remove scripts, style sheets, ids and SVG, but keep tables, inline styles and embedded images.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final

import pandas as pd

from ..core.version import __version__
from .parts import Part, Picture, Remark, Section, Table, Text, one_line, stamp
from .sections import shown_of

PICTURE_BYTES: Final = 90_000
"""The largest drawing, in bytes; a larger one is replaced by a note."""
TABLE_BYTES: Final = 40_000
MOST_BYTES: Final = 240_000
"""The most bytes of a static view."""
CELL: Final = 100
_BOX: Final = (
    "border:1px solid rgba(128,128,128,0.45);border-radius:4px;padding:8px 12px;color:inherit;background:transparent;"
    "font-size:13px;line-height:1.4;overflow:auto"
)
_NOTE: Final = "margin:2px 0;color:inherit;opacity:0.8"
_TITLE: Final = "margin:12px 0 2px;font-weight:bold;color:inherit"
_TABLE: Final = "border-collapse:collapse;background:transparent;color:inherit;margin:2px 0"
_CELL: Final = "padding:1px 10px 1px 0;text-align:{};white-space:nowrap"
_HIDE: Final = (
    "<style>.jp-OutputArea-child:has(> .jupyter-widgets):not(:has(.jupyter-widgets *))"
    ":has(+ .jp-OutputArea-child .dc-static){display:none}</style>"
)
"""Hides the line before this view that says in a reopened trusted notebook that a widget's model was not found."""


def headline(title: str, about: str, moment: str, made: pd.Timestamp) -> str:
    """Return a sentence on what a static view shows, of which run and which moment."""
    of = f" of {about}" if about else ""
    return f"Static view: the {title}{of}, {moment}, written {stamp(made)} UTC by degentcivil_nb {__version__}"


def static_view(said: str, sections: Sequence[Section]) -> str:
    """Return a static view as HTML of at most `MOST_BYTES`."""
    once = "It does not change: run the cell again for the live one."
    head = f'<div style="{_NOTE}"><b>{one_line(said, 600)}.</b> {once}</div>'
    body, left = [], MOST_BYTES - len(head) - 2_000
    for number, section in enumerate(sections):
        if not section.parts:
            continue
        html = f'<div style="{_TITLE}">{one_line(section.title)}</div>' + "".join(map(_part, section.parts))
        if len(html) > left:
            body.append(
                f'<div style="{_NOTE}">{len(sections) - number} more parts are left out of this static view.</div>'
            )
            break
        left -= len(html)
        body.append(html)
    return f'{_HIDE}<div class="dc-static" style="{_BOX}">{head}{"".join(body)}</div>'


def _part(part: Part) -> str:
    match part:
        case Table():
            return _table(part)
        case Picture():
            return _picture(part)
        case Text():
            return f'<div style="{_NOTE}">{one_line(part.title, 200)}: {one_line(part.text, 400)}</div>'
        case Remark():
            return f'<div style="{_NOTE}">{one_line(part.text, 400)}</div>'


def _picture(picture: Picture) -> str:
    svg = re.sub("<title>[^<]*</title>", "", picture.svg)  # an image has no tooltips
    data = base64.b64encode(svg.encode("utf-8", "backslashreplace")).decode()
    if len(data) > PICTURE_BYTES:
        return f'<div style="{_NOTE}">Too large for a static view: {one_line(picture.alt, 300)}.</div>'
    image = f'<img src="data:image/svg+xml;base64,{data}" alt="{one_line(picture.alt, 300)}" style="max-width:100%">'
    return f'{image}<div style="{_NOTE}">{one_line(picture.alt, 300)}</div>'


def _table(table: Table) -> str:
    rows = table.rows
    while True:
        html = _table_html(table, rows)
        if len(html) <= TABLE_BYTES or not rows:
            return html
        rows = rows[: len(rows) // 2]


def _table_html(table: Table, rows: Sequence[Sequence[str]]) -> str:
    styles = [_CELL.format("right" if name in table.numbers else "left") for name in table.columns]
    head = "".join(
        f'<th style="{style}">{one_line(name)}</th>' for name, style in zip(table.columns, styles, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{style}">{one_line(text, CELL)}</td>' for text, style in zip(row, styles, strict=True))
        + "</tr>"
        for row in rows
    )
    shown = shown_of(Table(table.columns, rows, table.total, table.what, which=table.which))
    return (
        f'<div style="{_NOTE}">{one_line(shown)}</div><table style="{_TABLE}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
