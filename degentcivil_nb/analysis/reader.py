"""The questions that sessions and recordings answer alike; they are in `methods/`, by concern."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from .methods.causes import CauseQuestions
from .methods.findings import FindingQuestions
from .methods.society import SocietyQuestions
from .methods.stops import StopQuestions

if TYPE_CHECKING:
    from ..figures.plots import Plots
    from ..store.interfaces import RunStore


class Reader(CauseQuestions, FindingQuestions, SocietyQuestions, StopQuestions):
    """The questions about a run, answered by one store; every returned frame belongs to the caller."""

    _store: RunStore

    def __len__(self) -> int:
        """Return the number of events held."""
        return len(self._store)

    def __bool__(self) -> bool:
        """Return True, even without events."""
        return True

    @cached_property
    def plot(self) -> Plots:
        """Return the plotly figures of this run.

        Returns
        -------
        Plots
            Each of its methods returns a figure as of the moment of the call, or with ``live=True`` one that follows
            the run.

        Examples
        --------
        >>> type(session.plot.transitions()).__name__
        'Figure'
        """
        from ..figures.plots import Plots  # plotly is imported when first used

        return Plots(self, self._follow, self._still)

    def _follow(self, make: Callable[[], dict[str, Any]]) -> Any:
        """Make a live figure from a function that draws; only readers with widgets can."""
        raise ValueError("a live figure needs a session or a recording")

    def sql(self, query: str) -> pd.DataFrame:
        """Answer one SELECT over this run.

        The tables are `events`, `characters`, `timeline`, `errors`, `llm_calls`, `chat`, `tool_calls`, `thoughts`,
        `measures`, `places`, `gaps`, `findings` and `meetings`, with the columns of the methods of these names, and
        `attributes`, the histories of all attributes (`value` as text, `number` if it is a number), and `links`, a row
        for each declared cause of an event: `row`, `cause_row` (null for a command, and for an id that no event has),
        `cause_id`, `grade` and `reason`, by the rules of `why`; of an event with very many causes it has the first 25.
        Links that `why` derives are not in it. `events` has `payload` and `data` too, as JSON text. Times are UTC.

        Parameters
        ----------
        query : str
            One SELECT in DuckDB's SQL.

        Returns
        -------
        pandas.DataFrame
            One row for each row of the answer.

        Raises
        ------
        ValueError
            If the query cannot be answered: DuckDB's message, and the names of the tables.
        ImportError
            If DuckDB is missing; the message says how to install it.

        Examples
        --------
        >>> session.sql("select code, count(*) as n from errors group by code order by code")
           code  n
        0  2001  3
        1  2002  1
        """
        from .sql import query as run  # DuckDB is imported when first used

        return run(self, self._store, query)
