"""Judge the rules of findings: `python -m tests.soak.findings --seeds 30`.

Plants every kind of fault in random towns and counts how many are found; then runs healthy towns of three kinds (the
demo town, Mesa's examples, random ones) and counts what is reported all the same. The thresholds were tuned on seeds
below 100; judge on others.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pandas as pd

import degentcivil_nb as dc
from degentcivil_nb.adapters.mesa import attach
from degentcivil_nb.analysis.reader import Reader
from degentcivil_nb.demo.town import Town
from tests.support.planted_runs import FAULTS, PlantedTown

DAY_TICKS = 1_440
EXAMPLES = {
    "basic.boltzmann_wealth_model": "BoltzmannWealth",
    "basic.schelling": "Schelling",
    "basic.virus_on_network": "VirusOnNetwork",
    "basic.conways_game_of_life": "ConwaysGameOfLife",
}


def planted(seeds: range, characters: int, ticks: int) -> pd.DataFrame:
    """Count the planted faults of each kind, and those that were found of the right character."""
    rows = Counter[str](), Counter[str]()
    for seed in seeds:
        for fault in FAULTS:
            town = PlantedTown(seed, characters=characters, ticks=ticks, fault=fault)
            found = town.run().findings(fault)
            mine = found if town.culprit is None else found[found["character_id"] == town.culprit]
            rows[0][fault] += 1
            rows[1][fault] += bool(len(mine))
    return pd.DataFrame({"planted": rows[0], "found": rows[1]})


def demo(seed: int) -> Iterator[tuple[Reader, float]]:
    """Run the demo town for a day."""
    with dc.SimulationProbe(port=0, history=200_000) as probe, dc.connect(probe) as session:
        town = Town(probe, 25, seed)
        town.announce()
        run(lambda: town.step(), probe, DAY_TICKS)
        yield settled(session, probe), 25.0


def mesa(example: str, seed: int) -> Iterator[tuple[Reader, float]]:
    """Run one of Mesa's examples for 400 steps."""
    module = importlib.import_module(f"mesa.examples.{example}.model")
    with dc.SimulationProbe(port=0, history=200_000) as probe, dc.connect(probe) as session:
        model = getattr(module, EXAMPLES[example])(seed=seed)
        agents = len(model.agents)
        attach(model, probe)
        run(model.step, None, 400)
        yield settled(session, probe), agents * 400 / DAY_TICKS


def random_town(seed: int) -> Iterator[tuple[Reader, float]]:
    """Run a random town for a day."""
    yield PlantedTown(seed, characters=50, ticks=DAY_TICKS).run(), 50.0


def run(step: Callable[[], None], probe: dc.SimulationProbe | None, ticks: int) -> None:
    """Step so often; a short rest now and then, so that a reader in this process keeps up."""
    for tick in range(1, ticks + 1):
        step()
        if probe is not None:
            probe.checkpoint(tick)
        if tick % 50 == 0:
            time.sleep(0.05)  # so that the reader keeps up


def settled(session: dc.Session, probe: dc.SimulationProbe) -> dc.Session:
    """Wait until all that was published is in the session's store."""
    probe.event("the_end", id=True)
    session.wait_for("event_notification", where="event_type == 'the_end'", after=0, timeout=60)
    return session


def healthy(seeds: range) -> pd.DataFrame:
    """Count what is reported of towns in which nothing was planted, a row a kind of town and finding."""
    towns: dict[str, Callable[[int], Iterator[tuple[Reader, float]]]] = {"demo": demo, "random": random_town}
    for example in EXAMPLES:
        towns[f"mesa {example.split('.')[1]}"] = lambda seed, example=example: mesa(example, seed)  # type: ignore[misc]
    rows = []
    for name, make in towns.items():
        for seed in seeds:
            for reader, days in make(seed):
                found = reader.findings()
                kinds = Counter(found["kind"].to_list())
                rows.append({"town": name, "seed": seed, "character_days": days, "findings": len(found), **kinds})
                for one in found.head(5).to_dict("records"):
                    print(f"  {name} {seed}: {one['kind']}: {one['text']}")
    table = pd.DataFrame(rows).fillna(0).drop(columns="seed")
    return table.groupby("town", sort=False).sum()


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds, from 100 on")
    parser.add_argument("--healthy", type=int, default=3, help="how many seeds of each healthy town")
    parser.add_argument("--characters", type=int, default=20)
    parser.add_argument("--ticks", type=int, default=600)
    options = parser.parse_args()
    print(healthy(range(100, 100 + options.healthy)).to_string())
    found = planted(range(100, 100 + options.seeds), options.characters, options.ticks)
    print(found.to_string(), f"\n{found['found'].sum()} of {found['planted'].sum()}")


if __name__ == "__main__":
    main()
