"""What a simulation gives its checkpoints as a tick: a counted tick, or the model's own clock."""

from __future__ import annotations

import logging
from typing import Any, Final

from .values import number_of

log = logging.getLogger("degentcivil_nb.simulation")

_MOST: Final = 2**53


class ModelClock:
    """Tell counted ticks from a model's own time: from the first number on that is no whole one, all are times."""

    def __init__(self) -> None:
        self.time: float | None = None
        """The model's own time, where it has one."""
        self._warned = False

    def read(self, tick: Any) -> int | None:
        """Give the counted tick; `None` where it is not said, and the next one is meant."""
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
                "a checkpoint was given a tick of the type %s, which is no number: it is counted instead",
                type(tick).__qualname__,
            )
