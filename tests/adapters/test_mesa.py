"""Every example that Mesa ships, and what its spaces, births, deaths and collectors become."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.adapters.mesa import attach
from degentcivil_nb.simulation import SimulationProbe
from tests.support.mesa_examples import example

mesa = pytest.importorskip("mesa", reason="Mesa is an extra of the tests")
examples = pytest.importorskip("mesa.examples", reason="Mesa's examples need networkx")

STEPS = 3


@pytest.fixture
def probe() -> Iterator[SimulationProbe]:
    with SimulationProbe(port=0) as probe:
        yield probe


def seen(probe: SimulationProbe) -> dc.Session:
    return dc.connect(probe.url, history=1_000_000)


@pytest.mark.filterwarnings("ignore:Random number generator:UserWarning")  # Conway names none
@pytest.mark.parametrize("name", examples.__all__)
def test_every_example_that_mesa_ships_is_shown(probe: SimulationProbe, name: str) -> None:
    model = example(name)
    attach(model, probe)
    for _ in range(STEPS):
        model.step()
    with seen(probe) as session:
        people = session.characters()
        assert set(people.index) == {str(agent.unique_id) for agent in model.agents}
        assert people["state"].notna().all()
        assert len(session.errors()) == 0
        assert session.metrics()["tick"] == STEPS
        collector = getattr(model, "datacollector", None)
        collected = {} if collector is None else collector.model_vars
        numbers = {name for name, values in collected.items() if values and isinstance(values[-1], (int, float))}
        assert numbers <= set(session.measures()["name"])
        for agent in list(model.agents)[:20]:
            one = people.loc[str(agent.unique_id)]
            cell = getattr(agent, "cell", None)
            if cell is not None:
                assert one["location"] == str(cell.coordinate)
                assert one["location"] in set(session.places()["name"])
            elif hasattr(agent, "position") and hasattr(agent.position, "__len__"):
                assert (one["x"], one["y"]) == pytest.approx(tuple(agent.position))
            known = session_free_inspect(model, agent.unique_id)
            assert known["kind"] == type(agent).__name__


def session_free_inspect(model: Any, unique_id: Any) -> dict[str, Any]:
    return model._degentcivil_nb.inspect(unique_id)  # type: ignore[no-any-return]


class Walker(mesa.Agent):  # type: ignore[name-defined, misc]
    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.wealth = 3
        self.mood = "calm"
        self.secret = object()

    def grow(self) -> None:
        self.wealth += 1


class Town(mesa.Model):  # type: ignore[name-defined, misc]
    """No space at all; one is born and one dies in each step."""

    def __init__(self) -> None:
        super().__init__(rng=1)
        Walker.create_agents(self, 3)
        self.datacollector = mesa.DataCollector(
            {"population": lambda model: len(model.agents), "names": lambda model: ["a"]},
            agent_reporters={"double": lambda agent: agent.wealth * 2},
        )

    def step(self) -> None:
        self.agents.do("grow")
        Walker(self)
        next(iter(self.agents)).remove()
        self.datacollector.collect(self)


def test_births_deaths_attributes_and_figures_of_a_model_without_a_space(probe: SimulationProbe) -> None:
    model = Town()
    attach(model, probe)
    for _ in range(2):
        model.step()
    with seen(probe) as session:
        people = session.characters()
        assert list(people.index) == ["3", "4", "5"]
        assert list(people["wealth"]) == [5, 4, 3]
        assert list(people["double"]) == [10, 8, 6]
        assert set(people["mood"]) == {"calm"}
        assert set(people["state"]) == {"Walker"}
        assert "secret" not in people
        assert list(session.measures("population")["value"]) == [3, 3]
        assert len(session.events("character_left")) == 2


def test_a_state_may_be_an_attribute_or_a_function(probe: SimulationProbe) -> None:
    model = Town()
    attach(model, probe, state="mood", attributes=["wealth"])
    with seen(probe) as session:
        assert set(session.characters()["state"]) == {"calm"}
        assert "mood" not in session.characters()
    attach(model, probe, state=lambda agent: "RICH" if agent.wealth > 3 else "POOR")
    model.step()
    with seen(probe) as session:
        assert session.timeline("2")["state"].tolist()[-2:] == ["POOR", "RICH"]


def test_agents_are_inspected_and_set_at_the_end_of_a_step(probe: SimulationProbe) -> None:
    model = Town()
    attach(model, probe)
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            probe.checkpoint(0)
            ended.wait(0.01)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with seen(probe) as session:
            assert session.inspect("2")["wealth"] == 3
            session.set_attribute("2", "wealth", 50)
            assert session.inspect(2)["wealth"] == 50
            for name, value in (("wealth", "much"), ("unique_id", 7), ("nonsense", 1)):
                with pytest.raises(dc.CommandError):
                    session.set_attribute("2", name, value)
            with pytest.raises(dc.CommandError, match="no character"):
                session.inspect("99")
    finally:
        ended.set()
        thread.join()


def test_a_step_can_be_paused_and_stepped_from_a_notebook(probe: SimulationProbe) -> None:
    model = Town()
    attach(model, probe)
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            model.step()

    thread = threading.Thread(target=run)
    try:
        with seen(probe) as session:
            thread.start()  # a model at full speed may keep a connection waiting for long on a busy machine
            session.pause()
            before = session.metrics()["tick"]
            assert model.steps == before
            session.step(2)
            assert model.steps == before + 2
            session.resume()
    finally:
        ended.set()
        probe.finish()
        thread.join()


def test_a_simulator_that_kept_the_models_step_comes_to_the_checkpoint_too(probe: SimulationProbe) -> None:
    model = example("WolfSheep")
    run_for = getattr(model, "run_for", None) or model.simulator.run_for  # from Mesa 3.5 on a model runs itself
    attach(model, probe)
    run_for(3)
    assert model.steps > 0
    with seen(probe) as session:
        assert session.metrics()["tick"] == model.steps


def test_a_step_that_fails_is_told_and_raised_on(probe: SimulationProbe) -> None:
    model = Town()
    model.agents.remove(next(iter(model.agents)))
    model.datacollector = None
    attach(model, probe)
    with pytest.raises(AttributeError):
        model.step()
    with seen(probe) as session:
        assert "step() failed: AttributeError" in session.errors()["message"].iloc[0]


def test_a_function_of_ones_own_that_fails_stops_nothing(probe: SimulationProbe) -> None:
    model = Town()
    attach(model, probe, state=lambda agent: agent.nonsense)
    model.step()
    assert model.steps == 1
    with seen(probe) as session:
        assert "nonsense" in session.errors()["message"].iloc[0]


def test_a_detached_model_goes_on_unseen(probe: SimulationProbe) -> None:
    model = Town()
    attached = attach(model, probe)
    attached.detach()
    model.step()
    assert model.steps == 1
    assert probe.stats()["checkpoint_age_s"] is None


def test_the_run_itself_is_the_same_with_and_without_the_adapter(probe: SimulationProbe) -> None:
    alone, shown = (example("BoltzmannWealth", 4, n=30) for _ in range(2))
    attach(shown, probe)
    for _ in range(20):
        alone.step()
        shown.step()
    assert [agent.wealth for agent in alone.agents] == [agent.wealth for agent in shown.agents]
