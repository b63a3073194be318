"""Examples that Mesa ships, made with the same arguments by Mesa 3.3 and by 3.5, which gathers them in scenarios."""

from __future__ import annotations

import inspect
import sys
from typing import Any


def example(name: str, seed: int = 1, **sizes: Any) -> Any:
    """Make a model of an example; `sizes` are those of its arguments that both versions name alike."""
    from mesa import examples

    model = getattr(examples, name)
    parameters = inspect.signature(model).parameters
    if "scenario" in parameters:
        made = vars(sys.modules[model.__module__]).items()
        scenario = next(found for word, found in made if word.endswith("Scenario") and word != "Scenario")
        return model(scenario=scenario(rng=seed, **sizes))
    if "simulator" in parameters and "simulator" not in sizes:
        from mesa.experimental.devs import ABMSimulator

        sizes["simulator"] = ABMSimulator()
    return model(**sizes, **{"rng" if "rng" in parameters else "seed": seed})
