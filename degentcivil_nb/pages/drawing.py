"""Drawings as SVG text, in mid tones that can be read on white and on black; no script, style or link is in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from .parts import one_line

INK: Final = "#7d8590"
LINE: Final = "#7d859055"
GAP: Final = "#d3544f44"
BAD: Final = "#d3544f"
MARK: Final = "#e07b1f"
"""The colour of the moment that a page is about."""
BAR: Final = "#2f86d6"
DASHES: Final = {"dot": "2 4", "dash": "8 5"}
"""Lines that are not solid, by plotly's names of them."""


class Drawing:
    """An SVG picture that is drawn part by part; every text in it is escaped."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str, tip: str = "", outline: str = ""
    ) -> None:
        """Draw a rectangle with a tooltip."""
        box = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}"'
        stroke = f' stroke="{outline}"' if outline else ""
        self._put("rect", f'{box} fill="{fill}"{stroke}', tip)

    def dot(self, x: float, y: float, radius: float, fill: str, tip: str = "", outline: str = "none") -> None:
        """Draw a dot with a tooltip."""
        self._put("circle", f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}" stroke="{outline}"', tip)

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = LINE, width: float = 1) -> None:
        """Draw a line."""
        self._put(
            "line",
            f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width:g}"',
        )

    def path(
        self, points: Sequence[tuple[float, float]], colour: str, *, steps: bool = False, dash: str = "solid"
    ) -> None:
        """Draw a line through points, straight or in steps; `dash` is a key of `DASHES`, or else it is solid."""
        (x, y), *rest = points
        walk = "".join(f"H{right:.1f}V{up:.1f}" if steps else f"L{right:.1f} {up:.1f}" for right, up in rest)
        broken = f' stroke-dasharray="{DASHES[dash]}"' if dash in DASHES else ""
        self._put(
            "path", f'd="M{x:.1f} {y:.1f}{walk or "h1"}" fill="none" stroke="{colour}" stroke-width="1.6"{broken}'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 11,
        anchor: str = "start",
        colour: str = INK,
        cap: int = 40,
    ) -> None:
        """Draw a text, cut with an ellipsis."""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" fill="{colour}">'
            f"{one_line(text, cap)}</text>"
        )

    def _put(self, name: str, attributes: str, tip: str = "") -> None:
        if tip:
            self._parts.append(f"<{name} {attributes}><title>{one_line(tip, 200)}</title></{name}>")
        else:
            self._parts.append(f"<{name} {attributes}/>")

    def svg(self, title: str) -> str:
        """Return the picture; `title` says what it shows."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" role="img" font-family="system-ui, sans-serif">'
            f"<title>{one_line(title, 200)}</title>{''.join(self._parts)}</svg>"
        )


class TimeScale:
    """A scale from times in nanoseconds to positions on a line, with labels that never overlap."""

    def __init__(self, start: int, end: int, left: float, right: float) -> None:
        self.start, self.end = start, max(end, start + 1)
        self.left, self.right = left, right

    def __call__(self, time: float) -> float:
        """Return the position of a time, kept within the line."""
        share = (time - self.start) / (self.end - self.start)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def label(self, drawing: Drawing, y: float, count: int = 5) -> None:
        """Write times under the line; with the date if the line is longer than a day."""
        seconds = (self.end - self.start) / 1e9
        form = "%Y-%m-%d %H:%M" if seconds > 86_400 else "%H:%M:%S"
        for place in range(count + 1):
            time = self.start + (self.end - self.start) * place // count
            text = f"{pd.Timestamp(time, unit='ns'):{form}}"
            if seconds < 10:
                text += f".{time // 1_000_000 % 1000:03d}"
            anchor = "start" if place == 0 else "end" if place == count else "middle"
            drawing.text(self(time), y, text, size=10, anchor=anchor)
