"""Judge the rules of findings: `python -m tests.soak.findings --seeds 30`.

Plants every kind of fault in random towns of several sizes and counts how many are found; then runs healthy towns of
three kinds (the demo town, Mesa's examples, random ones), and ten more that nothing was tuned on, and counts what is
reported all the same. The thresholds were tuned on seeds below 100, and of 500 to 640; judge on others.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pandas as pd

import degentcivil_nb as dc
from degentcivil_nb.adapters.mesa import attach
from degentcivil_nb.analysis.reader import Reader
from degentcivil_nb.demo.town import Town
from tests.support.healthy_runs import HEALTHY
from tests.support.healthy_runs import healthy as healthy_run
from tests.support.planted_runs import FAULTS, PlantedTown

DAY_TICKS = 1_440
EXAMPLES = {
    "basic.boltzmann_wealth_model": ("BoltzmannWealth", 400),
    "basic.schelling": ("Schelling", 400),
    "basic.virus_on_network": ("VirusOnNetwork", 400),
    "basic.conways_game_of_life": ("ConwaysGameOfLife", 400),
    "basic.boid_flockers": ("BoidFlockers", 200),
    "advanced.epstein_civil_violence": ("EpsteinCivilViolence", 150),
    "advanced.pd_grid": ("PdGrid", 150),
    "advanced.sugarscape_g1mt": ("SugarscapeG1mt", 150),
}
"""Mesa's examples, and how many steps they run."""
SIZES = ((5, 400), (12, 400), (20, 600), (60, 1_000), (100, 1_440))
"""Characters and ticks of planted towns."""


def planted(seeds: range) -> pd.DataFrame:
    """Count the planted faults of each kind that were found of the right character, in towns of each size."""
    found_of: dict[str, Counter[str]] = {}
    for characters, ticks in SIZES:
        counts = found_of[f"{characters} x {ticks}"] = Counter[str](dict.fromkeys(FAULTS, 0))
        for seed in seeds:
            for fault in FAULTS:
                town = PlantedTown(seed, characters=characters, ticks=ticks, fault=fault)
                found = town.run().findings(fault)
                mine = found if town.culprit is None else found[found["character_id"] == town.culprit]
                counts[fault] += bool(len(mine))
    return pd.DataFrame({"planted in each": len(seeds), **found_of})


def demo(seed: int) -> Iterator[tuple[Reader, float]]:
    """Run the demo town for a day."""
    with dc.SimulationProbe(port=0, history=200_000) as probe, dc.connect(probe) as session:
        town = Town(probe, 25, seed)
        town.announce()
        run(lambda: town.step(), probe, DAY_TICKS)
        yield settled(session, probe), 25.0


def mesa(example: str, seed: int) -> Iterator[tuple[Reader, float]]:
    """Run one of Mesa's examples."""
    module = importlib.import_module(f"mesa.examples.{example}.model")
    with dc.SimulationProbe(port=0, history=200_000) as probe, dc.connect(probe) as session:
        name, steps = EXAMPLES[example]
        kind = getattr(module, name)
        model = kind(**{"rng" if "rng" in inspect.signature(kind).parameters else "seed": seed})  # Mesa 3.5 renamed it
        agents = len(model.agents)
        attach(model, probe)
        run(model.step, None, steps)
        yield settled(session, probe), agents * steps / DAY_TICKS


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


def made(name: str, seed: int) -> Iterator[tuple[Reader, float]]:
    """Run a healthy town of a kind that the thresholds were not tuned on, in three sizes."""
    for characters, ticks in ((10, 600), (50, DAY_TICKS), (200, 800)):
        yield healthy_run(name, seed, characters=characters, ticks=ticks), characters * ticks / DAY_TICKS


def healthy(seeds: range) -> pd.DataFrame:
    """Count what is reported of towns in which nothing was planted, a row a kind of town and finding."""
    towns: dict[str, Callable[[int], Iterator[tuple[Reader, float]]]] = {"demo": demo, "random": random_town}
    for example in EXAMPLES:
        towns[f"mesa {example.split('.')[1]}"] = lambda seed, example=example: mesa(example, seed)  # type: ignore[misc]
    for kind in HEALTHY:
        towns[kind.replace("_", " ")] = lambda seed, kind=kind: made(kind, seed)  # type: ignore[misc]
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
    options = parser.parse_args()
    print(healthy(range(100, 100 + options.healthy)).to_string())
    found = planted(range(100, 100 + options.seeds))
    print(found.to_string(), f"\nof {options.seeds * len(FAULTS)} in each size: {dict(found.sum().iloc[1:])}")


if __name__ == "__main__":
    main()
