"""The card that a notebook shows for an object: a small table in HTML, in the page's own colours, light and dark.

Only classes, inline styles and tables are used: they survive where a page takes scripts and style sheets away.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from .escaping import visible

LONGEST: Final = 400
"""How many characters of a value are shown."""
TONES: Final = {"good": "#2e9e5b", "waiting": "#c98a1b", "bad": "#d9534f", "over": "#8c96a3"}
"""Colours of the dot in front of the title; each can be read on white and on black."""
_BOX: Final = (
    "display:inline-block;max-width:60em;padding:6px 12px;border:1px solid rgba(128,128,128,0.45);border-radius:4px;"
    "color:inherit;background:transparent;font-size:13px;line-height:1.5"
)
_TABLE: Final = "border:none;border-collapse:collapse;background:transparent;color:inherit;margin:2px 0 0 0"
_CELL: Final = (
    "border:none;background:transparent;color:inherit;text-align:left;vertical-align:top;white-space:pre-wrap"
)
_LABEL: Final = f"{_CELL};padding:0 12px 0 0;opacity:0.7"
_VALUE: Final = f"{_CELL};padding:0"


def card(title: str, of: object, facts: Mapping[str, object], tone: str | None = None) -> str:
    """Return a card as HTML: a title, the name of the object (`of`), and a row for each known fact, all escaped."""
    dot = "" if tone is None else f'<span style="color:{TONES[tone]}">●</span> '
    rows = "".join(
        f'<tr><td style="{_LABEL}">{shown(name)}</td><td style="{_VALUE}">{shown(value)}</td></tr>'
        for name, value in facts.items()
        if value is not None and value != ""
    )
    about = f" <code>{shown(of)}</code>" if of not in (None, "") else ""
    table = f'<table style="{_TABLE}"><tbody>{rows}</tbody></table>'
    return f'<div style="{_BOX}">{dot}<b>{shown(title)}</b>{about}{table}</div>'


def shown(value: Any) -> str:
    """Return a value as HTML text of one line that can neither break out nor deceive."""
    text = visible(value)
    return escape(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def tone_of_run(state: str | None) -> str:
    """Return the tone of a run's state."""
    return {"running": "good", "pausing": "waiting", "paused": "waiting", "dead": "bad"}.get(state or "", "over")
