"""Questions about breakpoints, and about the stops of the run."""

from __future__ import annotations

import pandas as pd

from ...store.interfaces import RunStore
from ..stops import breakpoint_table, matching_rows, stop_table
from ..unknown_names import warn_unknown_keys


class StopQuestions:
    """The questions about the breakpoints of a run."""

    _store: RunStore

    def breakpoints(self) -> pd.DataFrame:
        """List the breakpoints of all notebooks, as the simulation last sent them.

        Returns
        -------
        pandas.DataFrame
            One row for each breakpoint: `name`, `condition`, `owner`, `problem` (why it does not work, or a name in the
            condition that no message has had since it was set), `log`, `last_character_id` (str), `enabled`,
            `verified`, `once` (bool), `hits` (int64, the matches so far), `stops_at` (int64, the number of the match
            from which on it stops), `last_tick` and `last_row` (Int64; the row of the event that last stopped the run
            there, for `why(row)`; NA without one, and at a checkpoint).

        Examples
        --------
        >>> len(recording.breakpoints())
        0
        """
        return breakpoint_table(self._store, stop_table(self._store))

    def stops(self) -> pd.DataFrame:
        """List where breakpoints stopped the run.

        Returns
        -------
        pandas.DataFrame
            One row for each breakpoint that matched: `stopped` (Int64, the tick of the stop), `time` (datetime64[ns,
            UTC]), `name`, `condition`, `character_id` (str), `matched` (Int64, the row of the event at which it
            matched; NA at a checkpoint) and `tick` (Int64, of that event).

        Examples
        --------
        >>> len(recording.stops())
        0
        """
        return stop_table(self._store)

    def matches(self, condition: str) -> pd.DataFrame:
        """Find where a breakpoint with this condition would have matched, going through all events in order.

        Unlike `events(where=…)`, the condition can use the attributes of each character as of that moment,
        `changed(name)`, `became(condition)`, `entered(state)`, `left(state)`, and functions that are judged at
        checkpoints; for these, the last event before the checkpoint is returned.

        Parameters
        ----------
        condition : str
            As for `session.break_when`.

        Returns
        -------
        pandas.DataFrame
            The events at which it would have matched, with the columns of `events()`.

        Raises
        ------
        ValueError
            For a mistake in the condition; the message points at it.

        Warns
        -----
        UserWarning
            If the condition has a name that was never seen and resembles a known one.

        Examples
        --------
        >>> moved = session.matches("entered('MOVE')")
        >>> set(moved["state"]) <= {"MOVE"}
        True
        """
        rows = matching_rows(self._store, condition)
        warn_unknown_keys(self._store, condition, rows[:16], judged=True)
        return self._store.frame_of(sorted(rows))
