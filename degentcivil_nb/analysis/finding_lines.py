"""Findings as lines of text, each with its whole sentence, for the shell and for notebooks."""

from __future__ import annotations

import pandas as pd

from ..core.escaping import visible


def lines_of(found: pd.DataFrame) -> list[str]:
    """Return a line for each finding of the frame of `findings()`; one that says so if there is none."""
    columns = (found[name].tolist() for name in ("severity", "kind", "since_tick", "text", "until"))
    lines = []
    for severity, kind, tick, text, until in zip(*columns, strict=True):
        since = "" if pd.isna(tick) else f"since tick {tick:,}"
        lines.append(visible(f"{severity:<8} {kind:<18} {since:<18} {text}{'' if pd.isna(until) else ' (over)'}"))
    return lines or ["nothing found"]
