"""A small simulation as anybody writes one: people who walk, work, eat and talk. It knows nothing of notebooks."""

import random

PLACES = {"Home": (0, 0), "Work": (4, 1), "Cafe": (2, 3), "Park": (5, 5)}


class Person:
    def __init__(self, name, money, rng):
        self.name, self.money, self.rng = name, money, rng
        self.hunger = rng.randrange(5)
        self.state, self.place = "SLEEP", "Home"

    def decide(self):
        """Ask for the next thing to do; a language model would be asked here."""
        if self.hunger > 6:
            return "EAT" if self.money > 0 else "WORK"
        return self.rng.choice(["WORK", "WALK", "TALK", "SLEEP"])

    def act(self, town):
        self.hunger += 1
        self.state = self.decide()
        if self.state == "WORK":
            self.place, self.money = "Work", self.money + 2
        elif self.state == "EAT":
            self.place, self.money, self.hunger = "Cafe", self.money - 1, 0
        elif self.state == "WALK":
            self.place = "Park"
        elif self.state == "SLEEP":
            self.place = "Home"
        else:
            self.say(town)

    def say(self, town):
        near = [other for other in town.people if other.place == self.place and other is not self]
        for other in near:
            town.said.append((self.name, other.name, "Nice weather!"))


class Town:
    def __init__(self, names=("emma", "noah", "mia"), seed=1):
        rng = random.Random(seed)
        self.people = [Person(name, rng.randrange(5), rng) for name in names]
        self.said = []

    def step(self):
        self.said.clear()
        for person in self.people:
            person.act(self)


if __name__ == "__main__":
    town = Town()
    for _ in range(10):
        town.step()
    for person in town.people:
        print(person.name, person.state, person.place, person.money)
