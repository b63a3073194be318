"""Watching values after each tick."""

from __future__ import annotations

from ...core.arguments import text_or_none
from ...core.event_columns import NOUNS
from ...expressions.standing import compile_standing
from ...store.arguments import name_of
from ...store.event_store import EventStore
from ...store.unknown import warn_unknown, warn_user
from ..watches import SessionWatches, Watch

TICKING = frozenset({"tick", "total_cost", "total_calls", "state", "location", "character_id"})
"""Names that have a value in any run."""


class WatchMethods:
    """The method of a session that watches a value."""

    _store: EventStore
    _watches: SessionWatches

    def watch(self, expression: str, name: str | None = None, *, character_id: str | int | None = None) -> Watch:
        """Make the simulation publish the value of an expression after each tick; the values are recorded with the run.

        `watches` lists the values, and `plot.watch` draws them.

        Parameters
        ----------
        expression : str
            An expression of the condition language: a measure (`gini`), an attribute, `state` or `location` of a
            character, `tick`, `total_cost`, `total_calls`, `stuck(10)`, and anything calculated from these.
        name : str, optional
            The watch's name; an earlier one of the same name is replaced, with a warning if it differs. Left out, it is
            the expression.
        character_id : str or int, optional
            The character whose attributes are meant. Left out, an expression about characters has a value for each
            character (at most 200), published when it changes.

        Returns
        -------
        Watch
            A handle with `.value` (the last), `.problem` and `.remove()`. The watch is declared again after a
            reconnect, and after a restart of the simulation.

        Raises
        ------
        ValueError
            For a mistake in the expression, and for a name that another notebook uses for another expression.
        CommandError
            If the server supports no watches.

        Warns
        -----
        UserWarning
            If a name or the character was never seen; the expression is watched all the same. If another watch of the
            same name is replaced.

        Examples
        --------
        >>> with dc.start_local_server(characters=2, paused=True) as town, dc.connect(town) as other:
        ...     _ = other.watch("total_calls", "calls")
        ...     _ = other.step(3)
        ...     other.watches("calls")["tick"].to_list()
        [0, 1, 2, 3]
        """
        whose = None if character_id is None else name_of(character_id)
        condition = compile_standing(expression)
        names = condition.names - TICKING - {detector.asks for detector in condition.detectors}
        attributes = self._store.names.said | self._store.names.known
        if unseen := sorted(names - attributes):
            measures = self._store.events("measure", payload=True)["payload"]
            known = {payload.get("name") for payload in measures if isinstance(payload, dict)}
            warn_unknown("attribute or measure", unseen, {*attributes, *known})
        seen = [str(one) for one in self._store.words["character_id"] if one is not None]
        if whose is not None and seen:
            warn_unknown(NOUNS["character_id"], [str(whose)], seen)
        name = text_or_none("name", name)
        before = None if name is None else self._watches.expression(name)
        watch = self._watches.add(expression, name, whose)
        if before not in (None, expression):
            warn_user(f"the watch {name!r} was there already: {before} is replaced by {expression}")
        return watch
