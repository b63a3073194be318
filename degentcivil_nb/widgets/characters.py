"""The panel of all characters: a row for each, with its current state, place and attributes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd

from ..core.counting import counted
from ..pages.parts import Remark, Section
from ..pages.sections import town_table
from ..protocol.messages import MessageTypes
from .cells import cell_text, seconds_of
from .interfaces import CharactersNow, PanelReader
from .packing import Column, Kind, Values, number_values
from .panel import Update
from .refresh import Refresher
from .table import Cells, KeyedTable, TablePanel

MAX_ATTRIBUTES: Final = 60
STILL: Final = 60
"""The most characters of a static view."""
LOOKED_AT: Final = 200
"""How many events are searched for the reason why there are no characters."""
SILENT: Final = (
    "Nothing has arrived yet: if the run is paused, step or resume it. DegentCivil's own server is silent until "
    "session.send('start')."
)
UNNAMED: Final = (
    "No characters: this server reports calls of models (character_update_llm) without saying whose they are, and no "
    "states. Run the town with `python -m degentcivil_nb.adapters.degentcivil main.py` to see who acts."
)
FIRST: Final = (Column("character_id", "text", "character"), Column("state", "state"), Column("location", "text"))
LAST: Final = (Column("since", "time"), Column("last_seen", "time", "last seen"))
OWN: Final = frozenset({"character_id", "state", "location", "since", "last_seen"})


class CharactersPanel(TablePanel):
    """A table of all characters as they are now; an update costs only what changed."""

    title: ClassVar[str] = "characters"
    empty: ClassVar[str] = (
        "No characters yet. They appear with the first state_change or character_update that names them."
    )

    def __init__(self, reader: PanelReader, refresher: Refresher, **kwargs: Any) -> None:
        super().__init__(refresher, **kwargs)
        self._reader = reader
        self._table = KeyedTable()
        self._present_version = 0
        self._kinds: dict[str, Kind] = {}
        self._left_out: set[str] = set()
        self._folded: set[str] = set()  # attributes that only repeat the id
        self._reason = ""

    def content_version(self) -> Any:
        """See `TablePanel`."""
        return self._reader.version

    def whole(self) -> Update:
        """See `TablePanel`."""
        now = self.moment is None
        present = self.town_of(self._reader)
        self._present_version = present.version if now else 0
        names = list(dict.fromkeys(name for attributes in present.attributes for name in attributes))
        self._folded = {name for name in names if _always_the_id(name, present)}
        names = [name for name in names if name not in self._folded]
        kinds = {name: kind_of(attributes.get(name) for attributes in present.attributes) for name in names}
        shown = sorted(names, key=lambda name: kinds[name] == "text")[:MAX_ATTRIBUTES]  # numbers first: they change
        self._kinds = {name: kinds[name] for name in shown}
        self._left_out = set(names) - set(shown)
        over = len(self._left_out)
        more = counted(over, "more attribute is", "more attributes are")
        note = f"{more} not shown here: session.characters() has them." if over else ""
        middle = [Column(column_name(name), kind, name) for name, kind in self._kinds.items()]
        columns = [*FIRST, *middle, *LAST]
        self._reason = "" if present.character_id else self._why_empty()
        return self._table.whole(
            columns, present.character_id, self._cells(present), note=note, empty=self._reason, picks="character"
        )

    def _why_empty(self) -> str:
        """Return a text on what would fill the table, or why the events so far do not."""
        types = set(self._reader.events(last=LOOKED_AT)["type"].tolist())
        if not types:
            return f"{self.empty} {SILENT}"
        return UNNAMED if MessageTypes.CHARACTER_UPDATE_LLM in types else self.empty

    def parts(self) -> Update | None:
        """See `TablePanel`."""
        present = self._reader.present_columns(self._present_version)
        if not self._present_version or present.replaced or self._outgrown(present):
            return self.whole()
        if self._reason and (present.character_id or self._why_empty() != self._reason):
            return self.whole()
        self._present_version = present.version
        return self._table.changed(present.character_id, self._cells(present)) if present.character_id else None

    def still(self) -> Sequence[Section]:
        """See `Panel`."""
        row = self.row_shown
        town = self._reader.characters() if row is None else self._reader.characters(row=row)
        parts = town_table(town, STILL) if len(town) else [Remark(self._why_empty())]
        return [Section(self.title, parts)]

    def detail(self, key: str) -> tuple[str, Any]:
        """Return everything that is known of a character."""
        at = {} if self.moment is None else {"row": self.moment.row}
        row = self._reader.characters(**at).loc[key]
        known = {str(name): value for name, value in row.items() if cell_text(value) is not None}
        when = "now" if self.moment is None else f"after row {self.moment.row:,}"
        return f"{key}, {when}", {name: str(v) if isinstance(v, pd.Timestamp) else v for name, v in known.items()}

    def row_of(self, key: str) -> int | None:
        """See `TablePanel`: the character's last row."""
        until: dict[str, Any] = (
            {} if self.moment is None else {"until": pd.Timestamp(self.moment.time + 1_000, unit="ns", tz="UTC")}
        )
        rows = self._reader.events(character_id=key, last=1, **until).index
        return int(rows[-1]) if len(rows) else None

    def offers(self, key: str, row: int | None) -> list[list[str]]:
        """See `TablePanel`."""
        present = self._reader.present_columns()
        if self.actions is None or key not in present.character_id:
            return []
        return self.actions.offers_of(key, present.state[present.character_id.index(key)])

    def _outgrown(self, present: CharactersNow) -> bool:
        """Return whether there is an attribute without a column, or a value that its column cannot show."""
        for who, attributes in zip(*_pairs(present), strict=True):
            for name, value in attributes.items():
                if name in self._folded:
                    if not _says_the_id(name, who, attributes):
                        return True
                    continue
                kind = self._kinds.get(name)
                if kind is None:
                    if name not in self._left_out and len(self._kinds) < MAX_ATTRIBUTES:
                        return True
                elif kind == "number" and not is_number(value) and value is not None:
                    return True
        return False

    def _cells(self, present: CharactersNow) -> Cells:
        cells: Cells = {
            "character_id": texts(present.character_id),
            "state": texts(present.state),
            "location": texts(present.location),
            "since": seconds_of(present.since),
            "last_seen": seconds_of(present.last_seen),
        }
        for name, kind in self._kinds.items():
            values = [attributes.get(name) for attributes in present.attributes]
            cells[column_name(name)] = number_values(values) if kind == "number" else texts(values)
        return cells


