"""A real kernel in a process of its own, and cells run in it as a front end runs them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from jupyter_client.manager import KernelManager, start_new_kernel

PATIENCE_S = 120
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Shown(NamedTuple):
    status: str
    name: str
    text: str
    """The traceback, or what was printed."""


class Kernel:
    """A real kernel, and cells run in it."""

    def __init__(self, manager: KernelManager, client: Any) -> None:
        self.manager = manager
        self.client = client

    def run(self, code: str, *, interrupt_at: str | None = None) -> Shown:
        """Run a cell; interrupt it when it prints a text."""
        return self.begin(code, interrupt_at=interrupt_at)()

    def begin(self, code: str, *, interrupt_at: str | None = None) -> Callable[[], Shown]:
        """Begin to run a cell; what is given waits for its end."""
        sent = self.client.execute(code)
        return lambda: self._shown(sent, interrupt_at)

    def _shown(self, sent: str, interrupt_at: str | None) -> Shown:
        name, shown = "", ""
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE_S)
            if message["parent_header"].get("msg_id") != sent:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown += content["text"]
                if interrupt_at is not None and interrupt_at in shown:
                    interrupt_at = None
                    self.manager.interrupt_kernel()
            elif kind == "error":
                name, shown = content["ename"], _COLOUR.sub("", "\n".join(content["traceback"]))
            elif kind == "execute_result":
                shown += content["data"]["text/plain"]
            elif kind == "status" and content["execution_state"] == "idle":
                break
        while (reply := self.client.get_shell_msg(timeout=PATIENCE_S))["parent_header"].get("msg_id") != sent:
            pass
        return Shown(reply["content"]["status"], name, shown)


@contextmanager
def running_kernel() -> Iterator[Kernel]:
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=PATIENCE_S)
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
