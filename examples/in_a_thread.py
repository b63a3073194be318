"""The same simulation on a thread, with the notebook's side in the same process, as a notebook would have it."""

import threading

from town import Town

import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe


def simulate(probe, stopped):
    town, tick = Town(), 0
    while not stopped.is_set():
        town.step()
        for person in town.people:
            probe.state_change(person.name, person.state, location=person.place)
            probe.character_update(person.name, money=person.money)
        probe.checkpoint(tick)
        tick += 1
        stopped.wait(0.01)


def main():
    stopped = threading.Event()
    with SimulationProbe(port=0) as probe:
        thread = threading.Thread(target=simulate, args=(probe, stopped))
        thread.start()
        try:
            with dc.connect(probe) as session:
                session.wait_for("state_change")
                session.pause()
                session.step(3)
                print(session.characters()[["state", "location", "money"]])
                session.resume()
        finally:
            stopped.set()
            probe.finish()  # so that a pause does not hold the thread
            thread.join()


if __name__ == "__main__":
    main()
