"""Models that answer far slower than before, or than the other models."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from .calls import about_group
from .evidence import Evidence
from .finding import Finding
from .statistics import Floats, binomial_surprise, groups_of

KIND: Final = "slow_model"


def slow_model(evidence: Evidence, *, factor: float = 3.0, least: int = 5, stretch: int = 12) -> Iterator[Finding]:
    """Find stretches of a model's calls that are far slower than its other calls, and models slower than the others.

    Parameters
    ----------
    evidence : Evidence
        The run.
    factor : float
        How many times the median latency of the model's other calls; against other models it must be twice that.
    least : int
        The least number of slow calls.
    stretch : int
        How many calls form a stretch; of a model with few calls a quarter of them, and at least `least`.
    """
    calls = evidence.calls
    if not len(calls):
        return
    latency = calls["latency_s"].to_numpy(float, na_value=np.nan)
    known = ~np.isnan(latency)
    groups = list(groups_of(calls["model"].where(known)))
    for model, places in groups:
        took = latency[places]
        rest = latency[known & (calls["model"] != model).to_numpy(bool)]
        if len(rest) >= least and len(took) >= least and np.median(took) > 2 * factor * np.median(rest):
            text = f"Model {model} takes {np.median(took):.3g} s for an answer; the others take {np.median(rest):.3g} s"
            yield about_group(evidence, KIND, "warning", text, "model", model, calls.index[places].tolist())
            continue
        yield from _stretches(evidence, model, places, took, factor, least, stretch)


SURPRISE: Final = 4.0
"""How unlikely so many slow calls in a stretch must be by those outside of it, as -log10 of the probability."""


SHORT: Final = 5.0
"""How unlikely it must be in a shortened stretch: a few calls are slow by chance more often."""


def _surprises(took: Floats, slow: int, of: int, limit: float, wanted: float) -> bool:
    """Whether more calls are slow than a model shows whose answers take now a second and now a minute."""
    calm = min(np.array_split(took, 3), key=lambda third: float((third > limit).mean()))
    share = (int((calm > limit).sum()) + 1) / (len(calm) + 20)
    return binomial_surprise(slow, of, share) - math.log10(len(took)) >= wanted


def _stretches(
    evidence: Evidence, model: str, places: npt.NDArray[np.intp], took: Floats, factor: float, least: int, stretch: int
) -> Iterator[Finding]:
    wanted = SURPRISE if len(took) >= 4 * stretch else SHORT
    stretch = min(stretch, max(least, len(took) // 4))
    if len(took) < 2 * stretch:
        return
    usually = min(float(np.median(third)) for third in np.array_split(took, 3))  # the model may be slow mostly
    windows = np.lib.stride_tricks.sliding_window_view(took, stretch)
    lows = np.quantile(windows, 0.3, axis=1)  # most of the window is slow, not one call of it
    slow = np.zeros(len(took), np.bool_)
    for start in np.flatnonzero(lows > factor * usually).tolist():
        slow[start : start + stretch] = True
    looked_at = int(slow.sum())
    slow &= took > factor * usually
    if int(slow.sum()) < least or not _surprises(took, int(slow.sum()), looked_at, factor * usually, wanted):
        return
    at = places[slow]
    rows = evidence.calls.index[at].tolist()
    goes_on = bool(slow[-stretch:].any())
    until = None if goes_on else evidence.clock.time_of(rows[-1])
    verb = "takes" if goes_on else "took"
    text = (
        f"Model {model} {verb} {np.median(took[slow]):.3g} s for an answer in {len(rows):,} calls; "
        f"usually it takes {usually:.3g} s"
    )
    yield about_group(evidence, KIND, "warning", text, "model", model, rows, until)
