"""Models of Mesa that are written otherwise than its examples: each is shown whole, and steps as it does alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import degentcivil_nb as dc
from degentcivil_nb.adapters.mesa import attach
from degentcivil_nb.simulation import SimulationProbe

mesa = pytest.importorskip("mesa", reason="Mesa is an extra of the tests")
spaces = pytest.importorskip("mesa.discrete_space")
old_spaces = pytest.importorskip("mesa.space")


@pytest.fixture
def probe() -> Iterator[SimulationProbe]:
    with SimulationProbe(port=0) as probe:
        yield probe


@pytest.fixture(autouse=True)
def old_spaces_are_wanted(recwarn: pytest.WarningsRecorder) -> None:
    """Let Mesa warn of its older spaces, which models in use still have."""


def seen(probe: SimulationProbe) -> dc.Session:
    return dc.connect(probe.url, history=100_000)


class Odd(mesa.Agent):  # type: ignore[name-defined, misc]
    """Attributes that cannot be compared, hashed or shown; one is a property that fails for some."""

    def __init__(self, model: Any, number: int) -> None:
        super().__init__(model)
        self.number = np.int64(number)
        self.share = np.float32(0.5)
        self.alive = np.bool_(True)
        self.history = [1, 2]
        self.table = {"a": [1]}
        self.vector = np.arange(3)
        self.friends = {self}
        self.nan = float("nan")
        self.function = lambda: 1
        self._secret = 1

    @property
    def mood(self) -> str:
        if self.number == 2:
            raise ZeroDivisionError("no mood")
        return "calm"


class OddModel(mesa.Model):  # type: ignore[name-defined, misc]
    def __init__(self) -> None:
        super().__init__(rng=1)
        for number in range(4):
            Odd(self, number)

    def step(self) -> None:
        for agent in self.agents:
            agent.number += 1


def test_attributes_that_cannot_be_compared_or_hashed(probe: SimulationProbe) -> None:
    model = OddModel()
    attach(model, probe)
    model.step()
    with seen(probe) as session:
        people = session.characters()
        assert people["number"].to_list() == [1, 2, 3, 4]
        assert people["share"].to_list() == [0.5] * 4
        assert people["alive"].to_list() == [True] * 4
        assert not {"history", "vector", "friends", "function", "_secret", "nan"} & set(people.columns)
        assert len(session.errors()) == 0
    assert model._degentcivil_nb.inspect(1)["history"] == [1, 2]


def test_what_is_asked_for_is_shown_whatever_it_is_and_one_failure_hides_nobody_else(probe: SimulationProbe) -> None:
    model = OddModel()
    attach(model, probe, attributes=["history", "vector", "table", "nothing"], state=lambda agent: agent.mood)
    for _ in range(3):
        model.step()
    with seen(probe) as session:
        people = session.characters()
        assert people["vector"].to_list()[0] == [0, 1, 2]
        assert people["history"].to_list()[0] == [1, 2]
        assert set(people["state"]) == {"calm"}
        assert len(people) == 4
        assert session.errors()["message"].to_list() == ["a Odd could not be read: ZeroDivisionError: no mood"]


class Ids(mesa.Agent):  # type: ignore[name-defined, misc]
    pass


class Others(mesa.Agent):  # type: ignore[name-defined, misc]
    pass


class IdsModel(mesa.Model):  # type: ignore[name-defined, misc]
    """Ids of numpy, of text and of tuples, given by hand, and the same ones again for another class of agents."""

    IDS: tuple[Any, ...] = (np.int64(7), "seven", (1, 2), np.str_("x"), [3])

    def __init__(self) -> None:
        super().__init__(rng=1)
        for kind in (Ids, Others):
            for id in self.IDS:
                agent = kind(self)
                agent.unique_id = id
                agent.wealth = 1

    def step(self) -> None:
        for agent in self.agents:
            agent.wealth += 1


def test_ids_of_any_kind_and_the_same_ones_in_two_classes(probe: SimulationProbe) -> None:
    model = IdsModel()
    adapter = attach(model, probe)
    model.step()
    with seen(probe) as session:
        people = session.characters()
        assert len(people) == 10
        assert set(people["wealth"]) == {2}
        assert {"7", "seven", "x", "Others 7", "Others seven"} <= set(people.index)
        assert people["kind"].value_counts().to_dict() == {"Ids": 5, "Others": 5}
        for name in people.index:
            assert adapter.inspect(name)["wealth"] == 2
        adapter.set("Others seven", "wealth", 9)
        assert adapter.inspect("seven")["wealth"] == 2


class Mortal(mesa.Agent):  # type: ignore[name-defined, misc]
    def eat(self) -> None:
        others = [agent for agent in self.model.agents if agent is not self]
        if others and self.unique_id % 2:
            others[0].remove()
            Mortal(self.model)


class MortalModel(mesa.Model):  # type: ignore[name-defined, misc]
    """Agents are removed and born while others act, and one leaves from inside its own turn."""

    def __init__(self) -> None:
        super().__init__(rng=3)
        self.landscape = spaces.HexGrid((4, 4), random=self.random)
        for _ in range(6):
            Mortal(self)

    def step(self) -> None:
        self.agents.shuffle_do("eat")
        if self.steps == 2:
            self.agents.do("remove")


def test_agents_that_go_and_come_in_mid_step_and_a_model_that_is_empty_in_the_end(probe: SimulationProbe) -> None:
    model = MortalModel()
    attach(model, probe)
    model.step()
    with seen(probe) as session:
        assert set(session.characters().index) == {str(agent.unique_id) for agent in model.agents}
        assert len(session.places()) == 16  # whatever the attribute is called
    model.step()
    with seen(probe) as session:
        assert len(session.characters()) == 0
        assert len(session.errors()) == 0


class Slots:
    """An agent of a framework's own, without a dict, on a schedule as Mesa 2 had it."""

    __slots__ = ("pos", "unique_id", "wealth")

    def __init__(self, unique_id: int) -> None:
        self.unique_id, self.wealth, self.pos = unique_id, 1, (unique_id, 0)


