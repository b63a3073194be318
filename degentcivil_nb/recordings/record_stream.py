"""Recording without a notebook: a stream followed for as long as it takes, straight into a folder."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..client.simulation_client import SimulationClient
from ..protocol.errors import ConnectFailed
from ..protocol.messages import RawMessage
from .recorder import Recorder, RecorderStats
from .save import declare_gap_between

logger = logging.getLogger("degentcivil_nb.recordings")

LOOK_S: Final = 1.0

Told = Callable[[str], None]
Watch = Callable[[SimulationClient, RecorderStats], None]


class StreamRecorder:
    """Write what a simulation says into a folder until told to end; a recording that is there is gone on with.

    `tell` hears in a sentence what happens to the connection, `watch` once a second how far it is. The folder is made
    when there is something to put into it. Raises `ValueError` for what is no WebSocket URL or no folder for it, and
    `ConnectionError` where nothing can be had.
    """

    def __init__(
        self, url: str, path: Path, *, token: str | None = None, history: int = 1000, tell: Told, watch: Watch
    ) -> None:
        self.path = path
        self.recorder: Recorder | None = None
        self._url = url
        self._tell = tell
        self._watch = watch
        self._told = ""
        self._begun = False
        self._early: list[tuple[list[RawMessage], float, str | None]] = []
        SimulationClient(url, token=token)  # refuses a bad URL before there is a folder
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
        """Follow the stream until cancelled, or until it is over for good, which is a `ConnectFailed`."""
        client = self._client
        try:
            await client.open()
            self._begin()
            watching = asyncio.create_task(self._look())
            try:
                await client.run()
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
            raise ConnectFailed(client.last_error or "the connection ended", "Nothing more will come from there")
        finally:
            await client.close()

    def close(self) -> RecorderStats | None:
        """Finish the recording and say how far it came; `None` if it never began."""
        if self.recorder is None:
            return None
        self.recorder.close()
        return self.recorder.stats()

    def _begin(self) -> None:
        recorder = self.recorder
        if recorder is None:
            recorder = Recorder(self.path, url=self._url)
        elif recorder.existed and recorder.position is None:  # nobody can ask for what came in between
            recorder.put(declare_gap_between(None, None), time.time())
        if self._client.hello is not None:
            recorder.run_id = self._client.hello.run_id
        for messages, received, epoch in self._early:
            recorder.put(messages, received, epoch)
        self._early = []
        self.recorder, self._begun = recorder, True

    def _take(self, messages: list[RawMessage], received: float, epoch: str | None) -> None:
        if self._begun and self.recorder is not None:
            self.recorder.put(messages, received, epoch)
        else:
            self._early.append((messages, received, epoch))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if self.recorder is not None:
                try:
                    self._watch(self._client, self.recorder.stats())
                except Exception:  # showing how far it is must not end a recording that runs for days
                    logger.exception("how far the recording is could not be shown; it goes on unseen")
                    return

    def _note(self) -> None:
        client = self._client
        why = f": {client.last_error}" if client.state == "reconnecting" and client.last_error else ""
        if client.state != "closed" and self._told != f"{client.state}{why}":
            self._told = f"{client.state}{why}"
            self._tell(self._told)
