"""Questions about the characters: states, stays, attributes, places."""

from __future__ import annotations

import pandas as pd

from ...protocol.messages import MessageTypes
from ...store.arguments import Moment, Names, name_of, names_of, whole
from ...store.unknown import warn_unknown
from ..kinds import attribute_table
from ..moves import move_table, moves_of
from ..unknown_names import warn_unknown_names
from .asking import Asking


class CharacterQuestions(Asking):
    """The questions about the characters of a run, and its places."""

    def characters(self, at: Moment = None, *, row: int | None = None, tick: int | None = None) -> pd.DataFrame:
        """Return the characters now, or at a time, after a row, or at a tick: one row for each character.

        Parameters
        ----------
        at : datetime, str, number or timedelta, optional
            As of this moment; read as in `events`.
        row : int, optional
            After this event.
        tick : int, optional
            At the end of this tick. Give at most one of the three.

        Returns
        -------
        pandas.DataFrame
            One row for each character, indexed by `character_id` (str): `state` and `location` (category), a column for
            each attribute that was published, `since` (when the state began) and `last_seen` (datetime64[ns, UTC]).

        Raises
        ------
        ValueError
            If more than one of the three is given, or the events do not reach back so far.

        Examples
        --------
        >>> session.characters(tick=0).loc["emma", ["state", "location"]].to_list()
        ['IDLE', 'Home 1']
        """
        return self._store.characters(at, row=row, tick=tick)

    def timeline(self, character_id: Names = None, *, since: Moment = None, until: Moment = None) -> pd.DataFrame:
        """List the stays: `character_id`, `state`, `location`, `start`, `end`, `duration`; a stay ends at a gap.

        A stay ends where the next one begins, or where its character leaves the town. At a gap the time is unknown, so
        `end` is missing, as it is for a stay that goes on.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only stays of these characters.
        since, until : datetime, str, number or timedelta, optional
            Only stays that reach into this time; read as in `events`.

        Returns
        -------
        pandas.DataFrame
            One row for each stay, in the order in which they began: `character_id`, `state`, `location` (category),
            `start`, `end` (datetime64[ns, UTC]) and `duration` (timedelta64[ns]); `start_tick`, `end_tick` and `ticks`
            (Int64), the same in ticks.

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Warns
        -----
        UserWarning
            If a character was never seen.

        Examples
        --------
        >>> session.timeline("emma")["state"].head(3).to_list()
        ['IDLE', 'PLAN', 'MOVE']
        """
        names = names_of(character_id)
        stays = self._store.timeline(names)
        warn_unknown_names(self._store, {"character_id": names})
        if since is not None:
            ended = stays["end"].notna() & (stays["end"] <= self._moment(since))
            stays = stays[~ended.to_numpy()]
        if until is not None:
            stays = stays[(stays["start"] < self._moment(until)).to_numpy()]
        return stays.reset_index(drop=True)

    def transitions(self, character_id: Names = None, *, since: Moment = None, until: Moment = None) -> pd.DataFrame:
        """Count the changes of state: from-states as rows, to-states as columns.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only changes of these characters.
        since, until : datetime, str, number or timedelta, optional
            Only changes from `since` on and before `until`; read as in `events`. With any of the three, only changes
            among the events held are counted, else those of the whole run.

        Returns
        -------
        pandas.DataFrame
            int64; the state before as index `from`, the state after as columns `to`.

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Warns
        -----
        UserWarning
            If a character was never seen.

        Examples
        --------
        >>> session.transitions().loc["PLAN", "MOVE"].item()
        18
        >>> int(session.transitions("emma", until="2001-01-01").to_numpy().sum())
        0
        """
        if character_id is None and since is None and until is None:
            return self._store.transitions()
        names = names_of(character_id)
        stays = self._store.timeline(names)
        moves, states = moves_of(stays), stays["state"].cat.categories
        warn_unknown_names(self._store, {"character_id": names})
        if since is not None:
            moves = moves[(moves["time"] >= self._moment(since)).to_numpy()]
        if until is not None:
            moves = moves[(moves["time"] < self._moment(until)).to_numpy()]
        return move_table(moves, states)

    def attribute(
        self,
        name: str,
        character_id: Names = None,
        *,
        since: Moment = None,
        until: Moment = None,
        last: int | None = None,
    ) -> pd.DataFrame:
        """List the history of one attribute.

        Parameters
        ----------
        name : str
            The attribute, as `character_update`s name it.
        character_id : str, int or list-like of them, optional
            Only of these characters.
        since, until : datetime, str, number or timedelta, optional
            Only values from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only this many of the newest.

        Returns
        -------
        pandas.DataFrame
            One row for each published value of the attribute, indexed by `row`: `tick` (Int64), `time` (datetime64[ns,
            UTC]), `character_id` (category) and `value` (a number type where all are numbers).

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Examples
        --------
        >>> session.attribute("money", "emma")["value"].iloc[[0, -1]].to_list()
        [22.0, 19.0]
        """
        names = names_of(character_id)
        told = self._store.events(
            MessageTypes.CHARACTER_UPDATE, character_id=names, since=since, until=until, payload=True
        )
        found = attribute_table(told, name_of(name))
        if last is not None:
            found = found.tail(whole(last, "`last`"))
        warn_unknown_names(self._store, {"character_id": names})
        if not len(found) and last != 0:
            warn_unknown("attribute", [name_of(name)], self._store.characters().columns)
        return found

    def places(self) -> pd.DataFrame:
        """List the places of the town that were seen.

        Returns
        -------
        pandas.DataFrame
            One row for each place: its published keys, such as `id`, `name`, `description`, `instruction`, `jobs`
            (lists), `x`, `y`, and `row` (int64), the last event that listed it. Empty if the simulation lists no
            places.

        Examples
        --------
        >>> session.places()["name"].head(3).to_list()
        ['Cafe', 'Park', 'Gallery']
        """
        return self._store.places()
