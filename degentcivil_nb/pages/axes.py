"""The axes of a plotly figure's plain data, for our own drawings of it: times, numbers and names as positions."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from .drawing import Drawing, TimeScale

Floats = npt.NDArray[np.float64]
LARGEST: Final = 1e300
"""Ends of an axis, so that its length is a number."""
LANE: Final = 18
"""The height of a name's line in pixels."""


def is_time(values: Any) -> bool:
    """Return whether values are times: an array of them, or a list with `None` between them."""
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return bool(values.dtype.kind == "M")
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, pd.Timestamp | np.datetime64) for value in known)


def nanoseconds(values: Any) -> Floats:
    """Return times (UTC, also as ISO text) as nanoseconds, NaN where there is none."""
    times = pd.DatetimeIndex(pd.to_datetime(values, utc=True)).tz_localize(None).as_unit("ns")
    found: Floats = times.asi8.astype(np.float64)
    found[times.isna()] = np.nan
    return found


def title_of(layout: dict[str, Any]) -> str:
    """Return the title of a figure or of one of its axes."""
    return html.unescape(str(layout.get("title", {}).get("text", "")))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


class Axis:
    """One axis of a figure; `place` gives values a position along it, `at` the position in pixels."""

    def __init__(self, layout: dict[str, Any], traces: Iterable[Any]) -> None:
        columns = [values for values in traces if values is not None and len(values)]
        self.title = title_of(layout)
        self.is_reversed = layout.get("autorange") == "reversed"
        self.is_time = layout.get("type") == "date" or any(map(is_time, columns))
        self.words: dict[Any, int] = {}
        texts = any(isinstance(value, str) for values in columns for value in values)
        self.has_words = not self.is_time and (layout.get("type") == "category" or texts)
        if self.has_words:
            for word in [*layout.get("categoryarray", ()), *(value for values in columns for value in values)]:
                if word is not None and word == word:
                    self.words.setdefault(word, len(self.words))
        self.is_whole = bool(columns) and all(isinstance(one, np.ndarray) and one.dtype.kind == "i" for one in columns)
        self.low, self.high = 0.0, 1.0
        self._from, self._to = 0.0, 1.0

    def place(self, values: Any) -> Floats:
        """Return values as positions along the axis, NaN where there is none."""
        if self.is_time:
            return nanoseconds(values)
        if self.has_words:
            return np.array([float(self.words.get(value, np.nan)) for value in values])
        return np.array([_number(value) for value in values], np.float64)

    def fit(self, values: Sequence[Floats], *, from_zero: bool = False) -> None:
        """Choose the ends of the axis so that all positions are on it."""
        if self.has_words:
            self.low, self.high = -0.5, len(self.words) - 0.5
            return
        known = np.clip(np.concatenate([each[np.isfinite(each)] for each in values]), -LARGEST, LARGEST)
        if not len(known):
            return
        low, high = float(known.min()), float(known.max())
        if from_zero:
            low, high = min(low, 0.0), max(high, 0.0)
        half = (30e9 if self.is_time else max(abs(low), 1.0) / 2) if low == high else 0.0
        self.low, self.high = low - (0.0 if from_zero else half), high + half

    def span(self, start: float, end: float) -> None:
        """Draw the axis between two positions in pixels."""
        self._from, self._to = (end, start) if self.is_reversed else (start, end)

    def at(self, place: float) -> float:
        """Return the position of a place in pixels, kept within the axis."""
        share = (place - self.low) / (self.high - self.low)
        return self._from + min(max(share, 0.0), 1.0) * (self._to - self._from)

    @property
    def step(self) -> float:
        """Return how many pixels a unit of the axis has."""
        return abs(self._to - self._from) / (self.high - self.low)

    def label_below(self, drawing: Drawing, y: float) -> None:
        """Write the values under the axis."""
        if self.is_time:
            TimeScale(int(self.low), int(self.high), self._from, self._to).label(drawing, y)
            return
        if self.has_words:
            room = int(self.step / 6.5)
            for word, place in self.words.items():
                if room >= 3:
                    drawing.text(self.at(place), y, html.unescape(str(word)), size=10, anchor="middle", cap=room)
            return
        values = [self.low + share * (self.high - self.low) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
        if self.is_whole and self.high - self.low >= 1:
            values = sorted({float(round(value)) for value in values})  # no tick is between two
        for value in values:
            anchor = "start" if value == values[0] else "end" if value == values[-1] else "middle"
            whole = self.is_whole or self.high - self.low > 100
            text = f"{value:,.0f}" if whole and value == round(value) else _shown(value, self.high - self.low)
            drawing.text(self.at(value), y, text, size=10, anchor=anchor)

    def label_beside(self, drawing: Drawing, left: float, right: float) -> None:
        """Write the values to the left of the axis, with a line through the drawing for each."""
        if self.has_words:
            for word, place in self.words.items():
                drawing.text(left - 8, self.at(place) + 4, html.unescape(str(word)), size=10, anchor="end", cap=20)
                drawing.line(left, self.at(place + 0.5), right, self.at(place + 0.5))
            return
        for share in (0.0, 0.5, 1.0):
            value = self.low + share * (self.high - self.low)
            drawing.line(left, self.at(value), right, self.at(value))
            drawing.text(left - 6, self.at(value) + 4, _shown(value, self.high - self.low), size=10, anchor="end")


def _shown(value: float, span: float) -> str:
    """Write a number with so many digits that values of an axis of this length differ."""
    if not value or not 1e-4 <= abs(value) < 1e15:
        return f"{value:,.4g}"
    digits = min(12, max(0, 3 - math.floor(math.log10(span)))) if span > 0 else 4
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
