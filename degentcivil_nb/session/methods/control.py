"""Pausing, resuming, stepping, and the speed."""

from __future__ import annotations

from ...store.arguments import whole
from ..commands import SessionCommands, Timeout


class ControlMethods:
    """The methods of a session that stop the run and let it go on."""

    _commands: SessionCommands

    def pause(self, timeout: Timeout = 30.0) -> str:
        """Pause the run, and wait until it has stopped and the store holds everything up to there.

        Parameters
        ----------
        timeout : float or timedelta, optional
            Seconds. If the current tick takes longer, the pause stays requested until it is reached or `resume` cancels
            it. `None` waits as long as it takes.

        Returns
        -------
        str
            The run's state: ``"paused"``, or ``"pausing"`` if the time was over first.

        Raises
        ------
        CommandError
            With code 1105 if the run is over, or this is the thread that calls `checkpoint`.
        OutcomeUnknown
            If the answer was lost.
        RuntimeError
            If the session is closed.

        Examples
        --------
        >>> session.pause()
        'paused'
        """
        return self._commands.pause(timeout)

    def resume(self, timeout: Timeout = None) -> str:
        """Let the run go on. A pause that was not reached yet is cancelled.

        Parameters
        ----------
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.

        Returns
        -------
        str
            The run's state: ``"running"``.

        Raises
        ------
        CommandError
            With code 1105 if the run is over, and 1104 if no answer came in time.
        OutcomeUnknown
            If the answer was lost.
        RuntimeError
            If the session is closed.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     other.resume()
        'running'
        """
        return self._commands.resume(timeout)

    def step(self, ticks: int = 1, timeout: Timeout = None) -> str:
        """Run that many ticks and pause again, and wait until the store holds everything up to there.

        After one second a bar shows the progress. An interrupt (Ctrl-C) ends the wait, and pauses the run at its next
        checkpoint.

        Parameters
        ----------
        ticks : int
            How many ticks.
        timeout : float or timedelta, optional
            Seconds to wait at most; `None` waits as long as the ticks take.

        Returns
        -------
        str
            The run's state: ``"paused"``.

        Raises
        ------
        CommandError
            With code 1104 if the time is over, while the step goes on, and 1105 if the run is not paused or the step
            was cut short.
        OutcomeUnknown
            If the answer was lost.
        RuntimeError
            If the session is closed.
        ValueError
            If `ticks` is not a whole number of at least 1.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     other.step(5), other.metrics()["tick"]
        ('paused', 5)
        """
        return self._commands.step(whole(ticks, "`ticks`", least=1), timeout)

    def set_speed(self, factor: float, timeout: Timeout = None) -> str:
        """Run at that many times the simulation's own pace.

        Parameters
        ----------
        factor : float
            Above 0; 1 is the simulation's own pace.
        timeout : float or timedelta, optional
            Seconds to wait for the answer; `None` waits as long as it takes.

        Returns
        -------
        str
            The run's state, with the speed as its attribute `speed`.

        Raises
        ------
        CommandError
            With code 1105 if the simulation has no pace of its own or the run is over, and 1104 if no answer came in
            time.
        OutcomeUnknown
            If the answer was lost.
        RuntimeError
            If the session is closed.
        ValueError
            If the factor is not a number above 0.

        Examples
        --------
        >>> session.set_speed(1).speed
        1.0
        """
        return self._commands.set_speed(factor, timeout)
