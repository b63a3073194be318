"""The word `session.panel`: each method makes one widget that follows the run until it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .characters import CharactersPanel
from .connection_panel import ConnectionPanel
from .console import ConsolePanel
from .dashboard import Dashboard
from .errors_table import ErrorsTable
from .event_log import EventsPanel
from .figure_panels import ErrorsPanel, LlmPanel, RatesPanel, TimelinePanel
from .traffic import TrafficPanel

if TYPE_CHECKING:
    from .interfaces import PanelCommands, PanelReader, PanelStatus, PanelTraffic
    from .refresh import Refresher


class Panels:
    """Make the panels of one session; all of them are drawn by its one refresher."""

    def __init__(
        self,
        reader: PanelReader,
        status: PanelStatus,
        commands: PanelCommands,
        refresher: Refresher,
        traffic: PanelTraffic | None = None,
    ) -> None:
        self._traffic = traffic
        self._reader = reader
        self._status = status
        self._commands = commands
        self._refresher = refresher

    def characters(self) -> CharactersPanel:
        """Show every character now: state, place and attributes, in a table that sorts and filters."""
        return CharactersPanel(self._reader, self._refresher)

    def timeline(self) -> TimelinePanel:
        """Show who was in which state when."""
        return TimelinePanel(self._reader, self._refresher)

    def events(self) -> EventsPanel:
        """Show the newest events as they come."""
        return EventsPanel(self._reader, self._refresher)

    def rates(self) -> RatesPanel:
        """Show events a second by type."""
        return RatesPanel(self._reader, self._refresher)

    def errors(self) -> ErrorsPanel:
        """Show errors over time."""
        return ErrorsPanel(self._reader, self._refresher)

    def errors_table(self) -> ErrorsTable:
        """Show the newest errors with what they say."""
        return ErrorsTable(self._reader, self._refresher)

    def connection(self) -> ConnectionPanel:
        """Show how the connection is, why it is unwell, and what happened to it."""
        return ConnectionPanel(self._status, self._refresher)

    def traffic(self) -> TrafficPanel:
        """Show the frames themselves, which are kept from now on; `session.traffic.enabled = False` ends that."""
        if self._traffic is None:
            raise ValueError("a recording holds messages and no frames; those of a live session can be shown")
        self._traffic.enabled = True
        return TrafficPanel(self._traffic, self._reader, self._refresher)

    def llm(self) -> LlmPanel:
        """Show the calls of language models: how long, how many tokens, how dear, how many malformed."""
        return LlmPanel(self._reader, self._refresher)

    def console(self) -> ConsolePanel:
        """Take commands as typed lines and show their results."""
        return ConsolePanel(self._commands, self._refresher)

    def dashboard(self) -> Dashboard:
        """Show all panels in one widget."""
        return Dashboard(self._reader, self._status, self._commands, self._refresher)
