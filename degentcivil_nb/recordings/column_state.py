"""The state of a run at the end of its sealed segments, restored from the index without reading messages."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from ..core.progress import Progress
from ..store.characters import CharacterTable
from ..store.checkpoints import replay
from .arrow_messages import from_batch
from .extract_files import ExtractFiles
from .follower import Follower
from .sealed_columns import ColumnCache, SealedColumns, has_columns
from .segment_reader import Segment, SegmentFolder
from .summaries import Summaries, Summary, Town, append_records, combined, records_of
from .town_ladder import TownLadder
from .whole_run import EVERYTHING, PENDING, WholeRun, present_of

logger = logging.getLogger("degentcivil_nb.recordings")


class NotInColumns(Exception):
    """The reason why a recording is not read from its columns and index: they are missing or incomplete."""


class SealedRun:
    """The sealed segments of a recording, and the run as it was at their end.

    Segments that the index lacks, such as the last one before a crash, are read once more, and added to it if nobody
    is recording. Raises `NotInColumns` unless each segment is there and of format 2.
    """

    def __init__(self, folder: SegmentFolder, progress: Progress | None = None) -> None:
        sealed = sealed_segments(folder)
        self._index = _index_of(folder)
        self.extracts = ExtractFiles(folder.path, live=folder.live)
        self.summaries = _known(sealed, self._index)
        self._begin(sealed)
        if len(self.summaries) < len(sealed):
            self._catch_up(folder, sealed, progress)
            self._begin(sealed)

    def _begin(self, sealed: Sequence[Segment]) -> None:
        self.run = WholeRun(EVERYTHING)
        self._ladder = TownLadder()
        cache = ColumnCache()
        self.parts = [SealedColumns(segment, self.run.words, cache, self.extracts) for segment in sealed]
        if self.summaries:
            self._restore()

    def _catch_up(self, folder: SegmentFolder, sealed: Sequence[Segment], progress: Progress | None) -> None:
        """Follow the messages of the segments that the index lacks."""
        follower = Follower(self.run)
        records: list[bytes | memoryview] = []
        for segment in sealed[len(self.summaries) :]:
            stats = segment.stats
            try:
                if not has_columns(segment):
                    raise ValueError("it has no columns")
                for _, batch in folder.read(segment):
                    follower.append(from_batch(batch))
            except (OSError, ValueError, pa.ArrowException) as error:
                raise NotInColumns(f"{stats.name}: {error}") from error
            end = stats.ordinal + stats.messages
            summary = follower.summary(stats.number, stats.digest or "", end)
            if summary.next_row != stats.row + stats.rows:
                raise NotInColumns(f"{stats.name}: its number of events differs from its statistics")
            pieces = records_of(summary, follower.towns(last=segment is sealed[-1]))
            follower.begin_segment()
            records += pieces
            self._index.add(memoryview(b"".join(pieces)))
            self.summaries.append(self._index.by_number[stats.number])
            if progress is not None:
                progress(end, folder.messages)
        if not folder.live:
            try:
                append_records(folder.path, records)
            except OSError as error:
                logger.info("the index of %s cannot be completed: %s", folder.path, error)

    @property
    def messages(self) -> int:
        """Return the number of messages in sealed segments."""
        return self.summaries[-1].messages if self.summaries else 0

    def _restore(self) -> None:
        run = self.run
        try:
            state, arrays = combined(self.summaries)
            ahead = PENDING[0] in arrays
            town = self._index.town(state.row)
            exact = town is not None and town.row == state.row
            if town is not None and exact and not ahead:
                state.characters = town.characters
            run.restore(state, arrays)
            stream = self.town(town)
        except (ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
            raise NotInColumns(f"its index cannot be used: {error}") from error
        if not exact:
            start = 0 if town is None else town.row
            replay_parts(stream, self.parts, start, state.row, run)
            if not ahead:
                run.parts.derived.present.restore(stream.columns(0))
        run.parts.derived.checkpoints.restart(state.row, stream)

    def town(self, town: Town | None) -> CharacterTable:
        """Return a town as a table of characters; no town is an empty one."""
        words = self.run.words
        table = CharacterTable(words["character_id"], words["state"], words["location"])
        if town is not None:
            table.restore(present_of(town.characters))
        return table

    def town_at(self, stop: int) -> CharacterTable:
        """Return the town before an event."""

        def replayed(present: CharacterTable, start: int, stop: int) -> None:
            replay_parts(present, self.parts, start, stop, self.run)

        known = self._index.town_row(stop)
        return self._ladder.town(known, stop, lambda: self.town(self._index.town(stop)), replayed)


def replay_parts(present: CharacterTable, parts: Iterable[SealedColumns], start: int, stop: int, run: WholeRun) -> None:
    """Apply the events of segments from row `start` to before `stop` to a present."""
    for part in parts:
        if part.next_row > start and part.first_row < stop:
            first = part.first_row
            replay(
                present,
                part.view(),
                max(start, first),
                min(stop, part.next_row),
                run.parts.ingest,
                lambda rows, part=part: part.payloads([row - part.first_row for row in rows]),  # type: ignore[misc]
            )


def _index_of(folder: SegmentFolder) -> Summaries:
    try:
        return Summaries.read(folder.path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        logger.info("the index of %s cannot be read: %s", folder.path, error)
    return Summaries(memoryview(b""))


def sealed_segments(folder: SegmentFolder) -> list[Segment]:
    """Return the sealed segments; raise `NotInColumns` unless they follow each other from the beginning."""
    sealed: list[Segment] = []
    messages = rows = 0
    for segment in folder.segments:
        if not segment.sealed:
            break
        stats = segment.stats
        if segment.path is None or (stats.ordinal, stats.row) != (messages, rows):
            raise NotInColumns("messages are missing")
        messages, rows = messages + stats.messages, rows + stats.rows
        sealed.append(segment)
    if any(segment.sealed for segment in folder.segments[len(sealed) :]):
        raise NotInColumns("a segment before the last one is not sealed")
    return sealed


def _known(sealed: Sequence[Segment], index: Summaries) -> list[Summary]:
    """Return the summaries of the first segments, up to the first one that the index lacks."""
    found: list[Summary] = []
    row = 0
    for segment in sealed:
        stats = segment.stats
        summary = index.by_number.get(stats.number)
        ends = (stats.digest, stats.ordinal + stats.messages, row, stats.row + stats.rows)
        if summary is None or (summary.digest, summary.messages, summary.first_row, summary.next_row) != ends:
            break
        row = summary.next_row
        found.append(summary)
    return found