def _pairs(present: CharactersNow) -> tuple[list[str], list[dict[str, Any]]]:
    return present.character_id, present.attributes


def _always_the_id(name: str, present: CharactersNow) -> bool:
    known = [(who, held) for who, held in zip(*_pairs(present), strict=True) if held.get(name) is not None]
    return bool(known) and all(_says_the_id(name, who, held) for who, held in known)


def _says_the_id(name: str, who: str, attributes: dict[str, Any]) -> bool:
    """Return whether an attribute is missing or only repeats the character's id, as `name` often does."""
    value = attributes.get(name)
    return value is None or (isinstance(value, str) and _letters(value) == _letters(who))


def _letters(text: str) -> str:
    """Return a name without what ids are written with: `Emma 2` and `emma-2` are the same."""
    return "".join(letter for letter in text.casefold() if letter.isalnum()) or text


def column_name(attribute: str) -> str:
    """Return the name of an attribute's column, as in `characters()`."""
    return f"{attribute}_" if attribute in OWN else attribute


def is_number(value: Any) -> bool:
    """Return whether a value is a number that a numeric column can show."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e300


def kind_of(values: Iterable[Any]) -> Kind:
    """Return the kind of a column of JSON values."""
    return "number" if all(is_number(value) for value in values if value is not None) else "text"


def texts(values: Sequence[Any]) -> Values:
    """Convert values to the texts of cells."""
    cells = np.empty(len(values), dtype=object)
    cells[:] = [cell_text(value) for value in values]
    return cells
