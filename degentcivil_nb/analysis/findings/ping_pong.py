"""Conversations of two that do not end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from .evidence import Evidence
from .finding import Finding
from .statistics import usual

KIND: Final = "ping_pong"


@dataclass(slots=True)
class _Talk:
    pair: tuple[str, str]
    rows: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    is_over: bool = False


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
    for talk in talks:
        others = np.delete(sizes, np.searchsorted(sizes, len(talk.rows)))
        if len(others) >= 3 and len(talk.rows) <= factor * usual(others):
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
    """Return how many messages each conversation has, ascending, and those of at least so many."""
    chat = evidence.chat
    sizes: list[int] = []
    long: list[_Talk] = []
    with_whom: dict[str, _Talk] = {}
    longest_pause = pause * _usual_pause(evidence)

    def leave(who: str, talk: _Talk | None = None) -> None:
        over = with_whom.pop(who, None)
        if over is not None and not over.is_over:  # neither of the two can go on with it
            over.is_over = True
            sizes.append(len(over.rows))
            if len(over.rows) >= least:
                long.append(over)
        if talk is not None:
            with_whom[who] = talk

    owners, receivers = (chat[name].astype(object).where(chat[name].notna(), None) for name in ("character_id", "to"))
    for row, who, to, moment in zip(
        chat.index.tolist(), owners.tolist(), receivers.tolist(), chat["moment"].tolist(), strict=True
    ):
        if who is None or to is None:
            leave(who)
            continue
        pair = (who, to) if who <= to else (to, who)
        talk = with_whom.get(who)
        if (
            talk is None
            or talk.pair != pair
            or with_whom.get(to) is not talk
            or moment - talk.moments[-1] > longest_pause
        ):
            talk = _Talk(pair)
            leave(pair[0], talk)
            leave(pair[1], talk)
        talk.rows.append(row)
        talk.moments.append(moment)
        talk.speakers.append(who)
    for who in list(with_whom):
        leave(who)
    return np.sort(np.array(sizes, float)), sorted(long, key=lambda talk: talk.rows[0])


def _usual_pause(evidence: Evidence) -> float:
    """Return the median time between two messages of one speaker."""
    chat = evidence.chat
    between = chat.groupby("character_id", observed=True)["moment"].diff().dropna().to_numpy(float)
    return max(1.0, float(np.median(between))) if len(between) else 1.0
