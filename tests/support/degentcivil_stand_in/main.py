"""A stand-in of DegentCivil: its names, its order of calls and its faults, with fake models; no line of it is copied.

The loop without a WebSocket. Settings come from the environment, see `app/settings.py` and `autogen/fake_model.py`.
"""

import asyncio
import time

from app import settings
from app.service.simulation import Simulation
from app.utils.game_server import GameServer


async def periodic_update(simulation, update_interval):
    calls = 0
    while not settings.UPDATES or calls < settings.UPDATES:
        started = time.time()
        simulation.update_state()
        calls += 1
        elapsed = time.time() - started
        await asyncio.sleep(max(update_interval - elapsed, 0))  # as the game does


async def main():
    simulation = Simulation()
    GameServer().start()
    await periodic_update(simulation, settings.UPDATE_INTERVAL_S)
    for character in simulation.character_list.characters:
        print(character.name, character.state_name.name, character.money, sep="; ")
    print("updates:", simulation.total_update_count)


if __name__ == "__main__":
    asyncio.run(main())
