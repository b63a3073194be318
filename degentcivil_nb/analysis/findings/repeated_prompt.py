"""Characters that send the model the same prompt again and again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from .evidence import Evidence
from .finding import Finding
from .statistics import groups_of

KIND: Final = "repeated_prompt"


def repeated_prompt(evidence: Evidence, *, least: int = 5, surprise: float = 4.0) -> Iterator[Finding]:
    """Find prompts that one character sent again and again although the others' prompts vary.

    Parameters
    ----------
    evidence : Evidence
        The run.
    least : int
        The least number of calls in a row with the same prompt, among the character's calls of that kind.
    surprise : float
        How unlikely the row must be, judged by the others' share of repeated prompts, as -log10 of the probability.
    """
    calls = evidence.calls
    if not len(calls):
        return
    prompts = [hash(str(prompt)) if prompt is not None and prompt == prompt else None for prompt in calls["prompt"]]
    owners = calls["character_id"].astype(object).tolist()
    kinds = calls["prompt_type"].astype(object).where(calls["prompt_type"].notna(), "").tolist()
    keys = [(who, kind) if isinstance(who, str) else None for who, kind in zip(owners, kinds, strict=True)]
    again = np.zeros(len(calls), np.bool_)
    asked = np.zeros(len(calls), np.bool_)
    groups = [(key, places.tolist()) for key, places in groups_of(keys)]
    for _, places in groups:
        for before, at in pairwise(places):
            asked[at] = True
            again[at] = prompts[at] is not None and prompts[at] == prompts[before]
    chances = math.log10(max(1, len(calls)))
    names = np.array(owners, object)
    for (who, kind), places in groups:
        others = asked & (names != who)
        share = (int(again[others].sum()) + 1) / (int(others.sum()) + 10)
        for run in _runs(places, again):
            if len(run) < least or -(len(run) - 1) * math.log10(share) - chances < surprise:
                continue
            rows = calls.index[run].tolist()
            goes_on = run[-1] == places[-1]
            until = None if goes_on else int(evidence.times[np.searchsorted(evidence.rows, rows[-1])])
            name = f"{kind} prompt" if kind else "prompt"
            text = f"{who} {'sends' if goes_on else 'sent'} the same {name} {len(rows)} times running"
            yield evidence.found(KIND, "warning", text, rows, until=until, character_id=who, subject=kind)


def _runs(places: list[int], again: np.ndarray) -> Iterator[list[int]]:
    run: list[int] = []
    for at in places:
        if again[at]:
            run.append(at)
        else:
            if len(run) > 1:
                yield run
            run = [at]
    if len(run) > 1:
        yield run
