"""The places of the town that were listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from ..protocol.listed import identity_of
from .characters import json_column


class Places:
    """The last description of each place, identified by its `id`, else by its `name`."""

    def __init__(self) -> None:
        self._places: dict[str, dict[str, Any]] = {}

    def update(self, places: Iterable[Mapping[str, Any]], row: int) -> None:
        """Add a list of places that arrived with an event."""
        for place in places:
            identity = identity_of(place)
            if identity is not None:
                self._places[identity] = {**place, "row": row}

    def told(self) -> list[dict[str, Any]]:
        """Return the places as they were published, for a snapshot."""
        return [{name: value for name, value in place.items() if name != "row"} for place in self._places.values()]

    def items(self) -> list[tuple[str, dict[str, Any]]]:
        """Return identities and places, for `restore`."""
        return list(self._places.items())

    def restore(self, places: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Replace all places by the given ones."""
        self._places = dict(places)

    def copy(self) -> list[dict[str, Any]]:
        """Copy the places."""
        return [place.copy() for place in self._places.values()]


def place_table(places: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the frame of `places()`: each place as it was sent, and the `row` that described it last."""
    first = ("id", "name", "description", "instruction", "jobs")
    if not places:
        return pd.DataFrame({name: pd.Series(dtype="object" if name == "jobs" else "str") for name in (*first, "row")})
    rest = dict.fromkeys(name for place in places for name in place if name not in first and name != "row")
    names = [name for name in first if any(name in place for place in places)]
    return pd.DataFrame({name: json_column([place.get(name) for place in places]) for name in [*names, *rest, "row"]})
