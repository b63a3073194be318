"""The case file: a moment of a run as one page, for a colleague without Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ...analysis.methods.causes import CauseQuestions
from ...analysis.methods.findings import FindingQuestions
from ...analysis.methods.stops import StopQuestions
from ...core.arguments import path as checked_path
from ...store.arguments import Moment
from ...widgets.cursor import Cursor

if TYPE_CHECKING:
    from ...store.moments import RowMoment


class CaseMethods(CauseQuestions, FindingQuestions, StopQuestions):
    """The method of a session or recording that writes a case file."""

    @cached_property
    def _cursor(self) -> Cursor:
        raise NotImplementedError

    def _case_facts(self) -> tuple[str, dict[str, object]]:
        """Return the run's name, and the facts about it for the page."""
        raise NotImplementedError

    def to_html(
        self,
        path: str | os.PathLike[str],
        *,
        at: Moment = None,
        tick: int | None = None,
        rows: Any = None,
    ) -> Path:
        """Write a case file: one page of a moment, which opens without Python and without a network.

        It holds the map and the characters as they were then, the timeline and the events, calls and errors around it,
        and the findings, gaps and breakpoints of the run. Where a list is capped, the page says how many of how many
        are shown. An existing page is overwritten.

        Parameters
        ----------
        path : str or path-like
            The page: ``something.html``.
        at : datetime, str, number, timedelta or dict, optional
            The moment after the last event up to this time, as `since` of `events` takes it, or the result of a
            session's `at()`. Left out, and without `tick` and `rows`, it is the moment that the panels show: that of
            the cursor, or the newest event.
        tick : int, optional
            The moment after the last event up to this tick.
        rows : int or list-like of int, optional
            The events in question, such as the `rows` of a finding: each with its payload, what led to it and what it
            led to. Without `at` and `tick`, the moment is that of the last one; without `rows`, the event is the one
            at the moment.

        Returns
        -------
        pathlib.Path
            The page.

        Raises
        ------
        ValueError
            If the moment or a row is not held, or the page is not called ``.html``.

        Examples
        --------
        >>> page = session.to_html(folder / "case.html", tick=10)
        >>> "tick 10" in page.read_text(encoding="utf-8")
        True
        """
        from ...pages.case_file import Case, checked_target, page_of, rows_asked, write_page

        target = checked_target(Path(checked_path("path", path)))
        asked = rows_asked(rows)
        moment = self._case_moment(at, tick, asked)
        for row in asked:
            Cursor(self._store).at(row=row)  # says so if it is not held
        if not asked and moment is not None:
            asked = [moment.row]
        newest = moment is not None and moment.row == self._store.next_row - 1
        name, facts = self._case_facts()
        case = Case(name, facts, moment, asked, newest, pd.Timestamp.now("UTC"))
        write_page(target, page_of(case, self, self._store))
        return target

    def _case_moment(self, at: Moment, tick: int | None, rows: list[int]) -> RowMoment | None:
        store = self._store
        if store.next_row <= store.first_row and at is None and tick is None and not rows:
            return None
        cursor = Cursor(store)
        if isinstance(at, Mapping):
            cursor.at(row=at.get("row"), tick=tick)
        elif at is not None or tick is not None:
            cursor.at(time=at, tick=tick)
        elif rows:
            cursor.at(row=max(rows))
        elif self._cursor.moment is None:
            cursor.at(row=store.next_row - 1)
        else:
            return self._cursor.moment
        return cursor.moment
