"""The whole run as a strip: events and errors by time, gaps, and the moment that a page is about."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from ..core.counting import counted
from .drawing import BAD, BAR, GAP, MARK, Drawing, TimeScale
from .parts import Picture

WIDTH: Final = 960
HEIGHT: Final = 110
BUCKETS: Final = 240
GAPS: Final = 200


def strip(counts: pd.DataFrame, width_s: int, gaps: pd.DataFrame, moment: int | None) -> Picture | None:
    """Draw counts by bucket, as `rates()` returns them; return `None` if there are none."""
    if not len(counts) or not len(counts.columns):
        return None
    times = pd.DatetimeIndex(counts.index).tz_localize(None).to_numpy("M8[ns]").astype(np.int64)
    width = width_s * 1_000_000_000
    scale = TimeScale(int(times[0]), int(times[-1]) + width, 8, WIDTH - 8)
    totals = counts.sum(axis=1).to_numpy()
    errors = counts["error"].to_numpy() if "error" in counts else np.zeros(len(counts), np.int64)
    top, bottom = 20, HEIGHT - 22
    drawing, most = Drawing(WIDTH, HEIGHT), max(1, int(totals.max()))
    drawing.text(8, 13, f"at most {most:,} events in {width_s:,} s", size=10)
    drawing.line(8, bottom, WIDTH - 8, bottom)
    for time, total, failed in zip(times.tolist(), totals.tolist(), errors.tolist(), strict=True):
        if not total:
            continue
        x, wide = scale(time), scale(time + width) - scale(time) - 0.5
        tip = f"{pd.Timestamp(time, unit='ns'):%Y-%m-%d %H:%M:%S}: {total:,} events, {failed:,} errors"
        high = (bottom - top) * total / most
        drawing.rect(x, bottom - high, wide, high, BAR, tip)
        if failed:
            high = max(2.0, (bottom - top) * failed / most)
            drawing.rect(x, bottom - high, wide, high, BAD, tip)
    missing = gaps["time"].dropna().to_numpy("M8[ns]").astype(np.int64) if len(gaps) else np.zeros(0, np.int64)
    for time in missing[-GAPS:].tolist():
        drawing.rect(scale(time) - 2, top, 4, bottom - top, GAP, "a gap: messages are missing here")
    if moment is not None:
        drawing.line(scale(moment), top - 6, scale(moment), bottom, MARK, 2)
    scale.label(drawing, HEIGHT - 6)
    few = f"; the newest {GAPS:,} of {counted(len(missing), 'gap')}" if len(missing) > GAPS else ""
    told = f"events by time, errors in red; the line is this moment{few}"
    return Picture(drawing.svg("events over the whole run"), told)
