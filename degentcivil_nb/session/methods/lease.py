"""Taking and giving back the control of a run that several notebooks debug."""

from __future__ import annotations

from ..commands import Timeout, timeout_s
from ..lease import ControlState, SessionLease


class LeaseMethods:
    """The methods of a session about who may change the run."""

    _lease: SessionLease

    def take_control(self, timeout: Timeout = 15.0) -> ControlState:
        """Ask to be the only notebook that may change the run, so that two notebooks do not interfere.

        If another notebook has control, it gets a warning with this request: `release_control` there gives control,
        `take_control` keeps it. Without an answer control passes after 10 seconds. Control ends when its holder is gone
        for 10 seconds. Each notebook has its own breakpoints and watches, which need no control.

        Parameters
        ----------
        timeout : float, timedelta or None
            Seconds to wait for the answer of another notebook. After that the request remains.

        Returns
        -------
        ControlState
            `holder`, `asker` (names, or `None`) and `mine`.

        Raises
        ------
        CommandError
            With code 1107 if the other notebook keeps control.

        Examples
        --------
        >>> with dc.start_local_server(characters=2) as town, dc.connect(town, name="noah") as other:
        ...     other.take_control()
        <Control: you have control>
        """
        return self._lease.take(timeout_s(timeout))

    def release_control(self) -> ControlState:
        """Give control of the run to the notebook that asks for it, or let everybody change the run again.

        Returns
        -------
        ControlState
            `holder`, `asker` (names, or `None`) and `mine`.

        Examples
        --------
        >>> with dc.start_local_server(characters=2) as town, dc.connect(town) as other:
        ...     _ = other.take_control()
        ...     other.release_control()
        <Control: everybody may change the run>
        """
        return self._lease.release()
