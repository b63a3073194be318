"""The server's half of resuming: where a peer goes on in the one shared history, and what it has missed."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import WebSocketError
from .messages import Gap, Resume


@dataclass(frozen=True, slots=True)
class ResumePlan:
    """Say where a peer's cursor starts, which gaps it is told first, and whether it is sent a snapshot.

    `start` is the first position that it is sent (`from` of `resumed`); `recovered` means that nothing is missing.
    """

    start: int
    recovered: bool
    gaps: tuple[Gap, ...] = ()
    snapshot: bool = False


def plan_resume(*, epoch: str, oldest: int, head: int, resume: Resume) -> ResumePlan:
    """Decide how a peer goes on in the history of `epoch`, which holds `oldest` to `head` (empty: `head + 1`).

    Raises `WebSocketError` 1001 for a position that was never assigned: replaying there would repeat or invent.
    """
    if resume.epoch is None or resume.seq is None:
        return ResumePlan(max(oldest, head - resume.history + 1), recovered=True, snapshot=True)
    after = resume.seq + 1
    if resume.epoch != epoch:
        gaps = [Gap(resume.epoch, after, None, "restart")]
        if oldest > 1:
            gaps.append(Gap(epoch, 1, oldest - 1, "window"))
        return ResumePlan(oldest, recovered=False, gaps=tuple(gaps), snapshot=True)
    if resume.seq > head:
        raise WebSocketError(
            WebSocketError.INVALID_MESSAGE,
            f"the position {resume.seq} to resume from lies beyond the last one, {head}",
            details={"head": head},
        )
    if after < oldest:
        gap = Gap(epoch, after, oldest - 1, "window")
        return ResumePlan(oldest, recovered=False, gaps=(gap,), snapshot=True)
    return ResumePlan(after, recovered=True)
