"""The characters and places of the town: plain data, drawn from a seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from .town_data import BIOS, GOALS, HOME, MOODS, NAMES, PLACES, SIZE, PlaceKind


@dataclass(slots=True, eq=False)
class Place:
    """A building, with the characters in it."""

    id: int
    name: str
    kind: PlaceKind
    x: float
    y: float
    visitors: list[Character] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        """Return the place as DegentCivil's own server lists its buildings."""
        kind = self.kind
        place: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "description": kind.description,
            "instruction": kind.instruction,
            "x": self.x,
            "y": self.y,
        }
        return place | {"jobs": list(kind.jobs)} if kind.jobs else place


@dataclass(slots=True, eq=False)
class Character:
    """A character; `life` is its behaviour, a generator of the ticks until its next action."""

    id: str
    name: str
    age: int
    bio: str
    goal: str
    job: str | None
    home: Place
    workplace: Place | None
    health: float
    energy: float
    money: float
    mood: str
    x: float
    y: float
    chronotype: float  # hours by which its day lags behind the town's
    haggling: float
    artistry: float
    state: str = "IDLE"
    place: Place | None = None
    seat: int = 0  # index in the place's visitors
    wake: int = 0
    life: Iterator[int] = field(default_factory=lambda: iter(()))
    plan: str | None = None
    works: list[str] = field(default_factory=list)
    friends: dict[str, int] = field(default_factory=dict)
    memory: deque[str] = field(default_factory=lambda: deque(maxlen=12))
    last_call: dict[str, Any] | None = None

    def attributes(self) -> dict[str, Any]:
        """Return the attributes for a `character_update`."""
        return {
            "name": self.name,
            "age": self.age,
            "bio": self.bio,
            "goal": self.goal,
            "job": self.job,
            "health": self.health,
            "energy": self.energy,
            "money": self.money,
            "mood": self.mood,
            "x": self.x,
            "y": self.y,
        }

    def enter(self, place: Place) -> None:
        """Enter a place."""
        self.leave()
        self.place = place
        self.seat = len(place.visitors)
        place.visitors.append(self)

    def leave(self) -> None:
        """Leave the current place."""
        if self.place is not None:
            last = self.place.visitors.pop()
            if last is not self:  # the last visitor takes the seat, so that no search is needed
                self.place.visitors[self.seat] = last
                last.seat = self.seat
            self.place = None

    def feel(self, better: int) -> None:
        """Change the mood by so many steps."""
        index = MOODS.index(self.mood) if self.mood in MOODS else 2
        self.mood = MOODS[min(max(index + better, 0), len(MOODS) - 1)]


def build_places(rng: Random, population: int) -> list[Place]:
    """Build one of each kind for every two hundred people, at most twelve, and a home for every four."""
    places: list[Place] = []
    for copy in range(min(1 + population // 200, 12)):
        for kind in PLACES:
            name = kind.name if copy == 0 else f"{kind.name} {copy + 1}"
            shift = (0.0, 0.0) if copy == 0 else (rng.uniform(-20, 20), rng.uniform(-20, 20))
            places.append(Place(len(places) + 1, name, kind, _within(kind.x + shift[0]), _within(kind.y + shift[1])))
    for number in range(1, (population + 3) // 4 + 1):
        x, y = _within(rng.uniform(0, SIZE)), _within(rng.choice((rng.uniform(2, 20), rng.uniform(86, 98))))
        places.append(Place(len(places) + 1, f"Home {number}", HOME, x, y))
    return places


def settle_people(rng: Random, population: int, places: list[Place]) -> list[Character]:
    """Create so many characters with homes, jobs and possessions."""
    homes = [place for place in places if place.kind is HOME]
    works = [(place, job) for place in places for job in place.kind.jobs]
    people = []
    for number in range(population):
        name = NAMES[number % len(NAMES)]
        series = number // len(NAMES)
        home = homes[number // 4]
        # every third has no job, as an artist for example
        workplace, job = (None, None) if number % 3 == 2 else works[number % len(works)]
        people.append(
            Character(
                id=name.lower() if series == 0 else f"{name.lower()}-{series + 1}",
                name=name if series == 0 else f"{name} {series + 1}",
                age=rng.randint(19, 81),
                bio=rng.choice(BIOS),
                goal=rng.choice(GOALS),
                job=job,
                home=home,
                workplace=workplace,
                health=float(rng.randint(70, 100)),
                energy=float(rng.randint(60, 100)),
                money=float(rng.randint(5, 60)),
                mood=rng.choice(MOODS[1:5]),
                x=home.x,
                y=home.y,
                chronotype=round(rng.triangular(-4.0, 6.0, 0.5), 2),
                haggling=rng.random(),
                artistry=rng.random(),
            )
        )
        people[-1].enter(home)
    return people


def _within(coordinate: float) -> float:
    return round(min(max(coordinate, 2.0), SIZE - 2.0), 1)
