"""The events of a recording of format 2 in parts: the choice of parts for a question, and the answer to damage."""

from __future__ import annotations

import functools
import logging
import warnings
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from ..core.escaping import visible
from ..core.event_columns import EVENT_COLUMNS
from ..core.progress import Progress
from ..protocol.errors import RecordingWarning
from ..store.arguments import Moment, moment_ns, not_held
from ..store.counters import Tally
from ..store.interfaces import RunStore
from ..store.schema import Ints
from .column_parts import Chosen, Part, Tail, can_have, each, frame_of
from .column_state import SealedRun
from .recorded_status import RecordedStatus
from .sealed_columns import DamagedSegment, SealedColumns
from .segment_reader import SegmentFolder

logger = logging.getLogger("degentcivil_nb.recordings")

VERIFIED_BYTES: Final = 64 << 20
"""Recordings up to this size are compared with their checksums when they are opened, larger ones when they are read."""

P = ParamSpec("P")
S = TypeVar("S", bound="ColumnParts")
T = TypeVar("T")


def noticing(question: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Decorate a question: once damage is found, it is answered from the messages, with gaps for lost ones."""

    @functools.wraps(question)
    def ask(store: S, *args: P.args, **kwargs: P.kwargs) -> T:
        if store.instead is None:
            try:
                return question(store, *args, **kwargs)
            except DamagedSegment as error:
                store.read_instead(error)
        answer: T = getattr(store.instead, question.__name__)(*args, **kwargs)
        return answer

    return ask  # type: ignore[return-value]  # a method, whose first argument has another name


class ColumnParts(RecordedStatus):
    """The events of a recording in parts, with what its index knows of the whole run.

    `read_messages` makes the store that answers from the moment on when a segment is found damaged. Raises
    `NotInColumns` for a recording that has no columns or no index, and `DamagedSegment` for damage that is found at
    once.
    """

    def __init__(
        self, folder: SegmentFolder, read_messages: Callable[[], RunStore], progress: Progress | None = None
    ) -> None:
        self._folder = folder
        self._read_messages = read_messages
        self.instead: RunStore | None = None
        self._sealed = sealed = SealedRun(folder, progress)
        self._run = sealed.run
        if sum(part.size for part in sealed.parts) <= VERIFIED_BYTES:
            each(sealed.parts, SealedColumns.verify)
        for entry in folder.entries(start=sealed.messages):
            self._run.append(list(entry.messages), entry.received, entry.epoch)
        self._parts: list[Part] = [part for part in sealed.parts if len(part)]
        if self._run.next_row > self._run.first_row:
            self._parts.append(Tail(self._run))
        self._starts = [part.first_row for part in self._parts]
        errors = [0, *(summary.state.errors for summary in sealed.summaries)]
        self._errors = dict(zip((part.first_row for part in sealed.parts), np.diff(errors).tolist(), strict=True))
        self._by_character: Tally | None = None
        self._known_rows: dict[tuple[str, ...], Ints] = {}  # of types; nothing is added to a recording that is open

    def read_instead(self, error: DamagedSegment) -> None:
        """Answer from the messages from now on, since a segment was damaged after the recording was opened."""
        said = f"{visible(str(self._folder.path))} was damaged after it was opened: {error}"
        logger.warning("%s", said)
        self.instead = self._read_messages()
        warnings.warn(f"{said}. Its events are missing from now on", RecordingWarning, stacklevel=5)

    # --- parts ------------------------------------------------------------------------------------------------------

    def _part(self, row: int) -> Part:
        """Return the part that has an event; `KeyError` if none has."""
        number = bisect_right(self._starts, row) - 1
        if number < 0 or row >= self._parts[number].next_row:
            raise not_held(row, self._run.first_row, self._run.next_row)
        return self._parts[number]

    def _that_can_have(self, types: Sequence[str] | None, since: Any = None, until: Any = None) -> list[Part]:
        return [
            part for part in self._parts if can_have(part, self._errors.get(part.first_row, 1), types, since, until)
        ]

    def _moment(self, moment: Moment) -> pd.Timestamp | None:
        """Resolve a moment once for all parts, since each part has its own newest event."""
        if moment is None:
            return None
        return pd.Timestamp(moment_ns(moment, self._newest), unit="ns", tz="UTC")

    @property
    def _newest(self) -> int | None:
        return self._parts[-1].view().newest if self._parts else None

    def _chosen(self, rows: Any) -> list[Chosen]:
        """Return ascending rows by part."""
        ends = np.searchsorted(rows, [part.next_row for part in self._parts]).tolist()
        starts = [0, *ends][: len(ends)]
        pairs = zip(self._parts, starts, ends, strict=True)
        return [(part, rows[start:end] - part.first_row) for part, start, end in pairs if end > start]

    def _frame(self, chosen: Sequence[Chosen], names: Collection[str] = EVENT_COLUMNS) -> pd.DataFrame:
        return frame_of(chosen, self._run.words, self._run.parts.derived.codes, names)

    def verified_files(self) -> list[str] | None:
        """Return the paths of the sealed segments if all match their checksums; `None` once one did not."""
        if self.instead is None:
            try:
                each(self._sealed.parts, SealedColumns.verify)
            except DamagedSegment as error:
                self.read_instead(error)
        return None if self.instead is not None else [str(part.path) for part in self._sealed.parts if len(part)]

    @property
    def unsealed(self) -> RunStore:
        """The events that are in no file."""
        return self._run

    @property
    def first_unsealed_row(self) -> int:
        """The row of the first event that is in no file."""
        return self._run.first_row

    @property
    def _now(self) -> RunStore:
        return self._run if self.instead is None else self.instead
