"""Questions about the costs of a run, about meetings, and about how something spread."""

from __future__ import annotations

from typing import Final

import pandas as pd

from ...core.arguments import word
from ...protocol.messages import MessageTypes
from ...store.arguments import Moment, Names, names_of
from ...store.pieces import Pattern
from ...store.schema import NAT
from ...store.unknown import warn_user
from ..costs import check_by, cost_table
from ..meetings import meeting_table
from ..mentions import kind_that, says
from ..presences import FOREVER
from ..spread import spread_table, text_in
from ..talk import talk_of
from ..unknown_names import warn_unknown_names
from ..wanted_stays import wanted_stays
from .calls import CallQuestions
from .characters import CharacterQuestions


class SocietyQuestions(CharacterQuestions, CallQuestions):
    """The questions about costs, meetings and rumours of a run."""

    def costs(self, by: str = "character_id") -> pd.DataFrame:
        """Add up the costs of language model calls in all events held.

        Parameters
        ----------
        by : {"character_id", "model", "prompt_type", "day"}
            What a row stands for.

        Returns
        -------
        pandas.DataFrame
            Indexed by `by` (str; days are datetime64[ns, UTC]): `calls`, `malformed`, `errors` (int64),
            `prompt_tokens`, `completion_tokens` (Int64), `latency_s` (Float64, seconds) and `cost_usd` (Float64, US
            dollars). A sum without any known value is NA.

        Raises
        ------
        ValueError
            For another `by`.

        Warns
        -----
        UserWarning
            If the oldest events are no longer held, so that their calls are not counted.

        Examples
        --------
        >>> session.costs("model")["calls"].index.to_list()
        ['towngpt-4-mini']
        """
        check_by(by)
        table = self._store.by_pieces(lambda pieces: cost_table(pieces, by))
        if self._store.first_row:
            warn_user(f"the {self._store.first_row:,} oldest events are no longer held: their calls are not counted")
        return table

    def meetings(
        self, character_id: Names = None, other: Names = None, *, since: Moment = None, until: Moment = None
    ) -> pd.DataFrame:
        """List who was with whom: chat, and stays in one place at one time.

        Parameters
        ----------
        character_id, other : str, int or list-like of them, optional
            Only meetings of these characters, and with these others.
        since, until : datetime, str, number or timedelta, optional
            Only meetings that reach into this time; read as in `events`.

        Returns
        -------
        pandas.DataFrame
            One row for each meeting, in the order in which they began: `character_id`, `other`, `location`, `how`
            (``"place"`` or ``"chat"``; str), `start` and `end` (datetime64[ns, UTC]; no end: they are still together).
            A stay whose end a gap hides counts only as far as it is known. Two that were in a place at one instant
            met, also if both went on at once.

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Warns
        -----
        UserWarning
            If a character was never seen, or there are more than a million meetings.

        Examples
        --------
        >>> met = session.meetings("emma")
        >>> set(met["character_id"])
        {'emma'}
        """
        names, others = names_of(character_id), names_of(other)
        after = NAT if since is None else self._moment(since).value
        before = FOREVER if until is None else self._moment(until).value
        talk = talk_of(self._store, names if names is not None else others)
        stays = self._store.by_pieces(lambda pieces: wanted_stays(pieces, names, others, talk))
        table = meeting_table(stays, talk, names, others, after, before)
        warn_unknown_names(self._store, {"character_id": [*(names or ()), *(others or ())] or None})
        return table

    def spread(self, text_or_event_id: str) -> pd.DataFrame:
        """List how something spread through the town: who had it first, and from whom each of the others may have it.

        Parameters
        ----------
        text_or_event_id : str
            A text that was said or thought (in any case), or the `event_id` of a chat message or a thought, whose text
            is then searched for.

        Returns
        -------
        pandas.DataFrame
            One row for each character, in the order of first having it: `character_id` (str), `row` (int64, the event
            in which the character first had it), `tick` (Int64), `time` (datetime64[ns, UTC]), `how` (str: ``"said"``,
            ``"heard"``, ``"thought"``), `from` (object: who said it, or those who had it before and were in one place
            with the character) and `text` (object).

        Raises
        ------
        ValueError
            For an empty text.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.said("emma", ["noah"], "The bakery closes.")
        ...     _ = town.said("noah", ["mia"], "Did you hear? The bakery closes.")
        ...     with dc.connect(town) as session:
        ...         session.spread("bakery closes")[["character_id", "how", "from"]].to_numpy().tolist()
        [['emma', 'said', []], ['noah', 'heard', ['emma']], ['mia', 'heard', ['noah']]]
        """
        wanted = self._text_of(word("text_or_event_id", text_or_event_id))
        if not wanted.strip():
            raise ValueError("spread() needs a text that was said or thought, or the event_id of one")
        pattern = says(wanted)
        chat, thoughts = (self._said(kind, pattern) for kind in (MessageTypes.CHAT_MESSAGE, MessageTypes.THOUGHT))
        table = spread_table(wanted.casefold(), chat, thoughts, self.timeline)
        if not len(table):
            warn_user(f"nobody said or thought {wanted[:80]!r} so far")
        return table

    def _text_of(self, text_or_event_id: str) -> str:
        """Return the text of the chat message or the thought that has this id, else the text itself."""
        for row in self._store.rows_named([text_or_event_id]).get(text_or_event_id, ()):
            for event in self._store.event_dicts(row, row + 1):
                key = SAID.get(event["type"])
                if key is not None:
                    payload = event["payload"]
                    return text_in(payload.get(key) if isinstance(payload, dict) else None)
        return text_or_event_id

    def _said(self, kind: str, pattern: Pattern | None) -> pd.DataFrame:
        """Return the table of what was said or thought, of which only what may have a text is needed."""
        if pattern is None:
            return self._kind(kind, None, None, None, None)
        return kind_that(self._store, kind, pattern)


SAID: Final = {str(MessageTypes.CHAT_MESSAGE): "content", str(MessageTypes.THOUGHT): "text"}
