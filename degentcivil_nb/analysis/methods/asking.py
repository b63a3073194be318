"""The common part of all questions about a run: its store, and the moment from which durations count back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...store.arguments import Moment, moment_ns
from ...store.interfaces import RunStore


class Asking:
    """The store of a run, for the questions about it."""

    _store: RunStore

    @staticmethod
    def _still(spec: dict[str, Any]) -> str | None:
        """Draw a figure's plain data as SVG, for who shows no plotly; `None` where there is no such drawing."""
        return None

    @property
    def _newest(self) -> int | None:
        """Return the time of the newest event in nanoseconds, from which durations count back."""
        newest = self._store.events(last=1)["time"].to_numpy("M8[ns]").astype(np.int64)
        return int(newest[0]) if len(newest) else None

    def _moment(self, moment: Moment) -> pd.Timestamp:
        return pd.Timestamp(moment_ns(moment, self._newest), unit="ns", tz="UTC")
