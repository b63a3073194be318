"""The figure of two runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from .parts import GAP, PALETTE, Spec, axis, empty, footnote, layout
from .plotly_text import distinct_texts

MOST_MARKS: Final = 50
"""How many interventions are marked."""
MOST_BUCKETS: Final = 400
MOST_CHARACTERS: Final = 30
MARK: Final = "#d3544f"


def comparison(
    per_tick: pd.DataFrame,
    differing: pd.DataFrame,
    divergence: int | None,
    interventions: Sequence[int],
    names: tuple[str, str],
) -> Spec:
    """Draw the events per tick of both runs, the characters that differ, the first difference, and interventions."""
    if not len(per_tick):
        return empty("Nothing to draw: the two runs have no ticks.")
    ticks = per_tick.index.to_numpy(np.int64)
    width = max(1, -(-int(ticks[-1] - ticks[0] + 1) // MOST_BUCKETS))
    buckets, starts = np.unique((ticks - ticks[0]) // width, return_index=True)
    x = ticks[0] + buckets * width
    traces: list[Spec] = []
    lines = distinct_texts([f"a: {names[0]}", f"b: {names[1]}"], 60)
    for run, name, colour, dash in zip("ab", lines, PALETTE, ("solid", "dot"), strict=False):
        values = np.add.reduceat(per_tick[run].to_numpy(np.int64), starts)
        line = {"color": colour, "dash": dash}
        traces.append({"type": "scatter", "mode": "lines", "name": name, "x": x, "y": values, "line": line})
    who, left_out = _shown(differing)
    if who:
        traces.append(_heat(differing, who, int(ticks[0]), width, x))
    marked = list(dict.fromkeys(interventions))
    shapes = [_mark(tick, "dot") for tick in marked[:MOST_MARKS]]
    few = [f"{left_out:,} more characters differ"] if left_out else []
    if len(marked) > MOST_MARKS:
        few.append(f"the first {MOST_MARKS:,} of {len(marked):,} ticks with interventions are marked")
    notes: list[Spec] = [footnote("; ".join(few))] if few else []
    if divergence is not None:
        shapes.append(_mark(divergence, "solid"))
        beside = "right" if divergence > x[len(x) // 2] else "left"  # of the line, where there is more room
        note = {"x": divergence, "y": 1, "yref": "paper", "text": " first difference ", "showarrow": False}
        notes.append({**note, "xanchor": beside})
    each = "events each tick" if width == 1 else f"events each {width:,} ticks"
    axes = {
        "xaxis": axis("tick", anchor="y2" if who else "y"),
        "yaxis": axis(each, rangemode="tozero", domain=[0.55, 1] if who else [0, 1]),
    }
    if who:
        axes["yaxis2"] = axis("character", type="category", domain=[0, 0.45], autorange="reversed", showgrid=False)
    height = 340 + 18 * len(who)
    return {"data": traces, "layout": layout(**axes, height=height, shapes=shapes, annotations=notes)}


def _shown(differing: pd.DataFrame) -> tuple[list[str], int]:
    """Return the characters that differ, in the order in which they begin to, and how many more there are."""
    names = [name for name in differing["character_id"].dropna().tolist() if isinstance(name, str)]
    found = list(dict.fromkeys(names))
    return found[:MOST_CHARACTERS], max(0, len(found) - MOST_CHARACTERS)


def _heat(differing: pd.DataFrame, who: Sequence[str], first: int, width: int, x: npt.NDArray[np.int64]) -> Spec:
    """Count the differing events of each character in each bucket."""
    mine = differing[differing["character_id"].isin(who).to_numpy() & (differing["tick"] >= first).to_numpy()]
    rows = pd.Index(list(who), dtype="object").get_indexer(pd.Index(mine["character_id"], dtype="object"))
    columns = np.searchsorted(x, first + (mine["tick"].to_numpy(np.int64) - first) // width * width)
    z = np.zeros((len(who), len(x)))
    np.add.at(z, (rows, np.clip(columns, 0, len(x) - 1)), 1)
    return {
        "type": "heatmap",
        "x": x,
        "y": distinct_texts(who, 24),
        "yaxis": "y2",
        "z": np.where(z > 0, z, np.nan),
        "colorscale": [[0, "rgba(211,84,79,0.35)"], [1, MARK]],
        "showscale": False,
        "hoverongaps": False,
        "hovertemplate": "%{y}, tick %{x}<br>%{z:,} events differ<extra></extra>",
    }


def _mark(tick: int, dash: str) -> Spec:
    place = {"x0": tick, "x1": tick, "y0": 0, "y1": 1, "yref": "paper"}
    return {"type": "line", **place, "line": {"color": MARK if dash == "solid" else GAP, "dash": dash, "width": 2}}
