"""The tick of a checkpoint: a counted tick, or the model's own time."""

from __future__ import annotations

import logging
from typing import Any, Final

from .values import number_of

log = logging.getLogger("degentcivil_nb.simulation")

_MOST: Final = 2**53


class ModelClock:
    """A distinction between counted ticks and a model's own time: from the first fraction on, all are times."""

    def __init__(self) -> None:
        self.time: float | None = None
        """The model's own time, if it has one."""
        self._warned = False

    def read(self, tick: Any) -> int | None:
        """Return the counted tick; `None` means the next one."""
        if type(tick) is int and 0 <= tick <= _MOST and self.time is None:
            return tick
        if tick is None:
            return None
        try:
            number = number_of(tick)
        except (ValueError, TypeError, ArithmeticError):
            number = None
        if number is None:
            self._warn(tick)
            return None
        if self.time is None and number.is_integer() and abs(number) <= _MOST:
            return max(0, int(number))
        self.time = number
        return None

    def _warn(self, tick: Any) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "checkpoint() was given a tick of the type %s, which is not a number: ticks are counted instead",
                type(tick).__qualname__,
            )
