"""How surprising a count is. All surprises are -log10 of a probability: 6 means one in a million."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def binomial_surprise(hits: int, trials: int, rate: float) -> float:
    """Return the surprise of at least `hits` hits, by the Chernoff bound (never too large a surprise)."""
    if trials == 0 or hits <= trials * rate:
        return 0.0
    rate = min(max(rate, 1e-9), 1 - 1e-9)
    share = hits / trials
    rest = 0.0 if hits == trials else (1 - share) * math.log((1 - share) / (1 - rate))
    return trials * (share * math.log(share / rate) + rest) / math.log(10)


def poisson_surprise(count: int, expected: float) -> float:
    """Return the surprise of at least `count` events if `expected` are expected, by the Chernoff bound."""
    expected = max(expected, 1e-9)
    if count <= expected:
        return 0.0
    return (count * math.log(count / expected) - count + expected) / math.log(10)


OVER: Final = 2.0
"""How many times as long something that is over must have been, compared with something that still goes on."""
FEW: Final = 20
"""With fewer values the largest one is the usual large value; with more, it is the 95 % quantile."""


def usual(values: Floats) -> float:
    """Return the usual large value, which few values exceed."""
    return float(values.max() if len(values) < FEW else np.quantile(values, 0.95))


def groups_of(keys: Sequence[Any] | npt.NDArray[Any]) -> Iterator[tuple[Any, npt.NDArray[np.intp]]]:
    """Yield each key with its indices, in the order of first appearance; null keys are left out."""
    places: dict[Any, list[int]] = {}
    for at, key in enumerate(keys):
        if key is not None and key == key:
            places.setdefault(key, []).append(at)
    for key, found in places.items():
        yield key, np.array(found, np.intp)


class Outlier(NamedTuple):
    """A length that is far above the others of its kind, and the usual large one of those."""

    at: int
    limit: float


def outliers(lengths: Floats, kinds: npt.NDArray[np.intp], done: npt.NDArray[np.bool_], factor: float) -> list[Outlier]:
    """List the lengths far above the usual large one of their kind, of which at least three others must be done."""
    found = []
    order = np.argsort(kinds, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1):
        whole = np.sort(lengths[group[done[group]]])
        if len(whole) < 3:
            continue
        rank = len(whole) - 2 if len(whole) <= FEW else int(0.95 * (len(whole) - 2))
        least = whole[rank]  # whichever length is left out, the usual large one of the others is not below this
        for at in group[lengths[group] > factor * least].tolist():
            others = np.delete(whole, np.searchsorted(whole, lengths[at])) if done[at] else whole
            if len(others) >= 3 and lengths[at] > factor * usual(others):
                found.append(Outlier(at, usual(others)))
    return sorted(found)
