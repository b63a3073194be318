"""`session.panel`: each method makes a widget that follows the run until it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.arguments import word_or_none
from ..core.event_columns import NOUNS
from ..store.unknown import warn_unknown
from .character_page import CharacterPage
from .characters import CharactersPanel
from .charts_panel import ChartsPanel
from .chat_table import ChatTable
from .connection_panel import ConnectionPanel
from .console import ConsolePanel
from .dashboard import Dashboard
from .debug_panel import DebugPanel
from .errors_table import ErrorsTable
from .event_log import EventsPanel
from .figure_panels import ErrorsPanel, LlmPanel, RatesPanel
from .findings_panel import FindingsNow, FindingsPanel
from .llm_table import LlmTable
from .map_panel import MapPanel
from .row_actions import RowActions
from .timeline import TimelinePanel
from .traffic import TrafficPanel

if TYPE_CHECKING:
    from .cursor import Cursor
    from .interfaces import PanelCommands, PanelNames, PanelStatus, PanelTraffic
    from .refresh import Refresher


class Panels:
    """The panels of one session, recording or replay. All of them are drawn by one thread."""

    def __init__(
        self,
        reader: PanelNames,
        status: PanelStatus,
        commands: PanelCommands,
        refresher: Refresher,
        cursor: Cursor,
        run: Any,
        traffic: PanelTraffic | None = None,
    ) -> None:
        self._traffic = traffic
        self._reader = reader
        self._status = status
        self._commands = commands
        self._refresher = refresher
        self._cursor = cursor
        self._run = run
        self._actions = RowActions(run, reader)
        cursor.listen(refresher.poke)

    def characters(self) -> CharactersPanel:
        """Show every character now in a table that sorts and filters.

        Returns
        -------
        CharactersPanel
            One row for each character: state, place, time in the state, attributes.

        Examples
        --------
        >>> panel = session.panel.characters()  # the last line of a cell shows it
        >>> panel.close()
        """
        return CharactersPanel(self._reader, self._refresher, actions=self._actions, cursor=self._cursor)

    def character(self, character_id: str | int | None = None) -> CharacterPage:
        """Show one character: its state, attributes with their histories, last events, calls and messages.

        Parameters
        ----------
        character_id : str or int, optional
            The character of the page. Left out, the page shows the character that was selected last.

        Returns
        -------
        CharacterPage
            A page that follows the run, or shows the moment of the cursor.

        Examples
        --------
        >>> panel = session.panel.character("emma")  # the last line of a cell shows it
        >>> panel.close()
        """
        who = word_or_none("character_id", character_id)
        if who is not None:
            warn_unknown(NOUNS["character_id"], [who], self._reader.words["character_id"])
        return CharacterPage(
            self._reader, self._status, self._commands, self._refresher, cursor=self._cursor, character_id=who,
            findings=FindingsNow(self._run), actions=self._actions,
        )  # fmt: skip

    def chat(self) -> ChatTable:
        """Show what characters say to each other.

        Returns
        -------
        ChatTable
            One row for each message, with its conversation; all messages held can be reached.

        Examples
        --------
        >>> panel = session.panel.chat()  # the last line of a cell shows it
        >>> panel.close()
        """
        return ChatTable(self._reader, self._refresher, actions=self._actions, cursor=self._cursor)

    def findings(self) -> FindingsPanel:
        """Show what is wrong in the run.

        Returns
        -------
        FindingsPanel
            One row for each finding, the severest first; a click shows the moment of its first row.

        Examples
        --------
        >>> panel = session.panel.findings()  # the last line of a cell shows it
        >>> panel.close()
        """
        reader = self._reader
        return FindingsPanel(
            FindingsNow(self._run), lambda: reader.version, self._refresher, actions=self._actions, cursor=self._cursor
        )

    def breakpoints(self) -> DebugPanel:
        """Show the breakpoints of all notebooks, where they stopped the run, and the watches.

        Returns
        -------
        DebugPanel
            Tables of breakpoints, stops and watches, and a form that makes a breakpoint.

        Examples
        --------
        >>> panel = session.panel.breakpoints()  # the last line of a cell shows it
        >>> panel.close()
        """
        reader = self._reader
        return DebugPanel(self._run, lambda: reader.version, self._refresher, cursor=self._cursor)

    def map(self) -> MapPanel:
        """Show every character where it is.

        Returns
        -------
        MapPanel
            A dot for each character at its `x` and `y`, or around its place; its colour is its state.

        Examples
        --------
        >>> panel = session.panel.map()  # the last line of a cell shows it
        >>> panel.close()
        """
        return MapPanel(self._reader, self._refresher, cursor=self._cursor)

    def llm_calls(self) -> LlmTable:
        """Show the calls of language models, each with its full text.

        Returns
        -------
        LlmTable
            A table of all calls, the totals of the whole run, and for each call the changes in its prompt.

        Examples
        --------
        >>> panel = session.panel.llm_calls()  # the last line of a cell shows it
        >>> panel.close()
        """
        return LlmTable(self._reader, self._refresher, actions=self._actions, cursor=self._cursor)

    def timeline(self) -> TimelinePanel:
        """Show who was in which state when.

        Returns
        -------
        TimelinePanel
            A lane for every character over the whole run, with gaps and errors; zoom, order and filter.

        Examples
        --------
        >>> panel = session.panel.timeline()  # the last line of a cell shows it
        >>> panel.close()
        """
        return TimelinePanel(self._reader, self._refresher, cursor=self._cursor)

    def events(self) -> EventsPanel:
        """Show the newest events as they arrive.

        Returns
        -------
        EventsPanel
            A table that grows at its end, with the gaps between the events.

        Examples
        --------
        >>> panel = session.panel.events()  # the last line of a cell shows it
        >>> panel.close()
        """
        return EventsPanel(self._reader, self._refresher, actions=self._actions, cursor=self._cursor)

    def rates(self) -> RatesPanel:
        """Show events per second by type.

        Returns
        -------
        RatesPanel
            A live figure of the last minutes.

        Examples
        --------
        >>> panel = session.panel.rates()  # the last line of a cell shows it
        >>> panel.close()
        """
        return RatesPanel(self._reader, self._refresher, cursor=self._cursor)

    def charts(self) -> ChartsPanel:
        """Show charts below each other over one time axis: rates, errors, latency, calls, measures, attributes …

        Returns
        -------
        ChartsPanel
            The ten minutes before the moment shown. Which charts are drawn is chosen in the panel, at most eight.

        Examples
        --------
        >>> panel = session.panel.charts()  # the last line of a cell shows it
        >>> panel.close()
        """
        return ChartsPanel(self._reader, self._refresher, run=self._run, cursor=self._cursor)

    def errors(self) -> ErrorsPanel:
        """Show errors over time.

        Returns
        -------
        ErrorsPanel
            A live figure of the last minutes, one colour for each code.

        Examples
        --------
        >>> panel = session.panel.errors()  # the last line of a cell shows it
        >>> panel.close()
        """
        return ErrorsPanel(self._reader, self._refresher, cursor=self._cursor)

    def errors_table(self) -> ErrorsTable:
        """Show the newest errors with their texts.

        Returns
        -------
        ErrorsTable
            A table that grows at its end.

        Examples
        --------
        >>> panel = session.panel.errors_table()  # the last line of a cell shows it
        >>> panel.close()
        """
        return ErrorsTable(self._reader, self._refresher, actions=self._actions, cursor=self._cursor)

    def connection(self) -> ConnectionPanel:
        """Show the state of the connection.

        Returns
        -------
        ConnectionPanel
            Its numbers, its problems, and its history with times.

        Examples
        --------
        >>> panel = session.panel.connection()  # the last line of a cell shows it
        >>> panel.close()
        """
        return ConnectionPanel(self._status, self._refresher)

    def traffic(self) -> TrafficPanel:
        """Show the frames that are sent and received, from now on.

        `session.traffic.enabled = False` stops keeping frames.

        Returns
        -------
        TrafficPanel
            A table that grows at its end.

        Raises
        ------
        ValueError
            For a recording, which has no frames.

        Examples
        --------
        >>> panel = session.panel.traffic()  # the last line of a cell shows it
        >>> panel.close()
        """
        if self._traffic is None:
            raise ValueError("a recording has messages and no frames; the traffic panel needs a live session")
        self._traffic.enabled = True
        return TrafficPanel(self._traffic, self._reader, self._refresher)

    def llm(self) -> LlmPanel:
        """Show the calls of language models.

        Returns
        -------
        LlmPanel
            Latency, tokens, cost and malformed answers by type of prompt.

        Examples
        --------
        >>> panel = session.panel.llm()  # the last line of a cell shows it
        >>> panel.close()
        """
        return LlmPanel(self._reader, self._refresher, cursor=self._cursor)

    def console(self) -> ConsolePanel:
        """Show a console for the commands that the simulation offers.

        Returns
        -------
        ConsolePanel
            A line to type a command, and the results of the last ones.

        Examples
        --------
        >>> panel = session.panel.console()  # the last line of a cell shows it
        >>> panel.close()
        """
        return ConsolePanel(self._commands, self._refresher)

    def dashboard(self) -> Dashboard:
        """Show all panels in one widget.

        Returns
        -------
        Dashboard
            A head line, and tabs; only the open tab costs anything.

        Examples
        --------
        >>> panel = session.panel.dashboard()  # the last line of a cell shows it
        >>> panel.close()
        """
        return Dashboard(self._reader, self._status, self._commands, self._refresher, self._cursor, self._run)
