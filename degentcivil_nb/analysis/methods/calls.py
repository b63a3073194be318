"""Questions about what characters think, say and call, and about measures of the model."""

from __future__ import annotations

import pandas as pd

from ...protocol.messages import MessageTypes
from ...store.arguments import Moment, Names, moment_ns, names_of, whole
from ...store.characters import json_column
from ...store.unknown import warn_unknown
from ..answers import EVERY, JUDGED, with_malformed
from ..kinds import kind_table
from ..run_calls import chosen_calls
from ..unknown_names import warn_unknown_names
from .events import EventQuestions


class CallQuestions(EventQuestions):
    """The questions about model calls, tool calls, chat, thoughts and measures of a run."""

    def llm_calls(
        self,
        *,
        character_id: Names = None,
        since: Moment = None,
        until: Moment = None,
        last: int | None = None,
    ) -> pd.DataFrame:
        """List the calls of language models, with their prompts and responses.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only calls of these characters.
        since, until : datetime, str, number or timedelta, optional
            Only calls from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only this many of the newest.

        Returns
        -------
        pandas.DataFrame
            Indexed by `row`: `epoch`, `seq`, `tick`, `time`, `character_id` as in `events()`; `prompt_type`, `model`,
            `error` (str); `prompt` and `response` (str, or object where not all are texts); `prompt_tokens`,
            `completion_tokens` (Int64); `latency_s` (Float64, seconds) and `cost_usd` (Float64, US dollars);
            `provider`, `rejected` (str: why the answer was asked for again), `retries` (Int64); `event_id` and `cause`
            (object: a text, or a list of them); `malformed` (boolean): the answer is not JSON although JSON is usual
            for its `prompt_type`, NA without an answer. Unknown values, such as tokens, are missing and not 0.

        Raises
        ------
        ValueError
            If a moment, a name or `last` cannot be understood.

        Examples
        --------
        >>> calls = session.llm_calls(last=10)
        >>> calls["latency_s"].dtype, calls["model"].unique().tolist()
        (Float64Dtype(), ['towngpt-4-mini'])
        """
        if character_id is None and since is None and until is None:
            wanted = None if last is None else whole(last, "`last`")
            return with_malformed(self._store.llm_calls(last=None if wanted is None else max(wanted, JUDGED))).tail(
                EVERY if wanted is None else wanted
            )
        names = names_of(character_id)
        low, high = (None if at is None else moment_ns(at, self._newest) for at in (since, until))
        most = None if last is None else whole(last, "`last`")
        malformed = self._store.by_pieces(lambda pieces: chosen_calls(pieces, names, low, high, most))
        found = self._store.calls_of(malformed.index.tolist()).assign(malformed=malformed)
        warn_unknown_names(self._store, {"character_id": names})
        return found

    def chat(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List what characters said to others.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only what these characters said.
        since, until : datetime, str, number or timedelta, optional
            Only messages from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only this many of the newest.

        Returns
        -------
        pandas.DataFrame
            One row for each chat message, indexed by `row`: `epoch`, `seq`, `tick`, `time`, `character_id` (who speaks)
            as in `events()`; `receivers` (object: lists of ids), `content` (str, or object where not all are texts),
            `channel`, `event_id` (str) and `cause` (object: a text or a list of them).

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.said("emma", ["noah"], "Good morning!", id="c1")
        ...     with dc.connect(town) as session:
        ...         session.chat()[["receivers", "content", "event_id"]].to_numpy().tolist()
        [[['noah'], 'Good morning!', 'c1']]
        """
        return self._kind(MessageTypes.CHAT_MESSAGE, character_id, since, until, last)

    def tool_calls(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List what characters did with tools.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only calls of these characters.
        since, until : datetime, str, number or timedelta, optional
            Only calls from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only this many of the newest.

        Returns
        -------
        pandas.DataFrame
            One row for each call, indexed by `row`: `epoch`, `seq`, `tick`, `time`, `character_id` as in `events()`;
            `name`, `error`, `event_id` (str), `arguments`, `result`, `cause` (object) and `latency_s` (Float64,
            seconds).

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.tool_call("emma", "search", {"query": "bread"}, ["Market"], latency_s=0.2)
        ...     with dc.connect(town) as session:
        ...         session.tool_calls()[["name", "result", "latency_s"]].to_numpy().tolist()
        [['search', ['Market'], 0.2]]
        """
        return self._kind(MessageTypes.TOOL_CALL, character_id, since, until, last)

    def thoughts(
        self, *, character_id: Names = None, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List plans, memories and reflections.

        Parameters
        ----------
        character_id : str, int or list-like of them, optional
            Only thoughts of these characters.
        since, until : datetime, str, number or timedelta, optional
            Only thoughts from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only this many of the newest.

        Returns
        -------
        pandas.DataFrame
            One row for each thought, indexed by `row`: `epoch`, `seq`, `tick`, `time`, `character_id` as in `events()`;
            `kind`, `event_id` (str), `text` (str, or object where not all are texts), `evidence` (object: lists of the
            ids of the events that it is based on) and `cause` (object: a text or a list of them).

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.thought("emma", "plan", "buy bread", evidence=["c1"])
        ...     with dc.connect(town) as session:
        ...         session.thoughts()[["kind", "text", "evidence"]].to_numpy().tolist()
        [['plan', 'buy bread', ['c1']]]
        """
        return self._kind(MessageTypes.THOUGHT, character_id, since, until, last)

    def measures(
        self, name: Names = None, *, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List the model's measures.

        Parameters
        ----------
        name : str or list-like of str, optional
            Only measures of these names.
        since, until : datetime, str, number or timedelta, optional
            Only measures from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only this many of the newest.

        Returns
        -------
        pandas.DataFrame
            One row for each published value, indexed by `row`: `tick` (Int64), `time` (datetime64[ns, UTC]),
            `name` (str) and `value` (a number type where all are numbers).

        Raises
        ------
        ValueError
            If a moment or a name cannot be understood.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     for value in (0.25, 0.5):
        ...         town.measure("gini", value)
        ...     with dc.connect(town) as session:
        ...         session.measures("gini")["value"].to_list()
        [0.25, 0.5]
        """
        found = self._kind(MessageTypes.MEASURE, None, since, until, None)[["tick", "time", "name", "value"]]
        names = names_of(name)
        if names is not None:
            warn_unknown("measure", names, found["name"].unique().tolist())
            found = found[found["name"].isin(names).to_numpy()]
        found = found if last is None else found.tail(whole(last, "`last`"))
        return found.assign(value=json_column(found["value"].tolist(), found.index))

    def _kind(self, kind: str, character_id: Names, since: Moment, until: Moment, last: int | None) -> pd.DataFrame:
        names = names_of(character_id)
        found = self._store.events(kind, character_id=names, since=since, until=until, last=last, payload=True)
        warn_unknown_names(self._store, {"character_id": names})
        return kind_table(found, kind)

    def watches(
        self, name: Names = None, *, since: Moment = None, until: Moment = None, last: int | None = None
    ) -> pd.DataFrame:
        """List the values of watches, tick by tick.

        Parameters
        ----------
        name : str or list-like of str, optional
            Only watches of these names.
        since, until : datetime, str, number or timedelta, optional
            Only values from `since` on and before `until`; read as in `events`.
        last : int, optional
            Only this many of the newest.

        Returns
        -------
        pandas.DataFrame
            One row for each published value, indexed by `row`: `tick` (Int64), `time` (datetime64[ns, UTC]), `name`
            (str), `character_id` (category, NA for a value of the whole model) and `value` (a number type where all are
            numbers).

        Raises
        ------
        ValueError
            If a name cannot be understood.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     _ = other.watch("tick", "clock")
        ...     _ = other.step(2)
        ...     other.watches("clock")["value"].iloc[-2:].to_list()
        [1, 2]
        """
        found = self._kind(MessageTypes.WATCH, None, since, until, None)
        found = found[["tick", "time", "name", "character_id", "value"]]
        names = names_of(name)
        if names is not None:
            warn_unknown("watch", names, found["name"].unique().tolist())
            found = found[found["name"].isin(names).to_numpy()]
        found = found if last is None else found.tail(whole(last, "`last`"))
        return found.assign(value=json_column(found["value"].tolist(), found.index))
