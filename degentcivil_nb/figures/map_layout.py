"""The positions of places and characters on a map: at their coordinates, or on a ring if they have none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from .parts import column, texts

Spots = dict[str, tuple[float, float]]
Doubles = npt.NDArray[np.float64]


def spots_of(places: pd.DataFrame | None) -> Spots:
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


def placed(characters: pd.DataFrame, places: pd.DataFrame | None) -> tuple[Doubles, Doubles, Spots]:
    """Return the positions of the characters, NaN if unknown, and those of the places."""
    spots = spots_of(places)
    x, y = column(characters, "x").copy(), column(characters, "y").copy()
    where = texts(characters, "location", "")
    if not spots and np.isnan(x).any():
        spots = ring(sorted({place for place in where if place}))
    x[~np.isfinite(x)] = y[~np.isfinite(y)] = np.nan
    crowd: dict[str, int] = {}
    for place in np.flatnonzero(np.isnan(x) | np.isnan(y)).tolist():
        spot = spots.get(where[place])
        if spot is not None:
            count = crowd[where[place]] = crowd.get(where[place], 0) + 1
            angle, distance = count * 2.4, spread(spots) * np.sqrt(count)  # a sunflower pattern, without overlaps
            x[place], y[place] = spot[0] + distance * np.cos(angle), spot[1] + distance * np.sin(angle)
    return x, y, spots


def ring(names: list[str]) -> Spots:
    """Put names on a circle, evenly."""
    around = np.linspace(0, 2 * np.pi, len(names), endpoint=False)
    return {name: (10 * float(np.cos(at)), 10 * float(np.sin(at))) for name, at in zip(names, around, strict=True)}


def spread(spots: Spots) -> float:
    """Return the distance of characters that share a place: a small part of the town's size."""
    points = np.array(list(spots.values()))
    return float(np.ptp(points, axis=0).max() or 10.0) / 60
