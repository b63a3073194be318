"""The tick of a checkpoint: a counted tick, or the model's own time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..core.text_of import text_of
from .values import number_of

_MOST: Final = 2**53
_SHOWN: Final = 40
"""How many characters of an invalid tick are shown."""


class ModelClock:
    """A distinction between counted ticks and a model's own time: it is time from the first invalid tick on.

    `misused(kind, text)` is called with what is wrong with a tick, each time.
    """

    def __init__(self, misused: Callable[[str, str], None]) -> None:
        self._misused = misused
        self.time: float | None = None
        """The model's own time, if it has one."""

    def read(self, tick: Any, reached: int | None) -> int:
        """Return the counted tick: the one given, or else the next one after the one reached last."""
        counted = type(tick) is int and 0 <= tick <= _MOST and self.time is None
        number = tick if counted else self._counted(tick)
        if number is None:
            return 0 if reached is None else reached + 1
        if reached is not None and number < reached:
            self._misused(
                "tick back",
                f"checkpoint({number}) was called after checkpoint({reached}), but ticks must not go back: from here "
                "on events have ticks that occurred before. Make a new probe for a new run, or go on counting",
            )
        return int(number)

    def _counted(self, tick: Any) -> int | None:
        """Read what is no plain tick; `None` if it counts none."""
        if tick is None:
            return None
        try:
            number = None if isinstance(tick, bool) else number_of(tick)
        except (ValueError, TypeError, ArithmeticError):
            number = None
        if number is None:
            shown = text_of(tick)[:_SHOWN]
            self._misused(
                "no number",
                f"checkpoint() was given the tick {shown!r} of the type {type(tick).__qualname__}, which is not a "
                "number: ticks are counted instead",
            )
            return None
        if self.time is None and number.is_integer():
            if 0 <= number <= _MOST:
                return int(number)
            self._misused(
                "no tick",
                f"checkpoint() was given the tick {text_of(tick)[:_SHOWN]}, but ticks go from 0 to 2**53: from here on "
                "the numbers are published as the model's own time (sim_time), and ticks are counted",
            )
        self.time = number
        return None
