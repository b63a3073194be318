"""Writing a run to disk: live, or the events that are held now."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

from ...client.simulation_client import SimulationClient
from ...core.arguments import path as checked_path
from ...core.counting import counted
from ...core.escaping import visible
from ...core.portal import Portal
from ...monitoring.connection_monitor import ConnectionMonitor
from ...protocol.errors import RecordingWarning
from ...protocol.messages import RawMessage
from ...recordings.recorder import Recorder, RecorderStats
from ...recordings.save import declare_gap_between, save, snapshot_messages
from ...store.event_store import EventStore
from ..status import SessionStatus


class RecordingMethods:
    """The methods of a session that write the run to disk."""

    url: str
    monitor: ConnectionMonitor
    _store: EventStore
    _client: SimulationClient
    _portal: Portal
    _status: SessionStatus
    _recorder: Recorder | None
    _closed: bool

    def record(self, path: str | os.PathLike[str]) -> None:
        """Write all messages from now on into a folder, after a snapshot of the town. This ends an earlier recording.

        Parameters
        ----------
        path : str or path-like
            The folder. An existing recording is continued, and missing messages are a gap in it.

        Raises
        ------
        ValueError
            If the folder holds other files, or the session is closed.
        OSError
            If nothing can be written there, or another session writes into it.

        Examples
        --------
        >>> with dc.connect(server) as other:
        ...     other.record(new_path)
        ...     other.metrics()["recording"]
        'writing'
        """
        if self._closed:
            raise ValueError("the session is closed and receives no more events; save(path) writes what it holds")
        self.stop_recording()
        recorder = self._recorder_into(path)
        recorder.note_run(self._run_id(), self.parameters)
        self._portal.call(self._begin_recording, recorder, timeout=10)

    def stop_recording(self) -> None:
        """Finish the recording, if there is one: everything received is written when this returns.

        Warns
        -----
        RecordingWarning
            If that was not possible, with the reason; everything committed before can be read all the same.

        Examples
        --------
        >>> with dc.connect(server) as other:
        ...     other.record(new_path)
        ...     other.stop_recording()
        >>> dc.open_recording(new_path).info()["state"]
        'finished'
        """
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        recorder.close()
        stats = recorder.stats()
        if stats.error is not None:
            warnings.warn(
                f"the recording into {visible(stats.path)} was left unfinished, {counted(stats.unsafe, 'message')} "
                f"short: {visible(stats.error)}",
                RecordingWarning,
                stacklevel=2,
            )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the events that are held now as a finished recording.

        Parameters
        ----------
        path : str or path-like
            A folder that does not exist yet, or is empty.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        FileExistsError
            If the folder is not empty.

        Examples
        --------
        >>> session.save(new_path).name
        'recording'
        >>> len(dc.open_recording(new_path)) == len(session)
        True
        """
        folder = checked_path("path", path)
        return save(
            self._store,
            folder,
            position=self._client.position,
            run_id=self._run_id(),
            url=self.url,
            parameters=self.parameters,
        )

    async def _begin_recording(self, recorder: Recorder) -> None:
        """Record the past and a snapshot first; runs on the portal's thread, so that nothing arrives in between."""
        position = self._client.position
        before = declare_gap_between(recorder.position, position) if recorder.existed else []
        recorder.put([*before, *self._present_messages()], time.time(), self._client.epoch)
        self._recorder = recorder

    def _recorder_into(self, path: str | os.PathLike[str]) -> Recorder:
        return Recorder(checked_path("path", path), url=self.url, snapshot=self._present_messages, monitor=self.monitor)

    def _present_messages(self) -> list[RawMessage]:
        return snapshot_messages(self._store, self._client.position)

    def _recording_stats(self) -> RecorderStats | None:
        recorder = self._recorder
        return None if recorder is None else recorder.stats()

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the parameters that the run was started with.

        Returns
        -------
        dict
            As the simulation sent them; empty if it sent none.

        Examples
        --------
        >>> with dc.SimulationProbe(port=0, parameters={"seed": 7}) as town, dc.connect(town) as other:
        ...     other.parameters
        {'seed': 7}
        """
        return self._status.parameters()

    def _run_id(self) -> str | None:
        return None if self._client.hello is None else self._client.hello.run_id
