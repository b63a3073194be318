"""The server's half of resuming: from where a peer reads the shared history, and which messages it has missed."""

from __future__ import annotations

from dataclasses import dataclass

from .control_payloads import Gap, Resume
from .errors import WebSocketError


@dataclass(frozen=True, slots=True)
class ResumePlan:
    """Where a peer starts reading, which gaps it is sent first, and whether it is sent a snapshot.

    `start` is the first seq that it is sent (`from` of `resumed`); `recovered` means that nothing is missing.
    """

    start: int
    recovered: bool
    gaps: tuple[Gap, ...] = ()
    snapshot: bool = False


def plan_resume(*, epoch: str, oldest: int, head: int, resume: Resume) -> ResumePlan:
    """Decide how a peer continues in the history of `epoch`, which holds `oldest` to `head` (empty: `head + 1`).

    Raises `WebSocketError` 1001 for a seq that was never assigned, from which nothing can be resumed.
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
            f"cannot resume after seq {resume.seq}: the last one is {head}",
            details={"head": head},
        )
    if after < oldest:
        gap = Gap(epoch, after, oldest - 1, "window")
        return ResumePlan(oldest, recovered=False, gaps=(gap,), snapshot=True)
    return ResumePlan(after, recovered=True)
