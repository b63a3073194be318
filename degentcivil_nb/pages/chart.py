"""A figure over time as our own drawing, for pages without a plotting library."""

from __future__ import annotations

import html
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .drawing import INK, Drawing, TimeScale
from .parts import Picture

WIDTH: Final = 960
HEIGHT: Final = 260
LEFT, TOP, BOTTOM = 64, 34, 226
POINTS: Final = 1_200
"""The most points of a line; if there are more, the last ones are drawn."""


def chart(spec: dict[str, Any]) -> Picture | None:
    """Draw the lines, dots and bars over time of a figure's plain data; `None` if it has none."""
    traces = [found for trace in spec["data"] if (found := _numbers(trace)) is not None]
    if not traces:
        return None
    x = np.concatenate([times for _, _, times, _ in traces])
    top = np.concatenate([values for _, _, _, values in traces])
    low, high = min(0.0, float(top.min())), max(float(top.max()), 1e-9)
    scale = TimeScale(int(x.min()), int(x.max()), LEFT, WIDTH - 10)
    drawing = Drawing(WIDTH, HEIGHT)

    def up(value: float) -> float:
        return BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP)

    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        drawing.line(LEFT, up(value), WIDTH - 10, up(value))
        drawing.text(LEFT - 6, up(value) + 4, f"{value:,.4g}", size=10, anchor="end")
    at = float(LEFT)
    for name, trace, times, values in traces:
        colour = _colour(trace)
        if trace["type"] == "bar":
            for time, value in zip(times.tolist(), values.tolist(), strict=True):
                drawing.rect(scale(time) - 2, up(max(value, 0.0)), 4, abs(up(value) - up(0.0)), colour)
        elif "lines" in trace.get("mode", "lines"):
            points = [(scale(time), up(value)) for time, value in zip(times.tolist(), values.tolist(), strict=True)]
            drawing.path(points, colour, steps=trace.get("line", {}).get("shape") == "hv")
        else:
            for time, value in zip(times.tolist(), values.tolist(), strict=True):
                drawing.dot(scale(time), up(value), 2.5, colour)
        if at + 7 * len(name) + 20 < WIDTH:
            drawing.rect(at, 8, 9, 9, colour)
            drawing.text(at + 13, 17, name, cap=30)
            at += 28 + 7 * min(len(name), 30)
    scale.label(drawing, HEIGHT - 16)
    title = html.unescape(str(spec["layout"].get("yaxis", {}).get("title", {}).get("text", "")))
    drawing.text(LEFT, HEIGHT - 2, title, size=10, cap=100)
    return Picture(drawing.svg("figure"), title)


def _numbers(
    trace: dict[str, Any],
) -> tuple[str, dict[str, Any], npt.NDArray[np.int64], npt.NDArray[np.float64]] | None:
    """Return name, trace, times (ns) and values of a trace of numbers over time on the first axes, else `None`."""
    x, y = trace.get("x"), trace.get("y")
    if trace.get("xaxis", "x") not in ("x", "x1") or not isinstance(x, np.ndarray) or x.dtype.kind != "M":
        return None
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "fiu":
        return None
    times, values = x.astype("datetime64[ns]").astype(np.int64)[-POINTS:], y.astype(np.float64)[-POINTS:]
    known = np.isfinite(values) & (times > 0)
    if not known.any():
        return None
    return html.unescape(str(trace.get("name", ""))), trace, times[known], values[known]


def _colour(trace: dict[str, Any]) -> str:
    for part in ("line", "marker"):
        colour = trace.get(part, {}).get("color")
        if isinstance(colour, str):
            return colour
    return INK
