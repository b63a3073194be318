"""The end of a probe, and calls of it afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ...core import lifetime
from ...core.arguments import text_or_none
from .serving import CLOSE_S, ServingMethods

log = logging.getLogger("degentcivil_nb.simulation")


class EndingMethods(ServingMethods):
    """The methods of a probe that end it."""

    _over: str
    """Why nothing is published any more; empty while it is."""
    _stop_metrics: Callable[[], Any]

    def finish(self, state: str = "finished", reason: str | None = None) -> None:
        """Publish that the run is over, and keep serving its messages.

        Parameters
        ----------
        state : {"finished", "dead"}
            How it ended.
        reason : str, optional
            Why, such as ``"exception"``.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     town.finish()
        ...     with dc.connect(town) as session:
        ...         session.metrics()["run_state"]
        'finished'
        """
        if state not in ("finished", "dead"):
            raise ValueError(f"a run ends as 'finished' or 'dead', not {state!r:.80}")
        self.control.finish(state, text_or_none("reason", reason))

    def close(self) -> None:
        """Publish that the run is over, and end the server and its thread. A second call does nothing.

        Examples
        --------
        >>> town = dc.SimulationProbe(port=0)
        >>> town.close()
        >>> town.run_state
        'finished'
        """
        if not lifetime.release(self):
            return
        self.breakpoints.tell_what_is_new()  # the server ends before the counts of the last moments are due
        self.control.finish("finished")
        self._over = "this probe was closed"
        try:
            self._portal.call(self._close_server, timeout=CLOSE_S)
        except (RuntimeError, TimeoutError) as error:
            log.warning("the server at %s did not close in order: %s", self.url, error)
        self._publish, self.control.after_end = self._discard, self._say_over
        self._portal.close()
        self._stop_metrics()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, GeneratorExit):
            self.finish("dead", "exception")
        self.close()

    def _give_up(self) -> None:
        """Do nothing from now on: this is a forked child, and the server stayed in the parent."""
        self._over = "this process was forked from that of the probe; give it a handle of probe.worker() instead"
        self._publish, self.control.after_end = self._discard, self._say_over
        self.control.disarm()

    def _discard(self, type: str, *more: Any, **links: Any) -> None:
        """Count a message that can no longer be published."""
        self.discarded += 1
        self._say_over()

    def _say_over(self) -> None:
        """Log once that nothing is published any more; not at the interpreter's exit, when threads may still run."""
        if not lifetime.exiting():
            self._warn(
                "SimulationProbe",
                "over",
                "%s at %.0s%s: %s. What is published from now on is lost",
                self.url,
                self._over,
            )

    def __copy__(self) -> Self:
        return self  # a copy of a model is published by the same probe

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> Any:
        raise TypeError(
            "a probe cannot be given to another process: give it a handle, probe.worker(), and open it there"
        )
