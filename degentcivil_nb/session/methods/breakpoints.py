"""Stopping the run where a condition is met."""

from __future__ import annotations

from dataclasses import replace

from ...analysis.unknown_names import warn_misspelt
from ...core.arguments import flag, text_or_none
from ...protocol.breakpoints import RUN_UNTIL
from ...store.arguments import MOST, whole
from ...store.event_store import EventStore
from ...store.unknown import warn_user
from ..breakpoints import Breakpoint, SessionBreakpoints
from ..commands import SessionCommands, Timeout, timeout_s
from ..lease import SessionLease
from ..stop import Stop


class BreakpointMethods:
    """The methods of a session that set breakpoints and return where the run is stopped."""

    _commands: SessionCommands
    _breakpoints: SessionBreakpoints
    _lease: SessionLease
    _store: EventStore

    def break_when(
        self, condition: str, *, hits: int = 1, log: str | None = None, once: bool = False, name: str | None = None
    ) -> Breakpoint:
        """Stop the run in the tick in which a condition is met. The simulation itself evaluates the condition.

        Parameters
        ----------
        condition : str
            Evaluated at each event as it is published: `money > 3`, `entered("BARGAIN")`, `changed(mood)`; or, with
            `silent(ticks)`, `stuck(ticks)`, `loops(times)`, `total_cost` or `total_calls`, at each checkpoint.
            `type == "error"`, `exception` and `malformed` (an answer of a model) stop where something goes wrong.
        hits : int
            The number of the match at which it begins to stop; it stops at each later match too.
        log : str, optional
            A text with `{expressions}` that is published as an event of type `log` instead; the run is not stopped.
        once : bool
            Stop at that match and at no later one.
        name : str, optional
            The breakpoint's name; an earlier one of the same name is replaced, with a warning if it differs. Without a
            name it is the first of `b1`, `b2` and so on that no notebook has.

        Returns
        -------
        Breakpoint
            A handle with `.remove()`, `.enabled`, `.hits`, `.verified` and `.problem`, which also says if no message
            has had a name of the condition since. The breakpoint is declared again
            after a reconnect, and after a restart of the simulation.

        Raises
        ------
        ValueError
            For a mistake in the condition or in `log`; the message points at it. For a name that another connected
            notebook uses; the message says which notebook, and what its breakpoint is.
        CommandError
            If the server supports no breakpoints.

        Warns
        -----
        UserWarning
            If the condition has a name that was never seen and resembles a known one, or if another breakpoint of the
            same name is replaced.

        Examples
        --------
        >>> rich = session.break_when("money >= 1_000_000", name="rich")
        >>> rich
        <Breakpoint 'rich': money >= 1_000_000 (0 hits)>
        >>> rich.remove()
        """
        hits, once = min(whole(hits, "`hits`", least=1), MOST), flag("once", once)
        log, name = text_or_none("log", log), text_or_none("name", name)
        if name == RUN_UNTIL:
            raise ValueError(f"{RUN_UNTIL!r} is the name that run_until() uses for its own breakpoint; give another")
        before = None if name is None or not self._breakpoints.has(name) else self._breakpoints.spec(name).condition
        point = self._breakpoints.add(condition, hits=hits, log=log, once=once, name=name)
        if before is not None and before != condition:
            warn_user(f"the breakpoint {name!r} was there already: {before} is replaced by {condition}")
        warn_misspelt(self._store, condition)
        return point

    def stopped(self) -> Stop | None:
        """Return why the run is stopped.

        Returns
        -------
        Stop or None
            `reason`, `tick` (where the run is stopped), and at a breakpoint `breakpoint` (its name), `condition`,
            `character_id`, `matched` (the row of the event that met it; `None` at a checkpoint), `also` (others that
            matched), `owner` and `mine` (whose breakpoint it is) and `may_resume` (who has control). `None` while the
            run goes on.

        Examples
        --------
        >>> session.run_until("type == 'state_change'").reason
        'breakpoint'
        >>> session.stopped().breakpoint
        'run_until'
        """
        stop = self._breakpoints.stopped()
        return None if stop is None else replace(stop, may_resume=self._lease.may_change)

    def run_until(self, condition: str | None = None, *, tick: int | None = None, timeout: Timeout = None) -> Stop:
        """Let the run go on until a condition is met, or until a tick, and stop there.

        An interrupt (Ctrl-C) ends the wait, and pauses the run at its next checkpoint.

        Parameters
        ----------
        condition : str, optional
            As for `break_when`.
        tick : int, optional
            The tick to stop at, instead of a condition.
        timeout : float, timedelta or None
            Seconds to wait; `None` waits as long as it takes.

        Returns
        -------
        Stop
            Why the run is stopped, as `stopped()` returns it: anything else that stops the run first ends the wait too.

        Raises
        ------
        TimeoutError
            If the condition was not met in time. The run goes on.
        CommandError, OutcomeUnknown
            If the simulation does not answer, in two seconds at least. The breakpoint is taken back.
        ValueError
            For a mistake in the condition, and for a tick that the run has reached already.

        Examples
        --------
        >>> session.run_until("type == 'state_change'").reason
        'breakpoint'
        """
        if (condition is None) == (tick is None):
            raise ValueError("give either a condition or a tick to run until")
        if condition is not None:
            wanted = condition
            warn_misspelt(self._store, condition)
        else:
            wanted = f"tick >= {self._ahead(min(whole(tick, '`tick`', least=0), MOST))}"
        seconds = timeout_s(timeout)
        return self._breakpoints.run_until(
            wanted,
            at_checkpoint=tick is not None,
            resume=lambda: self._commands.resume(seconds),
            timeout=seconds,
        )

    def _ahead(self, tick: int) -> int:
        """Return the tick; `ValueError` if the run has reached it already."""
        now = self._store.tick
        if now is not None and tick <= now:
            raise ValueError(f"the run is at tick {now} already; a replay goes back with command('seek', tick={tick})")
        return tick
