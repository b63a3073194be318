"""Questions about causes and effects."""

from __future__ import annotations

from dataclasses import replace

from ..causes import effects, why
from ..chain import Chain
from .asking import Asking


class CauseQuestions(Asking):
    """The questions about causes and effects in a run."""

    def why(self, row: int) -> Chain:
        """Follow what led to an event: declared ids, and derived links where no ids were declared.

        Derived links are: the last answered call of a character before an event of it, a message or thought whose text
        is in a prompt, and the command before a change. That is influence at most; only an experiment tests a cause.

        Parameters
        ----------
        row : int
            The event's number in the index of `events()`.

        Returns
        -------
        Chain
            A chain with `table()`, `figure()` and `notes` (what is unknown or left out); printing it shows the chain as
            text.

        Raises
        ------
        KeyError
            If the row is not held.
        ValueError
            If `row` is not a whole number.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     plan = town.llm_call("emma", prompt_type="PLAN", prompt="What now?", response="walk", id="call-1")
        ...     _ = town.state_change("emma", "MOVE", cause=plan)
        ...     with dc.connect(town) as session:
        ...         session.why(1).table()[["depth", "type", "grade"]].to_numpy().tolist()
        [[0, 'state_change', nan], [1, 'llm_call', 'declared']]
        """
        return replace(why(self._store, row), still=self._still)

    def effects(self, row: int) -> Chain:
        """Follow what an event led to, as `why` does in the other direction.

        Parameters
        ----------
        row : int
            The event's number in the index of `events()`.

        Returns
        -------
        Chain
            With `table()`, `figure()` and `notes`.

        Raises
        ------
        KeyError
            If the row is not held.
        ValueError
            If `row` is not a whole number.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0) as town:
        ...     _ = town.llm_call("emma", prompt_type="PLAN", prompt="What now?", response="walk")
        ...     _ = town.state_change("emma", "MOVE")
        ...     with dc.connect(town) as session:
        ...         session.effects(0).table()[["depth", "type", "grade"]].to_numpy().tolist()
        [[0, 'llm_call', nan], [1, 'state_change', 'derived']]
        """
        return replace(effects(self._store, row), still=self._still)
