"""All panels in one widget: a head line, and tabs of which only the open one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets  # type: ignore[import-untyped]  # ships no types

from .characters import CharactersPanel
from .connection_panel import ConnectionPanel
from .console import ConsolePanel
from .errors_table import ErrorsTable
from .event_log import EventsPanel
from .figure_panels import ErrorsPanel, LlmPanel, RatesPanel, TimelinePanel
from .headline import Headline
from .interfaces import PanelCommands, PanelReader, PanelStatus
from .panel import Panel
from .refresh import Refresher


class Dashboard(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A run in one widget; `close()` removes it from the page and releases everything."""

    def __init__(self, reader: PanelReader, status: PanelStatus, commands: PanelCommands, refresher: Refresher) -> None:
        aside = {"_aside": True}
        tabs: dict[str, Sequence[Panel]] = {
            "characters": [CharactersPanel(reader, refresher, **aside)],
            "timeline": [TimelinePanel(reader, refresher, **aside)],
            "rates": [RatesPanel(reader, refresher, **aside)],
            "events": [EventsPanel(reader, refresher, **aside)],
            "errors": [ErrorsPanel(reader, refresher, **aside), ErrorsTable(reader, refresher, **aside)],
            "LLM calls": [LlmPanel(reader, refresher, **aside)],
            "connection": [ConnectionPanel(status, refresher, **aside)],
            "console": [ConsolePanel(commands, refresher, **aside)],
        }
        self.headline = Headline(status, commands, refresher)
        self.panels = {panel.title: panel for panels in tabs.values() for panel in panels}
        pages = [ipywidgets.VBox(panels) for panels in tabs.values()]
        self.tabs = ipywidgets.Tab(pages, titles=tuple(tabs), selected_index=0)
        self.tabs.add_class("dc-tabs")
        super().__init__([self.headline, self.tabs])
        for box in (self, self.tabs, *pages):
            box.layout.width = "100%"
            box.layout.margin = "0"  # else the right border would be off the page

    def close(self) -> None:
        """Close every panel, box and layout. Idempotent."""
        for child in self.children:
            close_tree(child)
        layout = self.layout
        super().close()
        layout.close()


def close_tree(widget: Any) -> None:
    """Close a widget and all its children: ipywidgets closes only the outermost one."""
    for child in getattr(widget, "children", ()):
        close_tree(child)
    layout = widget.layout
    widget.close()
    layout.close()
