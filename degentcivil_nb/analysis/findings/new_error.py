"""Errors of a kind that did not occur before."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from .evidence import Evidence
from .finding import Finding
from .statistics import groups_of

KIND: Final = "new_error"
_VARIES: Final = re.compile(r"0x[0-9a-fA-F]+|\d+|'[^']*'|\"[^\"]*\"")


def new_error(evidence: Evidence, *, least: int = 2, surprise: float = 3.0, warm_up: float = 0.1) -> Iterator[Finding]:
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
    start, span = float(evidence.moments[0]), evidence.now - float(evidence.moments[0])
    names = list(map(str, evidence.events["character_id"].cat.categories))
    kinds = [
        (code, message_kind(message, names))
        for code, message in zip(errors["code"].tolist(), errors["message"].astype(object).tolist(), strict=True)
    ]
    moments = errors["moment"].to_numpy(float)
    groups = list(groups_of([(None if code is None or code != code else code, text) for code, text in kinds]))
    for (code, _), places in groups:
        first = float(moments[places[0]])
        if len(places) < least or span <= 0 or first - start <= warm_up * span:
            continue
        left = max((evidence.now - first) / span, 1e-9)
        if -len(places) * math.log10(left) - math.log10(len(groups)) < surprise:
            continue
        rows = errors.index[places].tolist()
        owners = errors["character_id"].iloc[places].dropna().unique().tolist()
        message = str(errors["message"].iloc[places[0]])
        text = f"New since {_when(evidence, first)}: {len(places):,} errors {code}: {message[:200]}"
        owner = owners[0] if len(owners) == 1 else None
        yield evidence.found(KIND, "warning", text, rows, character_id=owner, subject=f"{code} {kinds[places[0]][1]}")


def message_kind(message: Any, names: list[str]) -> str:
    """Return a message without the parts that vary: numbers, quoted words and the names of characters."""
    text = _VARIES.sub("#", str(message))
    known = set(names)
    return " ".join("#" if word.strip(".,:;!?()") in known else word for word in text.split())


def _when(evidence: Evidence, moment: float) -> str:
    return f"tick {moment:,.0f}" if evidence.has_ticks else f"second {moment:,.0f} of the run"
