"""Seeing a run: its panels and dashboard, and the moment that they show."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...store.arguments import Moment
from ...widgets.cursor import Cursor

if TYPE_CHECKING:
    from ...store.interfaces import RunStore
    from ...widgets.dashboard import Dashboard
    from ...widgets.panels import Panels
    from ...widgets.refresh import Refresher


class SeeingMethods:
    """The methods of a session or recording that show it."""

    _store: RunStore

    @cached_property
    def _cursor(self) -> Cursor:
        return Cursor(self._store)

    @cached_property
    def _refresher(self) -> Refresher:
        raise NotImplementedError

    def _panels(self) -> Panels:
        raise NotImplementedError

    def _follow(self, make: Callable[[], dict[str, Any]]) -> Any:
        """Make a live figure from a function that draws; see `session.plot`."""
        from ...widgets.live_figure import LiveFigure  # ipywidgets is imported when first used

        return LiveFigure(make, lambda: self._store.version, self._refresher)

    @staticmethod
    def _still(spec: dict[str, Any]) -> str | None:
        """See `Reader`."""
        from ...pages.chart import chart

        picture = chart(spec)
        return None if picture is None else picture.svg

    def at(self, *, tick: int | None = None, time: Moment = None, row: int | None = None) -> dict[str, Any] | None:
        """Show an earlier moment in all panels. Questions still answer for the whole run.

        Parameters
        ----------
        tick : int, optional
            The moment after the last event up to this tick.
        time : datetime, str, number or timedelta, optional
            The moment after the last event up to this time, as `since` of `events` takes it.
        row : int, optional
            The moment after this event.

        Returns
        -------
        dict or None
            The moment of the cursor: `row`, `tick` and `time` (UTC). ``None`` if the panels show the present. Without
            an argument, the cursor is not moved.

        Raises
        ------
        ValueError
            If that moment is outside of the events held, or more than one argument is given.

        Examples
        --------
        >>> session.at(tick=10)["tick"]
        10
        >>> session.back_to_live()
        """
        return self._cursor.at(tick=tick, time=time, row=row)

    def back_to_live(self) -> None:
        """Show the present in all panels again.

        Examples
        --------
        >>> session.back_to_live()
        >>> session.at() is None
        True
        """
        self._cursor.back_to_live()

    @property
    def selected(self) -> dict[str, Any]:
        """Return the selection: what was clicked last in a panel.

        Returns
        -------
        dict
            `character_id`, `row` (of the event that was clicked), `tick` and `time` (UTC) of the event, or of the
            moment shown. An unknown value is ``None``.

        Examples
        --------
        >>> session.selected["character_id"] is None
        True
        """
        return self._cursor.selected

    @cached_property
    def panel(self) -> Panels:
        """Make one panel: `session.panel.characters()`, `.events()`, `.rates()`, `.errors()`, `.connection()` …

        Returns
        -------
        Panels
            Each of its methods makes a widget that follows the run until it is closed.

        Examples
        --------
        >>> panel = session.panel.characters()  # the last line of a cell shows it
        >>> panel.close()
        """
        return self._panels()

    def dashboard(self) -> Dashboard:
        """Show all panels in one widget, which follows the run and goes on while a cell blocks.

        Returns
        -------
        Dashboard
            The widget; the last line of a cell shows it.

        Examples
        --------
        >>> board = session.dashboard()
        >>> board.close()
        """
        return self.panel.dashboard()
