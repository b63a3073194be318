"""The parts of a store and the lock that guards them."""

from __future__ import annotations

import threading

from .characters import AttributeNames
from .controls import Controls, StreamPosition
from .derived_state import DerivedState
from .ingest import Ingest
from .links import LinkTable
from .llm import LlmTotals
from .payloads import Payloads
from .places import Places
from .schema import Codes, Ints
from .table import Table


class StoreParts:
    """The parts of a store. One thread writes; every access is under `changed`, which readers hold only briefly."""

    def __init__(self, max_rows: int, *, keep_all: bool = False) -> None:
        self.changed = threading.Condition()
        self.keep_all = keep_all
        """Whether counts and control messages stay when events are dropped."""
        self.table = Table(max_rows)
        self.names = AttributeNames()
        self.ingest = Ingest(self.table.dictionaries, self.names)
        self.payloads = Payloads()
        self.derived = DerivedState(self.table, self.payloads, self.names, keep_all=keep_all)
        self.controls = Controls()
        self.places = Places()
        self.llm = LlmTotals()
        self.links = LinkTable()
        self.snapshot: StreamPosition | None = None
        """The position of the snapshot that set the characters."""
        self.snapshot_states: tuple[Codes, Codes, Codes, Ints] | None = None
        """Characters, states, locations and times of a snapshot that the stream has not reached."""
        self.errors = 0
        self.malformed = 0
        self.tick: int | None = None
        self.version = 0
        """A number that grows with every change."""
