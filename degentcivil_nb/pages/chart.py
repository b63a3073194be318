"""A figure as our own drawing, for pages without a plotting library: lines, dots, bars, stays, counts and maps."""

from __future__ import annotations

import html
from typing import Any, Final

import numpy as np

from .axes import LANE, Axis, Floats, nanoseconds, title_of
from .drawing import BAR, DASHES, GAP, INK, Drawing
from .parts import Picture

WIDTH: Final = 960
LEFT, RIGHT, TOP, BELOW = 64, WIDTH - 10, 34, 50
HEIGHT: Final = 192
"""The height of an axis of numbers in pixels."""
PLANE: Final = 420
"""The height of a map."""
GAP_PX: Final = 26
POINTS: Final = 1_200
"""The most points of a trace; if there are more, the last ones are drawn."""
NAMES: Final = 140
"""The room to the left for names."""


def chart(spec: dict[str, Any]) -> Picture | None:
    """Draw a figure's plain data; `None` if it has none. What is left out is said below it, as in the figure."""
    filled = [trace for trace in spec["data"] if len(trace.get("z", trace.get("x", ())))]
    traces = [trace for trace in filled if trace.get("xaxis", "x") in ("x", "x1")]
    if not traces:
        return None
    elsewhere = [_key(trace) for trace in filled if trace.get("xaxis", "x") not in ("x", "x1")]
    others = {key: spec["layout"].get(key, {}) for key in elsewhere}
    figure = _Figure(spec["layout"], traces, [title for axis in others.values() if (title := title_of(axis))])
    return Picture(figure.draw(), figure.title)


def _key(trace: dict[str, Any]) -> str:
    return "yaxis" + str(trace.get("yaxis", "y"))[1:].removeprefix("1")


class _Band:
    """One of the axes of values that lie below each other, with what is drawn on it."""

    def __init__(self, layout: dict[str, Any], traces: list[dict[str, Any]]) -> None:
        self.traces = traces
        self.axis = Axis(layout, (trace.get("y") for trace in traces))
        self.height = LANE * len(self.axis.words) if self.axis.has_words else HEIGHT
        self.tops: dict[float, float] = {}
        self.bases: dict[int, Floats] = {}


