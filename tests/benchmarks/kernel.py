"""A real kernel in a process of its own, and cells run in it as a front end runs them."""

from __future__ import annotations

import os
import queue
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jupyter_client.manager import KernelManager

PATIENCE_S = 60.0


class Kernel:
    """Run cells one by one; a context manager."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="bench-kernel-", ignore_cleanup_errors=True)
        folders = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")  # nothing of whoever runs this
        env = {**os.environ, **{name: str(Path(self._home.name) / name.lower()) for name in folders}}
        self._manager: Any = KernelManager()
        self._manager.start_kernel(env=env, stderr=subprocess.DEVNULL)  # it says that TCP is not encrypted
        self._client: Any = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE_S)

    def run(self, code: str) -> str:
        """Run a cell to its end and give what it printed."""
        return self.timed(code)[1]

    def timed(self, code: str) -> tuple[float, str]:
        """Run a cell; gives the seconds until its answer and all its output were here, and what it printed."""
        start = time.perf_counter()
        cell = self._client.execute(code)
        printed: list[str] = []
        reply = _until(self._client.get_shell_msg, cell, lambda message: True)
        if reply["content"]["status"] != "ok":
            raise RuntimeError("\n".join(reply["content"].get("traceback", [str(reply["content"])])))

        def ends(message: dict[str, Any]) -> bool:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])
            return bool(message["msg_type"] == "status" and message["content"]["execution_state"] == "idle")

        _until(self._client.get_iopub_msg, cell, ends)
        return time.perf_counter() - start, "".join(printed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=error is not None)
        self._manager.cleanup_resources()
        self._home.cleanup()


def _until(get: Any, cell: str, wanted: Any) -> dict[str, Any]:
    """Read a channel until a message that belongs to the cell is wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            message: dict[str, Any] = get(timeout=1)
        except queue.Empty:
            continue
        if message["parent_header"].get("msg_id") == cell and wanted(message):
            return message
    raise TimeoutError(f"the kernel did not answer within {PATIENCE_S:g} s")
