"""Characters that send the model the same prompt again and again."""

from __future__ import annotations

import math
from collections.abc import Iterator
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
    prompts, asks = calls["prompt"].to_numpy(), ~calls["no_prompt"].to_numpy()
    owners = calls["character_id"].cat.codes.to_numpy()
    kinds = calls["prompt_type"].cat.codes.to_numpy()
    keys = np.where(owners >= 0, owners.astype(np.int64) * (kinds.max() + 2) + kinds + 1, -1)
    again = np.zeros(len(calls), np.bool_)
    asked = np.zeros(len(calls), np.bool_)
    groups = [places for key, places in groups_of(keys) if key >= 0]
    for places in groups:
        asked[places[1:]] = True
        again[places[1:]] = asks[places[1:]] & asks[places[:-1]] & (prompts[places[1:]] == prompts[places[:-1]])
    chances = math.log10(max(1, len(calls)))
    size = len(calls["character_id"].cat.categories) + 1
    all_asked = np.bincount(owners[asked], minlength=size)
    all_again = np.bincount(owners[asked & again], minlength=size)
    for places in groups:
        code, kind = int(owners[places[0]]), calls["prompt_type"].iloc[places[0]]
        who = calls["character_id"].iloc[places[0]]
        kind = kind if isinstance(kind, str) else ""
        share = (all_again.sum() - all_again[code] + 1) / (all_asked.sum() - all_asked[code] + 10)
        for run in _runs(places.tolist(), again):
            if len(run) < least or -(len(run) - 1) * math.log10(share) - chances < surprise:
                continue
            rows = calls.index[run].tolist()
            goes_on = run[-1] == places[-1]
            until = None if goes_on else evidence.clock.time_of(rows[-1])
            name = f"{kind} prompt" if kind else "prompt"
            text = f"{who} {'sends' if goes_on else 'sent'} the same {name} {len(rows)} times in a row"
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