class Schedule:
    def __init__(self) -> None:
        self.agents = [Slots(number) for number in range(3)]
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        for agent in self.agents:
            agent.wealth += 1


class Scheduled:
    """A model that is none of Mesa's classes, run by `run_model`, as old models are."""

    def __init__(self) -> None:
        self.schedule = Schedule()
        self.steps = 0

    def step(self) -> None:
        self.schedule.step()
        self.steps += 1

    def run_model(self, count: int) -> None:
        for _ in range(count):
            self.step()


def test_a_schedule_run_model_and_agents_with_slots(probe: SimulationProbe) -> None:
    model = Scheduled()
    attach(model, probe)
    model.run_model(4)
    with seen(probe) as session:
        people = session.characters()
        assert people["wealth"].to_list() == [5, 5, 5]
        assert people["location"].to_list() == ["(0, 0)", "(1, 0)", "(2, 0)"]
        assert session.metrics()["tick"] == 4


def test_a_model_that_is_not_stepped_by_its_step_is_looked_at_by_hand(probe: SimulationProbe) -> None:
    model = Scheduled()
    adapter = attach(model, probe)
    for _ in range(3):
        model.schedule.step()
        model.steps += 1
        adapter.look()
    with seen(probe) as session:
        assert session.characters()["wealth"].to_list() == [4, 4, 4]
        assert session.metrics()["tick"] == 3


class Placed(mesa.Agent):  # type: ignore[name-defined, misc]
    pass


class OldSpace(mesa.Model):  # type: ignore[name-defined, misc]
    def __init__(self, kind: str) -> None:
        super().__init__(rng=1)
        networkx = pytest.importorskip("networkx")
        self.world = {
            "single": lambda: old_spaces.SingleGrid(3, 2, torus=False),
            "multi": lambda: old_spaces.MultiGrid(3, 2, torus=True),
            "hex": lambda: old_spaces.HexMultiGrid(3, 2, torus=True),
            "continuous": lambda: old_spaces.ContinuousSpace(3.0, 2.0, torus=True),
            "network": lambda: old_spaces.NetworkGrid(networkx.path_graph(6)),
            "layers": lambda: spaces.OrthogonalMooreGrid((3, 2), random=self.random),
        }[kind]()
        if kind == "layers":
            self.world.create_property_layer("grass", default_value=0.25)
        agent = Placed(self)
        if kind == "layers":
            return
        self.world.place_agent(agent, {"continuous": (0.5, 1.5), "network": 4}.get(kind, (2, 1)))


@pytest.mark.parametrize("kind", ["single", "multi", "hex", "continuous", "network", "layers"])
def test_spaces_old_and_new_under_any_name(probe: SimulationProbe, kind: str) -> None:
    model = OldSpace(kind)
    attach(model, probe)
    model.step()
    with seen(probe) as session:
        one = session.characters().iloc[0]
        assert len(session.places()) == (0 if kind == "continuous" else 6)
        if kind == "layers":
            assert session.measures("mean of grass")["value"].to_list() == [0.25]
        elif kind == "network":
            assert one["location"] == "4"
        elif kind == "continuous":
            assert (one["x"], one["y"]) == (0.5, 1.5)
        else:
            assert (one["location"], one["x"], one["y"]) == ("(2, 1)", 2, 1)
            assert one["location"] in set(session.places()["name"])
