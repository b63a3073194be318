"""The way in: a comm that each page opens and on which Python never publishes, so that input passes a blocking cell.

ipykernel 7.4 routes what a page sends to the subshell named in whatever was published last on that comm. A comm
without publications has no such memory and keeps the subshell that JupyterLab gave it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakValueDictionary

import comm

logger = logging.getLogger("degentcivil_nb.widgets")

TARGET: Final = "degentcivil_nb.input"


class InputComms:
    """Collect what the pages of one panel say; `hear` is called on whichever thread delivers it, and must not work."""

    def __init__(self, key: str, hear: Callable[[Any], None]) -> None:
        self.key = key
        self._hear = hear
        self._comms: dict[str, Any] = {}
        comm.get_comm_manager().register_target(TARGET, _opened)
        _by_key[key] = self

    def adopt(self, page: Any) -> None:
        """Listen to a comm that a page has opened."""
        self._comms[page.comm_id] = page
        page.on_msg(lambda message: self._hear(message["content"]["data"]))
        page.on_close(lambda message: self._comms.pop(page.comm_id, None))

    def close(self) -> None:
        """Hang up on every page."""
        _by_key.pop(self.key, None)
        for page in list(self._comms.values()):
            page.on_close(None)
            page.close()
        self._comms.clear()


_by_key: WeakValueDictionary[str, InputComms] = WeakValueDictionary()


def _opened(page: Any, message: dict[str, Any]) -> None:
    data = message["content"]["data"]
    inputs = _by_key.get(data.get("key", "")) if isinstance(data, dict) else None
    if inputs is None:  # a page of a panel that was closed, or of an earlier kernel
        logger.debug("no panel for an input comm")
        page.close()
    else:
        inputs.adopt(page)
