"""The loop of updates, as the WebSocket's entry point starts it."""

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
    if settings.MENDED_START:
        GameServer().start()
    else:
        simulation.start_service()  # lacks its argument, as published
    await periodic_update(simulation, settings.UPDATE_INTERVAL_S)
