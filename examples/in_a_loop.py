"""A simulation in a plain loop, as in a script or a cell: five lines tell what happens, and one lets it be stopped.

Run it, and in a notebook: session = dc.connect("ws://127.0.0.1:8765"); session.dashboard()
It ends after 200 ticks, in 40 seconds; `--ticks 10000` runs for half an hour.
"""

import argparse
import time

from town import Town

from degentcivil_nb.simulation import SimulationProbe


def run(ticks, port, pace_s):
    town = Town()
    with SimulationProbe(port=port) as probe:
        print(f'connect with dc.connect("{probe.url}")', flush=True)
        for tick in range(ticks):
            town.step()
            for person in town.people:
                probe.state_change(person.name, person.state, location=person.place)
                probe.character_update(person.name, money=person.money, hunger=person.hunger)
            for speaker, listener, text in town.said:
                probe.said(speaker, [listener], text)
            probe.checkpoint(tick)  # blocks here while a notebook has paused the run
            time.sleep(pace_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=200)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--pace-s", type=float, default=0.2)
    run(**vars(parser.parse_args()))
