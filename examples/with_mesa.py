"""A Mesa model in one line: its agents are the characters, and each step ends at a checkpoint.

Install Mesa first, with what its examples need: `pip install 'mesa>=3.3' networkx`.
"""

from mesa.examples import BoltzmannWealth

import degentcivil_nb as dc
from degentcivil_nb.adapters.mesa import attach
from degentcivil_nb.simulation import SimulationProbe


def main():
    model = BoltzmannWealth()  # 100 agents; Mesa 3.5 takes no other arguments than a scenario
    with SimulationProbe(port=0) as probe:
        attach(model, probe, state=lambda agent: "RICH" if agent.wealth > 1 else "POOR")  # the one line
        for _ in range(20):
            model.step()
        with dc.connect(probe, history=10_000) as session:
            print(session.characters()[["state", "location", "wealth"]].head())
            print(session.characters()["state"].value_counts())
            print(session.measures("Gini")["value"].tail(3).to_list())


if __name__ == "__main__":
    main()
