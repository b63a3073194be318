"""How surprising a count is. All surprises are -log10 of a probability: 6 means one in a million."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


def binomial_surprise(hits: int, trials: int, rate: float) -> float:
    """Return the surprise of at least `hits` hits, by the Chernoff bound (never too large a surprise)."""
    if trials == 0 or hits <= trials * rate:
        return 0.0
    rate = min(max(rate, 1e-9), 1 - 1e-9)
    share = hits / trials
    rest = 0.0 if hits == trials else (1 - share) * math.log((1 - share) / (1 - rate))
    return trials * (share * math.log(share / rate) + rest) / math.log(10)


def two_shares_surprise(hits: int, trials: int, other_hits: int, other_trials: int) -> float:
    """Return the surprise of a share that is so much above another one, neither of which is known: Fisher's test.

    Of many hits the likelihoods are compared, which comes close. With no other trials there is nothing to compare
    with, and the surprise is unlimited.
    """
    if not other_trials:
        return math.inf
    if hits * other_trials <= other_hits * trials:
        return 0.0
    if hits + other_hits > EXACT_UP_TO:
        return _by_likelihoods(hits, trials, other_hits, other_trials)
    every, total = trials + other_trials, hits + other_hits
    fewest = max(hits, total - other_trials)
    first = _log_choices(trials, fewest) + _log_choices(other_trials, total - fewest) - _log_choices(every, total)
    share = term = 1.0
    for count in range(fewest, min(trials, total)):
        term *= (trials - count) * (total - count) / ((count + 1) * (other_trials - total + count + 1))
        share += term
    return max(0.0, -(first + math.log(share)) / math.log(10))


EXACT_UP_TO: Final = 400
"""Of so many hits the exact chance is added up; of more that takes long, and likelihoods give at most 1.5 less."""


def _log_choices(of: int, count: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)


def _by_likelihoods(hits: int, trials: int, other_hits: int, other_trials: int) -> float:
    pooled = (hits + other_hits) / (trials + other_trials)
    both = ((hits, trials), (other_hits, other_trials))
    parts = [(count, count / of, pooled) for count, of in both] + [
        (of - count, 1 - count / of, 1 - pooled) for count, of in both
    ]
    return sum(count * math.log(share / known) for count, share, known in parts if count) / math.log(10)


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


def usual_of(values: Floats, counts: npt.NDArray[np.int64]) -> float:
    """Give a value that few exceed, of ascending values that are there so often."""
    size = int(counts.sum())
    if size < FEW:
        return float(values[-1])
    place = 0.95 * (size - 1)
    ends = np.cumsum(counts)
    low, high = values[np.searchsorted(ends, [int(place), min(int(place) + 1, size - 1)], "right")]
    return float(np.quantile([low, high], place - int(place)))


def groups_of(keys: Any) -> Iterator[tuple[Any, npt.NDArray[np.intp]]]:
    """Yield each key with its indices, in the order of first appearance; null keys are left out."""
    codes, known = pd.factorize(keys)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(known) + 1))
    for code, key in enumerate(list(known)):
        yield key, order[bounds[code] : bounds[code + 1]]


MANY: Final = 300
"""Of fewer values the tail is not known well enough to be continued."""
TOP: Final = 10
"""So many of the largest values may be faults themselves, and do not say how long the tail is."""
STEEPEST: Final = 3.0
"""A tail grows by at most so many times as much in a decade of chances as in the one before."""


def farthest(count: int, ranked: Callable[[int], float]) -> float:
    """Give a value that none of so many should exceed, by how their tail grows; 0 for few of them.

    `ranked` gives the value of a rank, from the smallest on. From one decade of chances to the next an exponential tail
    grows by the same, a heavy one by a multiple: cells of the game of life rest for 2 steps or for 200, because its
    rule says so. The last two decades below the largest ten values say which it is; that is continued for two more, to
    a chance of one in ten that any of them is as large.
    """
    if count < MANY:
        return 0.0
    last, before = ranked(count - TOP), ranked(count - 10 * TOP)
    many = count > 100 * TOP
    first, decades = (ranked(count - 100 * TOP), 1.0) if many else (ranked(0), math.log10(count / (10 * TOP)))
    grows, grew = last - before, (before - first) / decades
    ratio = min(max(grows / grew, 1.0), STEEPEST) if grew > 0 else STEEPEST
    return last + grows * (ratio + ratio**2)


class Outlier(NamedTuple):
    """A length that is far above the others of its kind, and the usual large one of those."""

    at: int
    limit: float
