"""The protocol of the part of the town that lives and trades use."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple, Protocol

from ..simulation.probe import SimulationProbe
from .town_people import Character, Place


class ModelReply(NamedTuple):
    """The result of a call of the language model: `answer` is `None` when it cannot be used."""

    answer: dict[str, Any] | None
    id: str
    ticks: int


class TownLike(Protocol):
    """The part of `Town` that lives and trades use."""

    probe: SimulationProbe
    rng: Random

    def hour(self, one: Character | None = None) -> float: ...
    def enter_state(self, one: Character, state: str, location: str | None = None) -> None: ...
    def tell(self, one: Character, *names: str) -> None: ...
    def new_id(self, kind: str) -> str: ...
    def pick(self, kind: str) -> Place: ...
    def company(self, one: Character, ready: frozenset[str]) -> Character | None: ...
    def engage(self, other: Character, state: str, ticks: int) -> None: ...
    def ask(
        self, one: Character, prompt_type: str, request: str, answer: dict[str, Any], cause: str | None = None
    ) -> ModelReply: ...
