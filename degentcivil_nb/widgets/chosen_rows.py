"""Tables of stored rows of which a person may choose some, such as one conversation, that are found in short turns."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from .growing_table import BURST, LogPanel
from .panel import Update


class ChosenRows(LogPanel):
    """A log with a list above or beside it: a click there shows only some of its rows.

    Which rows these are is found in turns, from the first row on, since a long run cannot be read at once. Rows that
    are found later are shown too, also at an earlier moment.
    """

    reads_much: ClassVar[bool] = True
    choice: ClassVar[str]
    """The name by which a page says what was chosen."""

    _chosen: str | None = None
    _told_of = 0  # how many rows were read when the list was last sent to the page

    @abstractmethod
    def read(self) -> int:
        """Return how many rows of this table were read."""

    @abstractmethod
    def read_to(self) -> tuple[int, int]:
        """Return how often reading began anew, and the row up to which all rows of this table were read since."""

    @abstractmethod
    def read_on(self) -> int:
        """Read more rows for a moment, and return how many were read."""

    @abstractmethod
    def rows_chosen(self, chosen: str) -> list[int]:
        """Return the ascending rows of what was chosen, as far as they were read."""

    @abstractmethod
    def listed(self) -> dict[str, Any]:
        """Return the list for the page."""

    def content_version(self) -> Any:
        """See `TablePanel`: more rows may have been read."""
        read = self.read_on()
        return super().content_version(), read

    def past_version(self) -> Any:
        """See `Panel`."""
        read = self.read() if self._jumps else self.read_on()
        return super().past_version(), read

    def numbers(self, start: int = 0, stop: int | None = None) -> Any:
        """See `LogPanel`: only what was chosen."""
        if self._chosen is None:
            return super().numbers(start, stop)
        return self.narrowed(self.rows_chosen(self._chosen), start, stop)

    @property
    def end(self) -> int:
        """See `SortedRows`: a row that was not read yet may be one of those chosen."""
        return super().end if self._chosen is None else self.read_to()[1]

    def _narrowed_by(self) -> Any:
        return self._sorted_for(), self.read() if self._settles else None

    def _sorted_for(self) -> Any:
        return super()._narrowed_by(), self._chosen, self.read_to()[0]

    @property
    def _settles(self) -> bool:
        """Return whether rows that are found may be others than the next ones of a log that follows the run."""
        return self._chosen is not None and (not self._tails or self._behind)

    @property
    def _behind(self) -> bool:
        """Return whether more rows wait to be read than one update adds."""
        return len(self.own(self.read_to()[1])) > BURST

    def more(self) -> dict[str, Any]:
        """See `LogPanel`: the list."""
        self._told_of = self.read()
        return self.listed()

    def changes(self) -> Update | None:
        """See `Panel`."""
        update = super().changes()
        if update is None and self._told_of != self.read():
            return Update(self.more())
        return update

    def received(self, content: Any) -> None:
        """Show only some rows, or all."""
        super().received(content)
        if isinstance(content, dict) and self.choice in content:
            who = content[self.choice]
            self._chosen = who if isinstance(who, str) else None
            self.begin_anew()
