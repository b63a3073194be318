"""Questions about the events: all of them, their rates, errors and gaps."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ...core.arguments import flag
from ...store.arguments import LongTime, Moment, Names, names_of
from ..kinds import chosen, new_errors
from ..rates_by import rates_by
from ..unknown_names import warn_unknown_keys, warn_unknown_names
from .asking import Asking


class EventQuestions(Asking):
    """The questions about the events of a run."""

    def events(
        self,
        type: Names = None,
        *,
        character_id: Names = None,
        event_type: Names = None,
        since: Moment = None,
        until: Moment = None,
        last: int | None = None,
        where: str | None = None,
        payload: bool = False,
    ) -> pd.DataFrame:
        """List events: one row for each stream message.

        Parameters
        ----------
        type : str or list-like of str, optional
            Only events of these types.
        character_id : str, int or list-like of them, optional
            Only events of these characters.
        event_type : str or list-like of str, optional
            Only `event_notification`s of these kinds.
        since, until : datetime, str, number or timedelta, optional
            Only events from `since` on and before `until`. A time (naive is UTC), its text, seconds since 1970, or how
            long before the newest event, such as a timedelta, ``"10 min ago"`` or ``"-30s"``.
        last : int, optional
            Only this many of the newest that the other filters leave.
        where : str, optional
            A condition over the columns and the payload's keys, such as ``"new_state == 'MOVE' and tick > 10"``.
        payload : bool
            Add the columns `payload` and `data`.

        Returns
        -------
        pandas.DataFrame
            Indexed by `row` (int64), the store's own number of an event, which is never reused. `epoch`, `time_source`,
            `type`, `character_id`, `state`, `location`, `event_type` and `message` are category, `seq` and `tick`
            Int64, `code` Int16 (wider if a code needs it), `time` (the sender's clock) and `received` datetime64[ns,
            UTC], `event_id`, `cause` (a text or a list of them) and `intervention` (a dict) object, and `sim_time`
            Float64. With `payload` two more (object): `payload`, decoded as it was sent, and `data`, the inner value of
            an `event_notification`, `None` for other types.

        Raises
        ------
        ValueError
            If a condition, a moment or a name cannot be understood.

        Warns
        -----
        UserWarning
            If a name was never seen; the result is then empty.

        Examples
        --------
        >>> session.events("error", last=2)["code"].to_list()
        [2002, 2001]
        >>> moves = session.events(where="new_state == 'MOVE' and tick <= 10")
        >>> moves["type"].unique().tolist()
        ['state_change']
        """
        asked = {"type": names_of(type), "character_id": names_of(character_id), "event_type": names_of(event_type)}
        payload = flag("payload", payload)
        found = self._store.events(
            asked["type"],
            character_id=asked["character_id"],
            event_type=asked["event_type"],
            since=since,
            until=until,
            last=last,
            where=where,
            payload=payload,
        )
        warn_unknown_names(self._store, asked)
        if where is not None:
            warn_unknown_keys(self._store, where, found.index[:16].tolist())
        return found

    def payload(self, row: int) -> Any:
        """Return the payload of an event as it was sent; `KeyError` for a row that is not held.

        Parameters
        ----------
        row : int
            The event's number in the index of `events()`.

        Returns
        -------
        any
            Decoded JSON: mostly a dict.

        Raises
        ------
        KeyError
            If the row is not held.
        ValueError
            If `row` is not a whole number.

        Examples
        --------
        >>> first = session.events("state_change").index[0]
        >>> session.payload(first)["new_state"]
        'IDLE'
        """
        return self._store.payload(row)

    def rates(self, every: LongTime = "1s", by: str = "type", window: LongTime | None = None) -> pd.DataFrame:
        """Count the events held in buckets of time.

        Parameters
        ----------
        every : str, number or timedelta
            Width of a bucket: a text such as ``"5min"``, or seconds; whole seconds, at least one.
        by : {"type", "code", "character_id", "state", "event_type", "location", "model", "prompt_type"}
            What a column stands for; the last two count calls of language models.
        window : str, number or timedelta, optional
            Only this much of the run, counted back from the newest event, such as ``"10min"``.

        Returns
        -------
        pandas.DataFrame
            int64 counts, not divided by the width; one row for each bucket, indexed by its start `time` (datetime64[ns,
            UTC]), one column for each word in the order of first appearance. Buckets without events are rows of zeros,
            unless that would be more than 100,000 rows. ``.attrs["every_s"]`` is the width in seconds.

        Raises
        ------
        ValueError
            If a width or `by` is not understood.

        Examples
        --------
        >>> counts = session.rates("1min", by="code")
        >>> counts.columns.to_list(), int(counts.to_numpy().sum())
        ([2001, 2002], 4)
        """
        return rates_by(self._store, every, by, window, self._newest)

    def errors(
        self,
        *,
        character_id: Names = None,
        since: Moment = None,
        until: Moment = None,
        last: int | None = None,
        new_since: Moment = None,
    ) -> pd.DataFrame:
        """List what went wrong, in the simulation and on the wire.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only errors of these characters.
        since, until : datetime, str, number or timedelta, optional
            Only errors from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only so many of the newest.
        new_since : datetime, str, number or timedelta, optional
            Only errors from this moment on whose code and message had not been there before; messages that differ in
            numbers, quoted words and names of characters are the same.

        Returns
        -------
        pandas.DataFrame
            Indexed by `row`: the columns of `events()` that an error has (`epoch`, `seq`, `tick`, `time`,
            `time_source`, `received`, `character_id`, `code`, `message`, `event_id`, `cause`, `intervention`,
            `sim_time`), `traceback`, and `excerpt`, the beginning of a message that could not be read (both str).

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Examples
        --------
        >>> session.errors(last=1)["message"].to_list()
        ['the answer to PERSPA is not JSON']
        """
        names = names_of(character_id)
        if new_since is None:
            found = self._store.errors(character_id=names, since=since, until=until, last=last)
        else:
            found = new_errors(self._store, self._moment(new_since))
            found = chosen(found, self._newest, character_id=names, since=since, until=until, last=last)
        warn_unknown_names(self._store, {"character_id": names})
        return found

    def gaps(self) -> pd.DataFrame:
        """List all missing ranges: `epoch`, `from_seq`, `to_seq` (NA if unknown), `reason`, `time`.

        Returns
        -------
        pandas.DataFrame
            One row for each gap: `epoch`, `reason` (str), `from_seq` and `to_seq` (Int64, both included, NA where
            unknown), `time` (datetime64[ns, UTC], that of the last event before it), `row` (int64, the event that
            follows the gap) and `at_least` (Int64, the last position known to be missing where `to_seq` is unknown).

        Examples
        --------
        >>> len(session.gaps())
        0
        """
        return self._store.gaps()
