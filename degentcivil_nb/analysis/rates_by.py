"""Rates by columns for which the store keeps no running counts."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from ..store.arguments import LongTime
from ..store.columns import Dictionary
from ..store.counters import Seconds, Tally
from ..store.derived_state import COUNTED
from ..store.interfaces import RunStore
from ..store.rates import rate_table
from ..store.schema import SECOND

OF_EVENTS: Final = ("event_type", "location")
OF_CALLS: Final = ("model", "prompt_type")
BY: Final = (*COUNTED, *OF_EVENTS, *OF_CALLS)


def rates_by(store: RunStore, every: LongTime, by: str, window: LongTime | None, newest: int | None) -> pd.DataFrame:
    """Count the events, or the calls of language models, in buckets of time by one of these columns."""
    if not isinstance(by, str) or by not in BY:
        raise ValueError(f"cannot count rates by {by!r:.80}; it must be one of {', '.join(BY)}")
    if by in COUNTED:
        return store.rates(every, by, window)
    frame = store.llm_calls() if by in OF_CALLS else store.events()
    told = frame[frame[by].notna().to_numpy()]
    codes, names = pd.factorize(told[by].astype("object"))
    words, tally = Dictionary(), Tally()
    for name in names:
        _ = words[str(name)]
    times = told["time"].to_numpy("M8[ns]").astype(np.int64)
    tally.add(Seconds(times), codes.astype(np.int64))
    return rate_table(tally.freeze(), words, every, by, window, None if newest is None else newest // SECOND)
