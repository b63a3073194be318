"""The static view beside a widget, which a saved notebook shows; it is updated while the page is open."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd

from ..core.escaping import visible
from ..pages.parts import Remark, Section
from ..pages.static_view import headline, static_view

logger = logging.getLogger("degentcivil_nb.widgets")

WIDGET: Final = "application/vnd.jupyter.widget-view+json"
EVERY_S: Final = 2.0
"""The least time between two updates."""
MOST_ROWS: Final = 500_000
"""The most events for which a static view searches the whole run, since showing a panel must not take seconds."""


class Still:
    """A static view of one widget: a second output below it, which the widget's own style hides while it lives.

    In one output with the widget, the view would not be shown when the notebook is opened again and trusted.
    """

    def __init__(self, title: str, about: Callable[[], str], sections: Callable[[], Sequence[Section]]) -> None:
        self._title = title
        self._about = about
        self._sections = sections
        self._display_id = f"degentcivil-{uuid.uuid4().hex}"
        self._shown = False
        self._key: Any = None
        self._updated_at = 0.0
        self._updating = threading.Lock()

    def said(self, moment: str) -> str:
        """Return a line that says what the view shows, of which run and which moment."""
        return headline(self._title, self._about(), moment, pd.Timestamp.now("UTC"))

    def html(self, moment: str) -> str:
        """Return the view as HTML; after a failure, HTML that says so."""
        try:
            sections = list(self._sections())
        except Exception as error:  # the live widget must be shown whatever happens to its static view
            logger.warning("the static view of the %s failed", self._title, exc_info=True)
            sections = [Section("Nothing to show", [Remark(f"{type(error).__name__}: {error}")])]
        return static_view(self.said(moment), sections)

    def line(self) -> str:
        """Return the line that is shown in places that cannot show a widget."""
        about = self._about()
        return visible(f"{self._title}{f' of {about}' if about else ''}: shown live by a widget")

    def show(self, bundle: dict[str, Any], metadata: dict[str, Any], moment: str) -> None:
        """Display a widget, and the static view as an output of its own."""
        from IPython.display import display

        data = {name: value for name, value in bundle.items() if name != "text/html"}
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        self._publish(bundle["text/html"], moment, update=False)
        self._shown = True

    def update(self, key: Any, now: float, moment: str, *, at_once: bool = False) -> None:
        """Update the view if the run's state (`key`) has changed; on a refresher's thread."""
        if not self._updating.acquire(blocking=False):
            return  # another panel of the same widget does it
        try:
            self._update(key, now, moment, at_once)
        finally:
            self._updating.release()

    def _update(self, key: Any, now: float, moment: str, at_once: bool) -> None:
        if not self._shown or key == self._key or (not at_once and now - self._updated_at < EVERY_S):
            return
        first, self._key, self._updated_at = self._key is None, key, now
        if not first:
            self._publish(self.html(moment), moment, update=True)

    def _publish(self, html: str, moment: str, *, update: bool) -> None:
        from IPython.display import publish_display_data

        data = {"text/html": html, "text/plain": visible(self.said(moment))}
        try:
            publish_display_data(data, transient={"display_id": self._display_id}, update=update)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 — a kernel that is shutting down takes no more output
            logger.info("the static view of the %s was not brought up to date: %s", self._title, error)
