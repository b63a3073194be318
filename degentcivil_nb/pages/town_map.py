"""The map of a town at a moment, as our own drawing."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from ..core.counting import counted
from ..figures.colours import state_colour
from ..figures.map_layout import placed
from ..figures.parts import texts
from .drawing import INK, Drawing
from .parts import Picture

WIDTH: Final = 960
HEIGHT: Final = 520
MARGIN: Final = 50
MOST: Final = 5_000
STATES: Final = 12
"""The most states of the legend; the rest are named in the tooltips."""


def town_map(characters: pd.DataFrame, places: pd.DataFrame) -> Picture | None:
    """Draw every character at its `x` and `y`, or around its place; return `None` if no position is known."""
    shown = characters.iloc[:MOST]
    x, y, spots = placed(shown, places)
    known = ~(np.isnan(x) | np.isnan(y))
    if not known.any() and not spots:
        return None
    points = np.concatenate([np.column_stack([x[known], y[known]]), np.array(list(spots.values())).reshape(-1, 2)])
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.maximum(high - low, 1e-9)
    top = MARGIN + 22
    scale = min((WIDTH - 2 * MARGIN) / span[0], (HEIGHT - top - MARGIN) / span[1])
    middle = (low + high) / 2

    def at(px: float, py: float) -> tuple[float, float]:
        return WIDTH / 2 + (px - middle[0]) * scale, (top + HEIGHT - MARGIN) / 2 - (py - middle[1]) * scale

    drawing, taken = Drawing(WIDTH, HEIGHT), set[tuple[int, int]]()
    for name, (px, py) in spots.items():
        sx, sy = at(px, py)
        drawing.rect(sx - 8, sy - 8, 16, 16, "none", name, INK)
        if _is_free(taken, sx - 40, sy + 21, name):
            drawing.text(sx, sy + 21, name, anchor="middle", cap=24)
    states, where = texts(shown, "state"), texts(shown, "location", "an unknown place")
    names = [str(name) for name in shown.index]
    spotted = [(place, *at(x[place], y[place])) for place in np.flatnonzero(known).tolist()]
    for place, sx, sy in spotted:
        tip = f"{names[place]}: {states[place]} in {where[place]}"
        drawing.dot(sx, sy, 4, state_colour(states[place]), tip)
    for place, sx, sy in spotted:  # names last, over all dots, where no other name is
        if _is_free(taken, sx + 6, sy + 4, names[place]):
            drawing.text(sx + 6, sy + 4, names[place], size=10, cap=20)
    counts = pd.Series([states[place] for place, _, _ in spotted], dtype=object).value_counts()
    _legend(drawing, counts)
    missing, beyond = len(shown) - int(known.sum()), len(characters) - len(shown)
    hidden = f"; {counted(missing, 'more character')} not drawn, whose place is not known" if missing else ""
    hidden += f"; {counted(beyond, 'more character')} not drawn, since there are too many" if beyond else ""
    return Picture(drawing.svg("map"), f"{counted(int(known.sum()), 'character')} on the map{hidden}")


def _is_free(taken: set[tuple[int, int]], x: float, y: float, text: str) -> bool:
    """Reserve the area of a label; return False if another label has it."""
    cells = {(int(x // 14) + step, int(y // 12)) for step in range(1 + min(len(text), 20) * 6 // 14)}
    if taken & cells:
        return False
    taken |= cells
    return True


def _legend(drawing: Drawing, counts: pd.Series) -> None:
    x = 12.0
    for number, (state, count) in enumerate(counts.items()):
        label = f"{str(state)[:14]} {count}"
        if number == STATES or x + 7 * len(label) + 60 > WIDTH:
            drawing.text(x, 20, f"and {counted(len(counts) - number, 'more state')}")
            return
        drawing.dot(x, 16, 5, state_colour(str(state)))
        drawing.text(x + 9, 20, label)
        x += 28 + 7 * len(label)
