"""Conversations of two that do not end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from .evidence import Evidence
from .finding import Finding
from .statistics import usual

KIND: Final = "ping_pong"
Codes = npt.NDArray[np.int64]


class _Talk(NamedTuple):
    pair: tuple[str, str]
    rows: list[int]
    moments: list[float]
    speakers: list[int]


def ping_pong(evidence: Evidence, *, least: int = 20, factor: float = 5.0, pause: float = 10.0) -> Iterator[Finding]:
    """Find conversations of two that are far longer than the others.

    Parameters
    ----------
    evidence : Evidence
        The run.
    least : int
        The least number of messages of a conversation that is reported.
    factor : float
        How many times as many messages as a usual long conversation (the 95 % quantile of the others).
    pause : float
        A conversation ends when it rests for so many times the usual time between two of its messages, or when one of
        the two talks to another character.
    """
    sizes, talks = _conversations(evidence, pause, least)
    limits: dict[int, float] = {}  # by size: many conversations of a large town are equally long
    for talk in talks:
        size = len(talk.rows)
        if size not in limits:
            others = np.delete(sizes, np.searchsorted(sizes, size))
            limits[size] = factor * usual(others) if len(others) >= 3 else -np.inf
        if size <= limits[size]:
            continue
        turns = sum(a != b for a, b in pairwise(talk.speakers))
        if turns < len(talk.speakers) // 2:
            continue
        one, other = talk.pair
        length = talk.moments[-1] - talk.moments[0]
        rests = evidence.now - talk.moments[-1]
        goes_on = rests <= pause * max(1.0, length / len(talk.rows))
        verb = "have been talking" if goes_on else "talked"
        text = f"{one} and {other} {verb} for {len(talk.rows)} messages in {evidence.span(length)}, without another"
        until = None if goes_on else evidence.clock.time_of(talk.rows[-1])
        subject = f"with {other}"
        yield evidence.found(KIND, "warning", text, talk.rows, until=until, character_id=one, subject=subject)


def _conversations(evidence: Evidence, pause: float, least: int) -> tuple[npt.NDArray[np.float64], list[_Talk]]:
    """Return how many messages each conversation has, ascending, and those of at least so many.

    A message goes on with a conversation if it was the last that both of the two heard or said.
    """
    chat = evidence.chat
    moments = chat["moment"].to_numpy(np.float64)
    who, to, names = _people(chat)
    pairs = np.flatnonzero((who >= 0) & (to >= 0))
    mine, theirs = _last_of_both(who, to)
    goes_on = (mine[pairs] >= 0) & (mine[pairs] == theirs[pairs])
    earlier = mine[pairs]
    goes_on &= (who[pairs] != to[pairs]) | ((who[earlier] == who[pairs]) & (to[earlier] == who[pairs]))
    goes_on &= moments[pairs] - moments[earlier] <= pause * _usual_pause(who, moments)
    low, high = np.minimum(who[pairs], to[pairs]), np.maximum(who[pairs], to[pairs])
    order = _order_of(low * (len(names) + 1) + high)
    starts = np.flatnonzero(~goes_on[order])
    sizes = np.diff(np.append(starts, len(order)))
    alone = (low == high)[order][starts]  # to oneself is no conversation
    found = [
        _talk_of(chat, pairs[order[start : start + size]], who, to, names)
        for start, size in zip(starts[~alone & (sizes >= least)], sizes[~alone & (sizes >= least)], strict=True)
    ]
    return np.sort(np.where(alone, 0, sizes).astype(float)), sorted(found, key=lambda talk: talk.rows[0])


def _people(chat: pd.DataFrame) -> tuple[Codes, Codes, list[str]]:
    """Return who speaks, to whom alone (−1: nobody, or unknown), and the names of both."""
    names: dict[str, int] = {}
    found = []
    for column in ("character_id", "to"):
        words = chat[column].cat.categories.tolist()
        codes = np.array([*(names.setdefault(word, len(names)) for word in words), -1], np.int64)
        found.append(codes[chat[column].cat.codes])
    return found[0], found[1], [*names]


def _last_of_both(who: Codes, to: Codes) -> tuple[Codes, Codes]:
    """Return the last message before each that its speaker said or was told, and the same for its receiver; −1: none.

    What is said to several, or to nobody, counts for the speaker alone.
    """
    told = (who >= 0) & (to >= 0) & (who != to)
    both = np.stack([who, np.where(told, to, -1)], axis=1).ravel()  # by message: who says it, and who hears it
    known = np.flatnonzero(both >= 0)
    people = both[known]
    order = _order_of(people)
    before = np.full(len(known), -1, np.int64)
    follows = people[order][1:] == people[order][:-1]
    before[order[1:][follows]] = known[order[:-1][follows]] // 2
    found = np.full(len(both), -1, np.int64)
    found[known] = before
    mine, theirs = found[::2], found[1::2]
    return mine, np.where(who == to, mine, theirs)


def _order_of(codes: Codes) -> npt.NDArray[np.intp]:
    """Return the order by codes, in their order otherwise; numpy sorts narrow numbers many times faster."""
    fits = len(codes) and codes.min() >= -(1 << 15) and codes.max() < 1 << 15
    return np.argsort(codes.astype(np.int16) if fits else codes, kind="stable")


def _talk_of(chat: pd.DataFrame, at: Codes, who: Codes, to: Codes, names: list[str]) -> _Talk:
    one, other = sorted((names[who[at[0]]], names[to[at[0]]]))
    rows, moments = chat.index.to_numpy()[at].tolist(), chat["moment"].to_numpy()[at].tolist()
    return _Talk((one, other), rows, moments, who[at].tolist())


def _usual_pause(who: Codes, moments: npt.NDArray[np.float64]) -> float:
    """Return the median time between two messages of one speaker."""
    order = _order_of(who)
    same = (who[order][1:] == who[order][:-1]) & (who[order][1:] >= 0)
    between = np.diff(moments[order])[same]
    return max(1.0, float(np.median(between))) if len(between) else 1.0
