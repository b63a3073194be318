"""Input from pages: a comm that each page opens and on which Python never publishes, so that input passes a busy cell.

ipykernel 7.4 routes what a page sends to the subshell of the last publication on that comm. A comm without publications
keeps the subshell that JupyterLab gave it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakValueDictionary

import comm

logger = logging.getLogger("degentcivil_nb.widgets")

TARGET: Final = "degentcivil_nb.input"
GONE_S: Final = 60.0
"""A page closes its comm within this time, or it is gone."""


class InputComms:
    """The input comms of one panel; `hear` is called on the delivering thread and must return quickly."""

    def __init__(self, key: str, hear: Callable[[Any], None]) -> None:
        self.key = key
        self._hear = hear
        self._comms: dict[str, Any] = {}
        comm.get_comm_manager().register_target(TARGET, _opened)
        _by_key[key] = self

    def adopt(self, page: Any) -> None:
        """Register a comm that a page has opened."""
        self._comms[page.comm_id] = page
        page.on_msg(lambda message: self._hear(message["content"]["data"]))
        page.on_close(lambda message: self._comms.pop(page.comm_id, None))

    def close(self) -> None:
        """Hear nothing more; each page closes its own comm as it learns that the panel is closed.

        A close from here would have JupyterLab delete the comm's subshell while it still handles messages of the page.
        Comms of pages that are gone, which nobody closes, are forgotten after a while.
        """
        _by_key.pop(self.key, None)
        pages = [*self._comms.values()]
        self._comms.clear()
        for page in pages:
            page.on_msg(None)
            page.on_close(None)
        if pages:
            forgets = threading.Timer(GONE_S, _forget, [pages])
            forgets.daemon = True
            forgets.start()


def _forget(pages: list[Any]) -> None:
    for page in pages:
        if page.comm_id in comm.get_comm_manager().comms:
            page.close()


_by_key: WeakValueDictionary[str, InputComms] = WeakValueDictionary()


def _opened(page: Any, message: dict[str, Any]) -> None:
    data = message["content"]["data"]
    inputs = _by_key.get(data.get("key", "")) if isinstance(data, dict) else None
    if inputs is None:  # the panel was closed, or belongs to an earlier kernel
        logger.debug("no panel for an input comm")
        page.close()
    else:
        inputs.adopt(page)
