"""Recording without a notebook: a stream is written to a folder for as long as it lasts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..client.failures import unheld_text
from ..client.simulation_client import SimulationClient
from ..core.parameters import known_parameters
from ..protocol.errors import ConnectFailed
from ..protocol.messages import RawMessage
from .recorder import Recorder, RecorderStats
from .save import declare_gap_between

logger = logging.getLogger("degentcivil_nb.recordings")

WATCH_S: Final = 1.0  # how often progress is shown

Told = Callable[[str], None]
Watch = Callable[[SimulationClient, RecorderStats], None]


class StreamRecorder:
    """A recorder of a simulation's stream into a folder until cancelled; an existing recording is continued.

    `tell` is called with a sentence when the connection changes, `watch` once a second with the progress. The folder is
    created when there is something to write. Raises `ValueError` for an invalid URL or folder, and `ConnectionError` if
    there is no connection.
    """

    def __init__(
        self, url: str, path: Path, *, token: str | None = None, history: int = 1000, tell: Told, watch: Watch
    ) -> None:
        self.path = path
        self.recorder: Recorder | None = None
        self._url = url
        self._tell = tell
        self._watch = watch
        self._last_notice = ""
        self._begun = False
        self._early: list[tuple[list[RawMessage], float, str | None]] = []
        SimulationClient(url, token=token)  # refuses an invalid URL before a folder is created
        if path.exists():
            self.recorder = Recorder(path, url=url)
        self._client = SimulationClient(
            url,
            token=token,
            history=history,
            position=None if self.recorder is None else self.recorder.position,
            sink=self._take,
            on_change=self._note,
        )

    async def run(self) -> None:
        """Follow the stream until cancelled, or until it ends for good, which raises `ConnectFailed`."""
        client = self._client
        try:
            await client.open()
            self._begin()
            if client.unheld:
                self._tell(unheld_text(client.unheld))
            watching = asyncio.create_task(self._watch_progress())
            try:
                await client.run()
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
            raise ConnectFailed(client.last_error or "the connection ended", "No more messages will arrive from there")
        finally:
            await client.close()

    def close(self) -> RecorderStats | None:
        """Finish the recording and return its statistics; `None` if it never began."""
        if self.recorder is None:
            return None
        self.recorder.close()
        return self.recorder.stats()

    def _begin(self) -> None:
        recorder = self.recorder
        if recorder is None:
            recorder = Recorder(self.path, url=self._url)
        elif recorder.existed and recorder.position is None:  # messages sent in between cannot be requested
            recorder.put(declare_gap_between(None, None), time.time())
        if self._client.hello is not None:
            hello = self._client.hello
            recorder.note_run(hello.run_id, known_parameters(hello.parameters))
        for messages, received, epoch in self._early:
            recorder.put(messages, received, epoch)
        self._early = []
        self.recorder, self._begun = recorder, True

    def _take(self, messages: list[RawMessage], received: float, epoch: str | None) -> None:
        if self._begun and self.recorder is not None:
            self.recorder.put(messages, received, epoch)
        else:
            self._early.append((messages, received, epoch))

    async def _watch_progress(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if self.recorder is not None:
                try:
                    self._watch(self._client, self.recorder.stats())
                except Exception:  # a failure to show progress must not end a recording that runs for days
                    logger.exception("the progress could not be shown; the recording continues without")
                    return

    def _note(self) -> None:
        client = self._client
        why = f": {client.last_error}" if client.state == "reconnecting" and client.last_error else ""
        if client.state != "closed" and self._last_notice != f"{client.state}{why}":
            self._last_notice = f"{client.state}{why}"
            self._tell(self._last_notice)
