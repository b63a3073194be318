"""Characters, kinds of prompts and models that cost a multiple of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from .calls import Places, about_group, name_of_group
from .evidence import Evidence, Mask
from .finding import Finding
from .statistics import Floats, groups_of

KIND: Final = "dear"
FACTORS: Final = {"character_id": 1.0, "prompt_type": 2.5, "model": 2.5}
"""The multiple of `factor` for each grouping: kinds of prompts and models differ by nature, characters do not."""


def dear(evidence: Evidence, *, factor: float = 4.0, least: int = 5) -> Iterator[Finding]:
    """Find characters, kinds of prompts and models that cost a multiple of the others.

    Parameters
    ----------
    evidence : Evidence
        The run.
    factor : float
        How many times the others' median a character must spend in all; a kind of prompt or a model must cost 2.5
        times that in each call, as must a character in its newest twelve calls.
    least : int
        The least number of calls.
    """
    calls = evidence.calls
    cost, what, form = _price(calls)
    if cost is None:
        return
    told = np.zeros(len(calls), np.bool_)
    for column, more in FACTORS.items():
        groups = list(groups_of(calls[column]))
        groups = [(value, places[~np.isnan(cost[places])]) for value, places in groups]
        groups = [(value, places) for value, places in groups if len(places) >= least]
        of_all = column == "character_id"
        sizes = np.array([cost[places].sum() if of_all else cost[places].mean() for _, places in groups])
        for at, (value, places) in enumerate(groups):
            others = np.delete(sizes, at)
            if len(others) < 2 or sizes[at] <= factor * more * max(float(np.median(others)), 1e-12):
                continue
            if sizes[at] <= 2 * float(others.max()) or told[places].all():
                continue  # the others spread as far, or it is reported already
            told[places] = True
            rows = calls.index[places[np.argsort(-cost[places], kind="stable")]].tolist()
            each = "in all" if of_all else "a call"
            text = (
                f"{name_of_group(column, value).capitalize() if column != 'character_id' else value} costs "
                f"{form.format(sizes[at])} {what} {each}, {sizes[at] / max(float(np.median(others)), 1e-12):.1f} times "
                f"the median of the others ({form.format(float(np.median(others)))})"
            )
            found = about_group(evidence, KIND, "info", text, column, value, rows)
            since, tick = _began(evidence, places, cost, factor, of_all)
            yield replace(found, since=since, since_tick=tick)
    yield from _became_dear(evidence, cost, told, factor, least, (what, form))


LATELY: Final = 12
"""Of a character's newest calls so many say what it costs now."""
FAR: Final = 2.5
"""What `factor` is multiplied by for these: few calls vary more than all."""


SELDOM: Final = 0.05
"""In a smaller share of the stretches before, calls may have cost as much: what comes again and again is usual."""


def _became_dear(
    evidence: Evidence, cost: Floats, told: Mask, factor: float, least: int, words: tuple[str, str]
) -> Iterator[Finding]:
    """Find characters whose newest calls cost a multiple of the others' calls, though all of the run do not yet."""
    groups = list(_lately(evidence, ~np.isnan(cost), least))
    stretches = [_stretches(cost[places]) for _, places in groups]
    lately = np.array([costs[0] for costs in stretches])
    for at, (value, places) in enumerate(groups):
        others = np.delete(lately, at)
        if len(others) < 2 or told[places[-LATELY:]].all():
            continue
        usual = max(float(np.median(others)), 1e-12)
        far = FAR * factor * usual
        if lately[at] > far and lately[at] > 2 * float(others.max()) and _is_new(stretches, at, far):
            what, form = words
            text = (
                f"{value} costs {form.format(lately[at])} {what} a call lately, {lately[at] / usual:.1f} times the "
                f"median of the others ({form.format(usual)})"
            )
            since, tick = _began(evidence, places, cost, FAR * factor, of_all=True)
            rows = evidence.calls.index[places[-LATELY:]].tolist()
            found = about_group(evidence, KIND, "info", text, "character_id", value, rows)
            yield replace(found, since=since, since_tick=tick)


def _lately(evidence: Evidence, known: Mask, least: int) -> Iterator[tuple[str, Places]]:
    """Yield the characters whose newest calls are recent, each with its calls.

    Old calls are not compared: if all calls were dear once, those of a character that left then are not dear.
    """
    groups = [(value, places[known[places]]) for value, places in groups_of(evidence.calls["character_id"])]
    groups = [(value, places) for value, places in groups if len(places) >= max(least, LATELY)]
    newest = max((int(places[-1]) for _, places in groups), default=0)
    for value, places in groups:
        if newest - int(places[-1]) <= max(places[-1] - places[-LATELY], LATELY * len(groups)):
            yield value, places


def _stretches(cost: Floats) -> Floats:
    """Return the median costs of each `LATELY` calls one after the other, those of the newest calls first."""
    whole: Floats = np.median(cost[len(cost) % LATELY :].reshape(-1, LATELY), axis=1)[::-1]
    return whole


def _is_new(stretches: list[Floats], at: int, far: float) -> bool:
    """Tell whether neither the character nor the others had calls that were as dear before it became so."""
    dear = stretches[at] > far
    began = len(dear) if dear.all() else int(np.argmin(dear))
    before, others = dear[began:], np.concatenate(stretches[:at] + stretches[at + 1 :]) > far
    return all(not len(one) or float(one.mean()) < SELDOM for one in (before, others))


def _began(evidence: Evidence, places: Places, cost: Floats, factor: float, of_all: bool) -> tuple[int, int | None]:
    """Tell since when it is dear: since its first call that costs a multiple of the others' calls, or since its first.

    A kind of prompt or a model is dear by nature, from its first call on.
    """
    others = np.delete(cost, places)
    far = places[cost[places] > factor * float(np.nanmedian(others))] if of_all and len(others) else places[:1]
    first = int(evidence.calls.index[int((far if len(far) else places)[0])])
    return evidence.clock.time_of(first), evidence.clock.tick_of(first)


def _price(calls: pd.DataFrame) -> tuple[np.ndarray | None, str, str]:
    """Return each call's price in US dollars, or in tokens if no cost is known."""
    if not len(calls):
        return None, "", ""
    cost = calls["cost_usd"].to_numpy(float, na_value=np.nan)
    if not np.isnan(cost).all() and np.nansum(cost) > 0:
        return cost, "US$", "{:,.4g}"
    tokens = calls["prompt_tokens"].to_numpy(float, na_value=np.nan)
    more = calls["completion_tokens"].to_numpy(float, na_value=np.nan)
    total = np.where(np.isnan(tokens) & np.isnan(more), np.nan, np.nan_to_num(tokens) + np.nan_to_num(more))
    return (None, "", "") if np.isnan(total).all() else (total, "tokens", "{:,.0f}")
