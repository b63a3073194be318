"""Errors of a kind that did not occur before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from ..message_kinds import message_kind
from .evidence import Evidence
from .finding import Finding

KIND: Final = "new_error"


def new_error(evidence: Evidence, *, least: int = 2, surprise: float = 2.0, warm_up: float = 0.1) -> Iterator[Finding]:
    """Find codes and texts that begin in the middle of a run, and are too frequent to be an old but rare error.

    Parameters
    ----------
    evidence : Evidence
        The run.
    least : int
        The least number of errors of the kind.
    surprise : float
        How unlikely it must be that an error as frequent did not occur earlier, as -log10 of the probability.
    warm_up : float
        Share of the run, at its beginning, in which every error counts as new and none is reported.
    """
    errors = evidence.errors
    if not len(errors):
        return
    start, span = evidence.clock.start, evidence.now - evidence.clock.start
    names = set(evidence.names("character_id"))
    messages = errors["message"].cat.categories.tolist()
    kinds = [message_kind(message, names) for message in (*messages, None)]
    known: dict[str, int] = {}
    numbers = np.array([known.setdefault(kind, len(known)) for kind in kinds])[errors["message"].cat.codes]
    codes, _ = pd.factorize(errors["code"])
    moments = errors["moment"].to_numpy(float)
    at, pairs = pd.factorize((codes.astype(np.int64) + 1) * len(known) + numbers)
    for places in np.split(np.argsort(at, kind="stable"), np.cumsum(np.bincount(at))[:-1]):
        first = float(moments[places[0]])
        if len(places) < least or span <= 0 or first - start <= warm_up * span:
            continue
        left = max((evidence.now - first) / span, 1e-9)
        if -len(places) * math.log10(left) - math.log10(len(pairs)) < surprise:
            continue
        rows = errors.index[places].tolist()
        owners = errors["character_id"].iloc[places].dropna().unique().tolist()
        message, code = str(errors["message"].iloc[places[0]]), errors["code"].iloc[places[0]]
        code = None if code is pd.NA else code
        text = f"New since {_when(evidence, first)}: {len(places):,} errors {code}: {message[:200]}"
        owner = owners[0] if len(owners) == 1 else None
        subject = f"{code} {kinds[errors['message'].cat.codes.iloc[places[0]]]}"
        yield evidence.found(KIND, "warning", text, rows, character_id=owner, subject=subject)


def _when(evidence: Evidence, moment: float) -> str:
    return f"tick {moment:,.0f}" if evidence.has_ticks else f"second {moment:,.0f} of the run"
