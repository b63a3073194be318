"""Conversations of two that do not end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np

from .evidence import Evidence
from .finding import Finding
from .statistics import usual

KIND: Final = "ping_pong"


@dataclass
class _Talk:
    pair: tuple[Any, Any]
    rows: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    speakers: list[Any] = field(default_factory=list)


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
        the two talks to somebody else.
    """
    talks = _conversations(evidence, pause)
    sizes = np.array([len(talk.rows) for talk in talks], float)
    for at, talk in enumerate(talks):
        others = np.delete(sizes, at)
        if sizes[at] < least or (len(others) >= 3 and sizes[at] <= factor * usual(others)):
            continue
        turns = sum(a != b for a, b in pairwise(talk.speakers))
        if turns < len(talk.speakers) // 2:
            continue
        one, other = talk.pair
        length = talk.moments[-1] - talk.moments[0]
        rests = evidence.now - talk.moments[-1]
        goes_on = rests <= pause * max(1.0, length / len(talk.rows))
        verb = "have been talking" if goes_on else "talked"
        text = (
            f"{one} and {other} {verb} for {len(talk.rows)} messages in {evidence.span(length)}, and with nobody else"
        )
        until = None if goes_on else int(evidence.times[np.searchsorted(evidence.rows, talk.rows[-1])])
        subject = f"with {other}"
        yield evidence.found(KIND, "warning", text, talk.rows, until=until, character_id=one, subject=subject)


def _conversations(evidence: Evidence, pause: float) -> list[_Talk]:
    chat = evidence.chat
    talks: list[_Talk] = []
    with_whom: dict[Any, _Talk] = {}
    usual_pause = _usual_pause(evidence)
    for row, who, receivers, moment in zip(
        chat.index.tolist(),
        chat["character_id"].tolist(),
        chat["receivers"].tolist(),
        chat["moment"].tolist(),
        strict=True,
    ):
        to = receivers[0] if isinstance(receivers, list) and len(receivers) == 1 else receivers
        if not isinstance(who, str) or not isinstance(to, str | int):
            with_whom.pop(who, None)
            continue
        pair = tuple(sorted((who, str(to))))
        talk = with_whom.get(who)
        if (
            talk is None
            or talk.pair != pair
            or with_whom.get(str(to)) is not talk
            or moment - talk.moments[-1] > pause * usual_pause
        ):
            talk = _Talk((pair[0], pair[1]))
            talks.append(talk)
            with_whom[pair[0]] = with_whom[pair[1]] = talk
        talk.rows.append(row)
        talk.moments.append(moment)
        talk.speakers.append(who)
    return talks


def _usual_pause(evidence: Evidence) -> float:
    """Return the median time between two messages of one speaker."""
    chat = evidence.chat
    between = chat.groupby(chat["character_id"].astype(object))["moment"].diff().dropna().to_numpy(float)
    return max(1.0, float(np.median(between))) if len(between) else 1.0
