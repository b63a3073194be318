"""Where places are on a map: at their coordinates, or, where they have none, on a ring."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .parts import column, texts


def spots_of(places: pd.DataFrame | None) -> dict[str, tuple[float, float]]:
    """Return the coordinates of places by name; places without any are put on a ring in their order."""
    if places is None or not len(places):
        return {}
    x, y = column(places, "x"), column(places, "y")
    names = texts(places, "name" if "name" in places else "id")
    return {
        name: (float(at), float(up))
        for name, at, up in zip(names, x, y, strict=True)
        if not np.isnan(at) and not np.isnan(up)
    } or ring(list(dict.fromkeys(names)))


def ring(names: list[str]) -> dict[str, tuple[float, float]]:
    """Put names on a circle, evenly."""
    around = np.linspace(0, 2 * np.pi, len(names), endpoint=False)
    return {name: (10 * float(np.cos(at)), 10 * float(np.sin(at))) for name, at in zip(names, around, strict=True)}