class _Figure:
    """A figure while it is drawn."""

    def __init__(self, layout: dict[str, Any], traces: list[dict[str, Any]], others: list[str]) -> None:
        self._layout = layout
        self._left_out = self._unnamed = 0
        self._others = others
        traces = [self._last(trace) for trace in traces]
        self._is_plane = bool(layout.get("yaxis", {}).get("scaleanchor"))
        stays = any(trace.get("orientation") == "h" for trace in traces)
        self._x = Axis(layout.get("xaxis", {}), [trace.get("base", trace.get("x")) for trace in traces])
        self._x.fit([place for trace in traces for place in self._places(trace)])
        keys = sorted({_key(trace) for trace in traces}, key=lambda key: -layout.get(key, {}).get("domain", [0, 1])[1])
        self._bands = [_Band(layout.get(key, {}), [t for t in traces if _key(t) == key]) for key in keys]
        words = stays or any(band.axis.has_words for band in self._bands)
        self._left = NAMES if words else LEFT
        self._x.span(self._left, RIGHT)
        for band in self._bands:
            band.axis.fit([part for t in band.traces for part in self._heights(band, t)], from_zero=not self._is_plane)
        titles = [band.axis.title for band in self._bands if band.axis.title]
        self.title = title_of(layout) or ", ".join(titles)

    def _last(self, trace: dict[str, Any]) -> dict[str, Any]:
        """Return a trace with its last points only, if there are too many."""
        size = len(trace.get("y", ()))
        if trace["type"] == "heatmap" or size <= POINTS or trace.get("orientation") == "h":
            return trace
        self._left_out += size - POINTS
        return {
            key: value[-POINTS:] if isinstance(value, list | np.ndarray) and len(value) == size else value
            for key, value in trace.items()
        }

    def _places(self, trace: dict[str, Any]) -> list[Floats]:
        if trace.get("orientation") != "h":
            return [self._x.place(trace["x"])]
        starts = self._x.place(trace["base"])
        return [starts, starts + np.asarray(trace["x"], np.float64) * 1e6]  # stays last milliseconds

    def _heights(self, band: _Band, trace: dict[str, Any]) -> tuple[Floats, ...]:
        """Return the ends of a trace's values; bars of one moment are stacked if the figure says so."""
        y = band.axis.place(trace["y"])
        if trace["type"] != "bar" or trace.get("orientation") == "h" or self._layout.get("barmode") != "stack":
            return (y,)
        name = id(trace)
        if name not in band.bases:
            band.bases[name] = np.array([band.tops.get(x, 0.0) for x in self._x.place(trace["x"]).tolist()])
            rises = np.nan_to_num(y)
            band.tops |= zip(self._x.place(trace["x"]).tolist(), (band.bases[name] + rises).tolist(), strict=True)
        return band.bases[name], band.bases[name] + y

    def draw(self) -> str:
        heights = [PLANE if self._is_plane else band.height for band in self._bands]
        bottom = TOP + sum(heights) + GAP_PX * (len(heights) - 1)
        drawing = Drawing(WIDTH, bottom + BELOW)
        top = float(TOP)
        for band, height in zip(self._bands, heights, strict=True):
            band.axis.span(top + height, top)
            if self._is_plane:
                self._keep_shape(band.axis, height)
            band.axis.label_beside(drawing, self._left, RIGHT)
            self._shade(drawing, top, top + height)
            self._legend(drawing, band, top - 26)
            for trace in band.traces:
                self._trace(drawing, band, trace)
            top += height + GAP_PX
        self._x.label_below(drawing, bottom + 16)
        notes = [_plain(note.get("text", "")) for note in self._layout.get("annotations", ())]
        if self._left_out:
            notes.append(f"{self._left_out:,} earlier points are not drawn")
        if self._unnamed:
            notes.append(f"the legend has no room for {self._unnamed:,} more names")
        if self._others:
            notes.append(f"not drawn here: {', '.join(self._others)}")
        drawing.text(4, bottom + 32, self.title, size=10, cap=140)
        drawing.text(4, bottom + 45, "; ".join(note for note in notes if note), size=10, cap=160)
        return drawing.svg("figure")

    def _keep_shape(self, y: Axis, height: float) -> None:
        """Give both axes of a map the same unit."""
        units = max((self._x.high - self._x.low) / (RIGHT - self._left), (y.high - y.low) / height)
        for axis, pixels in ((self._x, RIGHT - self._left), (y, height)):
            middle, half = (axis.low + axis.high) / 2, units * pixels / 2 * 1.06
            axis.low, axis.high = middle - half, middle + half

    def _shade(self, drawing: Drawing, top: float, bottom: float) -> None:
        """Draw gaps, and lines at moments or ticks."""
        for shape in self._layout.get("shapes", ()):
            ends = [shape["x0"], shape["x1"]]
            start, end = nanoseconds(ends) if self._x.is_time else self._x.place(ends)
            if end < self._x.low or start > self._x.high:
                continue
            colour = shape.get("line", {}).get("color", INK)
            if shape["type"] == "line":
                drawing.line(self._x.at(start), top, self._x.at(start), bottom, colour, 1.6)
            else:
                left = self._x.at(start)
                drawing.rect(left, top, self._x.at(end) - left, bottom - top, GAP, tip="gap")

    def _legend(self, drawing: Drawing, band: _Band, y: float) -> None:
        at = float(self._left)
        for trace in band.traces:
            name = html.unescape(str(trace.get("name", "")))
            if not name or trace.get("showlegend") is False:
                continue
            if at + 7 * min(len(name), 30) + 20 > WIDTH:
                self._unnamed += 1
                continue
            if trace.get("line", {}).get("dash", "solid") in DASHES:
                drawing.path([(at, y + 5), (at + 11, y + 5)], _colour(trace), dash=trace["line"]["dash"])
            else:
                drawing.rect(at, y, 9, 9, _colour(trace))
            drawing.text(at + 13, y + 9, name, cap=30)
            at += 28 + 7 * min(len(name), 30)

    def _trace(self, drawing: Drawing, band: _Band, trace: dict[str, Any]) -> None:
        axis = band.axis
        if trace["type"] == "heatmap":
            self._counts(drawing, axis, trace)
        elif trace.get("orientation") == "h":
            self._stays(drawing, axis, trace)
        elif trace["type"] == "bar":
            *base, tops = self._heights(band, trace)
            for x, y, place in self._known(axis, trace):
                ends = (axis.at(base[0][place]), axis.at(tops[place])) if base else (axis.at(0.0), axis.at(y))
                drawing.rect(self._x.at(x) - 2, min(ends), 4, abs(ends[1] - ends[0]), _colour(trace))
        else:
            if "lines" in trace.get("mode", "lines"):
                self._lines(drawing, axis, trace)
            if "markers" in trace.get("mode", "lines"):
                self._dots(drawing, axis, trace)

    def _known(self, axis: Axis, trace: dict[str, Any]) -> list[tuple[float, float, int]]:
        """Return the points that have both coordinates, with their index."""
        x, y = self._x.place(trace["x"]), axis.place(trace["y"])
        at = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        return list(zip(x[at].tolist(), y[at].tolist(), at.tolist(), strict=True))

    def _lines(self, drawing: Drawing, axis: Axis, trace: dict[str, Any]) -> None:
        """Draw a line, broken where a value is missing."""
        known = self._known(axis, trace)
        line = trace.get("line", {})
        steps, dash = line.get("shape") == "hv", str(line.get("dash", "solid"))
        points: list[tuple[float, float]] = []
        last = -1
        for x, y, place in known:
            if points and place != last + 1 and not trace.get("connectgaps"):
                drawing.path(points, _colour(trace), steps=steps, dash=dash)
                points = []
            points.append((self._x.at(x), axis.at(y)))
            last = place
        if points:
            drawing.path(points, _colour(trace), steps=steps, dash=dash)

    def _dots(self, drawing: Drawing, axis: Axis, trace: dict[str, Any]) -> None:
        marker = trace.get("marker", {})
        colours, texts = marker.get("color"), trace.get("text")
        tips = trace.get("hovertext", texts)
        size, square = float(marker.get("size", 5)), str(marker.get("symbol", "")).startswith("square")
        for x, y, place in self._known(axis, trace):
            colour = colours[place] if isinstance(colours, list) else _colour(trace)
            tip = _plain(tips[place]) if isinstance(tips, list) else ""
            across, up = self._x.at(x), axis.at(y)
            if square:
                drawing.rect(across - size / 2, up - size / 2, size, size, "none", tip, outline=colour)
            else:
                drawing.dot(across, up, min(size, 10.0) / 2, colour, tip)
            if "text" in trace.get("mode", "") and isinstance(texts, list):
                drawing.text(across, up + 18, html.unescape(str(texts[place])), size=10, anchor="middle", cap=24)

    def _stays(self, drawing: Drawing, axis: Axis, trace: dict[str, Any]) -> None:
        starts, ends = self._places(trace)
        name = html.unescape(str(trace.get("name", "")))
        for start, end, lane in zip(starts.tolist(), ends.tolist(), axis.place(trace["y"]).tolist(), strict=True):
            left, middle = self._x.at(start), axis.at(lane)
            drawing.rect(left, middle - LANE * 0.4, self._x.at(end) - left, LANE * 0.8, _colour(trace), tip=name)

    def _counts(self, drawing: Drawing, axis: Axis, trace: dict[str, Any]) -> None:
        z = np.asarray(trace["z"], np.float64)
        most = (float(np.nanmax(z)) if np.isfinite(z).any() else 0.0) or 1.0
        across, down = self._x.place(trace["x"]), axis.place(trace["y"])
        width = self._x.step * (float(np.diff(across).min()) if len(across) > 1 else 1.0)
        for row, column in zip(*(index.tolist() for index in np.nonzero(np.isfinite(z))), strict=True):
            x, y, value = self._x.at(across[column]), axis.at(down[row]), z[row, column]
            left = x - width / 2 if self._x.has_words else x
            share = f"{64 + round(160 * value / most):02x}"
            tip = f"{html.unescape(str(trace['y'][row]))}, {html.unescape(str(trace['x'][column]))}: {value:,.10g}"
            drawing.rect(left, y - LANE / 2, max(width - 1, 1), LANE - 1, _colour(trace) + share, tip)
            if width >= 30 and self._x.has_words:
                drawing.text(x, y + 4, f"{value:,.10g}", size=10, anchor="middle", colour="currentColor", cap=9)


def _plain(text: Any) -> str:
    """Return a text of plotly's as plain text of one line."""
    return html.unescape(str(text).replace("<br>", "; "))


def _colour(trace: dict[str, Any]) -> str:
    if trace["type"] == "heatmap":
        end = str(trace.get("colorscale", [[1, BAR]])[-1][1])
        return end if len(end) == 7 else BAR
    for part in ("line", "marker"):
        colour = trace.get(part, {}).get("color")
        if isinstance(colour, str):
            return colour
    return INK
