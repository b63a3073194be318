"""The same simulation in asyncio: `acheckpoint` waits without blocking the loop, and a model's call is measured."""

import asyncio

from town import Town

import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe


async def ask(prompt):
    """Stand in for a language model: the real one is awaited in the same place."""
    await asyncio.sleep(0.01)
    return "sleep" if "tired" in prompt else "walk"


async def think(person, probe):
    prompt = f"You are {person.name}, you are {'tired' if person.hunger > 3 else 'awake'}. What now?"
    with probe.llm(person.name, prompt_type="PLAN", prompt=prompt, model="fake-1") as call:
        call.response = await ask(prompt)


async def simulate(probe, ticks):
    town = Town()
    for tick in range(ticks):
        await asyncio.gather(*(think(person, probe) for person in town.people))
        town.step()
        for person in town.people:
            probe.state_change(person.name, person.state, location=person.place)
        await probe.acheckpoint(tick)


def main():
    with SimulationProbe(port=0) as probe:
        asyncio.run(simulate(probe, 20))
        with dc.connect(probe) as session:
            print(session.llm_calls()[["character_id", "prompt_type", "response"]].tail(3))
            print(len(session.llm_calls()), "calls")


if __name__ == "__main__":
    main()
