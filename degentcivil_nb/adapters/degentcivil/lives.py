"""The characters with their places, states and attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ...simulation.acting import acting
from ...simulation.probe import SimulationProbe
from .facts import attributes_of, building_of, buildings_of, characters_of, location_of, name_of, read, word
from .seams import Seam, after, before, inside, quietly


class Lives:
    """The publisher of places and characters at the start, states as they are entered, and changed attributes."""

    def __init__(self, probe: SimulationProbe, started: Callable[[], None]) -> None:
        self.probe = probe
        self._started = started
        self.simulation: Any = None
        self._seen: dict[str, Any] = {}
        """Characters that entered a state: the only ones known if the town has no list of them."""
        self._told: dict[str, dict[str, Any]] = {}
        self._entering: dict[int, str | None] = {}

    def seams(self) -> list[Seam]:
        """List the functions to wrap."""
        return [
            Seam("Simulation", "create_character_state_managers", before(self.introduce), "places and characters"),
            Seam("BaseState", "enter_state", inside(self._entered), "states", overrides=True),
            Seam("BaseState", "change_char_building", after(self._placed), "where a state is entered"),
            Seam("Character", "change_building", after(self._moved), "moves between two states"),
            Seam("Character", "change_pos", after(self._moved), "moves between two states"),
            Seam("StateManager", "update_state", inside(self._acting), "whose turn it is in an update"),
        ]

    @property
    def characters(self) -> list[Any]:
        """List the town's characters; if it has no list, those that entered a state."""
        return characters_of(self.simulation) or list(self._seen.values())

    def introduce(self, simulation: Any, *arguments: Any, **more: Any) -> None:
        """Publish the places and the characters of a town that is about to start."""
        self.simulation = simulation
        self._started()
        self.probe.publish("all_buildings", [building_of(building) for building in buildings_of(simulation)])
        for character in self.characters:
            self.look_at(character)

    def look(self) -> None:
        """Publish the changed attributes of all characters."""
        for character in self.characters:
            self.look_at(character)

    def look_at(self, character: Any) -> None:
        """Publish the attributes of a character that changed since the last call."""
        name = name_of(character)
        if name is None:
            return
        now, before = attributes_of(character), self._told.get(name)
        if before is None:
            self._told[name] = now
            self.probe.update(name, {"name": name, **now})
            return
        changed = {key: value for key, value in now.items() if key not in before or before[key] != value}
        if changed:
            self._told[name] = now
            self.probe.update(name, changed)

    def forget(self) -> None:
        """Reset everything, for another probe."""
        self._told.clear()
        for character in self.characters:
            quietly(self._tell_again, character)

    def _tell_again(self, character: Any) -> None:
        """Publish a character and its state to a new probe, which has not seen the state entered."""
        self.look_at(character)
        name, state = name_of(character), word(read(character, "state"))
        if name is not None and state is not None:
            self.probe.state_change(name, state, location_of(character))

    @contextmanager
    def _acting(self, manager: Any, *arguments: Any, **more: Any) -> Iterator[None]:
        with acting(name_of(manager)):
            yield

    @contextmanager
    def _entered(self, state: Any, *arguments: Any, **more: Any) -> Iterator[None]:
        if id(state) in self._entering:  # by way of `super()`, or again after a failure
            yield
            return
        self._entering[id(state)] = word(read(read(state, "character"), "state"))
        try:
            with acting(name_of(state)):
                yield
        finally:
            quietly(self._tell_entry, state)

    def _placed(self, result: Any, state: Any, *arguments: Any, **more: Any) -> None:
        """Publish the state only now, since its location is known only after the call."""
        self._tell_entry(state)

    def _tell_entry(self, state: Any) -> None:
        name = name_of(state)
        if id(state) not in self._entering or name is None:
            return
        previous = self._entering.pop(id(state))
        character = read(state, "character")
        self._seen[name] = character
        self.look_at(character)
        told = word(state) or type(state).__name__
        self.probe.state_change(name, told, location_of(character), previous_state=previous)

    def _moved(self, result: Any, character: Any, *arguments: Any, **more: Any) -> None:
        if name_of(character) in self._told and id(read(character, "state")) not in self._entering:
            self.look_at(character)
