"""A paused run whose last debugger is gone: after a while the run goes on by itself, as announced before."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

ABANDONED_S: Final = 60.0
"""How long a paused run waits for a debugger to come back."""
UNSEEN_S: Final = 10.0
"""How long a run is paused before it says that it waits for its first debugger: a notebook may be about to connect."""


class Desertion:
    """The time since the last debugger of a paused run was connected; checked about once a second of the pause.

    `debuggers()` counts the connected ones. `say(text)` reports what will happen, and what happened. With `after_s` as
    `None` the run waits for ever. A run that no debugger has seen yet waits for its first one, and calls
    `waits(tick)` once, for it looks as if it hung.
    """

    def __init__(
        self,
        *,
        debuggers: Callable[[], int],
        say: Callable[[str], None],
        waits: Callable[[int | None], None],
        after_s: float | None = ABANDONED_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._debuggers = debuggers
        self._say = say
        self._waits = waits
        self._after_s = after_s
        self._clock = clock
        self._seen = False
        self._gone_at: float | None = None
        self._began_at: float | None = None
        self._told = False

    def is_over(self, tick: int | None) -> bool:
        """Return whether a run that is paused at a tick has been without a debugger for so long that it must go on."""
        if self._debuggers():
            self._seen, self._gone_at = True, None
            return False
        now = self._clock()
        if not self._seen:
            self._tell_once(tick, now)
            return False
        if self._after_s is None:
            return False
        if self._gone_at is None:
            self._gone_at = now
            self._say(
                f"the last debugger is gone while the run is paused at tick {tick}: "
                f"it goes on by itself in {self._after_s:g} s, unless one comes back"
            )
        if now - self._gone_at < self._after_s:
            return False
        self._gone_at = None
        self._say(f"no debugger came back in {self._after_s:g} s: the run goes on from tick {tick}")
        return True

    def _tell_once(self, tick: int | None, now: float) -> None:
        if self._began_at is None:
            self._began_at = now
        elif not self._told and now - self._began_at >= UNSEEN_S:
            self._told = True
            self._waits(tick)
