"""All panels in one widget: a head line, the time bar, and tabs; only the open tab is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from ..pages.parts import Section
from .character_page import CharacterPage
from .characters import CharactersPanel
from .charts_panel import ChartsPanel
from .chat_table import ChatTable
from .connection_panel import ConnectionPanel
from .console import ConsolePanel
from .cursor import Cursor
from .debug_panel import DebugPanel
from .errors_table import ErrorsTable
from .event_log import EventsPanel
from .figure_panels import ErrorsPanel, LlmPanel
from .findings_panel import FindingsNow, FindingsPanel
from .headline import Headline
from .interfaces import PanelCommands, PanelReader, PanelStatus
from .llm_table import LlmTable
from .map_panel import MapPanel
from .page_widget import PageWidget
from .panel import Panel
from .refresh import Refresher
from .row_actions import RowActions
from .search import Search
from .time_bar import TimeBar
from .timeline import TimelinePanel

STILL: Final = (
    "head line", "time bar", "map", "characters", "timeline", "findings", "errors", "events", "calls", "chat", "debug",
)  # fmt: skip
"""The panels of a dashboard's static view."""


class Dashboard(PageWidget):
    """A run in one widget; `close()` removes it from the page and releases everything."""

    layout_kind: ClassVar[str] = "dashboard"

    def __init__(
        self,
        reader: PanelReader,
        status: PanelStatus,
        commands: PanelCommands,
        refresher: Refresher,
        cursor: Cursor | None = None,
        run: Any = None,
    ) -> None:
        self.cursor = cursor or Cursor(reader)
        self.search = search = Search(reader)
        if cursor is None:
            self.cursor.listen(refresher.poke)

        def give(place: str) -> dict[str, Any]:
            return {"cursor": self.cursor, "host": self, "place": place}

        findings, actions = FindingsNow(run), RowActions(run, reader)
        takes_commands = run is None or hasattr(run, "break_when")  # a recording takes no commands
        self.headline = Headline(status, commands, refresher, findings=findings, reader=reader, **give("head"))
        panels: list[Panel] = [
            self.headline,
            TimeBar(reader, refresher, search=search, run=run, findings=findings, **give("bar")),
            CharactersPanel(reader, refresher, actions=actions, **give("town")),
            MapPanel(reader, refresher, **give("town")),
            TimelinePanel(reader, refresher, **give("timeline")),
            EventsPanel(reader, refresher, search=search, actions=actions, **give("events")),
            ErrorsTable(reader, refresher, search=search, actions=actions, **give("errors")),
            ErrorsPanel(reader, refresher, **give("errors")),
            LlmTable(reader, refresher, search=search, actions=actions, **give("LLM calls")),
            LlmPanel(reader, refresher, **give("LLM calls")),
            ChatTable(reader, refresher, search=search, actions=actions, **give("chat")),
            ChartsPanel(reader, refresher, run=run, **give("charts")),
            *self._of_runs(run, findings, actions, reader, refresher, give),
            *([ConsolePanel(commands, refresher, **give("console"))] if takes_commands else []),
            ConnectionPanel(status, refresher, **give("connection")),
            CharacterPage(reader, status, commands, refresher, findings=findings, actions=actions, **give("side")),
        ]
        self.panels = {panel.title: panel for panel in panels}
        search.wanted = lambda: any(panel.flow.watched for panel in panels)
        self._takers: dict[str, Callable[[Any], None]] = {panel.part.key: panel.take for panel in panels}
        super().__init__(refresher, [panel.part for panel in panels])

    @staticmethod
    def _of_runs(
        run: Any,
        findings: FindingsNow,
        actions: RowActions,
        reader: PanelReader,
        refresher: Refresher,
        give: Callable[[str], dict[str, Any]],
    ) -> list[Panel]:
        """Make the panels that need a session or a recording, and not only its store."""
        if run is None:
            return []
        return [
            FindingsPanel(findings, lambda: reader.version, refresher, actions=actions, **give("findings")),
            DebugPanel(run, lambda: reader.version, refresher, **give("debug")),
        ]

    def take(self, content: Any) -> None:
        """See `PageWidget`: a message is for one of the panels, or says of several what a page drew."""
        if not isinstance(content, dict):
            return
        drawn, panel = content.get("drawn"), content.get("panel")
        for key in list(drawn) if isinstance(drawn, dict) else [panel]:
            if isinstance(key, str) and key in self._takers:
                self._takers[key](content)

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        panels = [self.panels[name] for name in STILL if name in self.panels]
        return [section for panel in panels for section in panel.still()]

    def stands(self) -> Any:
        """See `PageWidget`."""
        return self.headline.run_state

    def moment_shown(self) -> str:
        """See `PageWidget`."""
        return self.panels["characters"].moment_shown()

    def close(self) -> None:
        """Close every panel and the widget. Idempotent."""
        for panel in self.panels.values():
            panel.close()
        super().close()
