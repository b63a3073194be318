"""The stand-in of DegentCivil alone: it runs, and it has the faults that an adapter is there to show."""

from __future__ import annotations

import asyncio
import json
import re

from websockets.asyncio.client import connect

from tests.support.stand_in import MAIN, free_port, listening, run_to_its_end, running


def test_the_town_runs_by_itself_and_characters_whose_arrival_was_dropped_stay_in_move() -> None:
    out, err = run_to_its_end([MAIN], updates="120")
    *people, updates = out.splitlines()
    assert int(updates.split()[-1]) > 60
    assert sum("; MOVE; " in line for line in people) >= 2, out
    # its dialogues lose a ValueError in a callback, as the real ones do: tests/support/degentcivil_stand_in
    assert set(re.findall(r"^(\w+(?:Error|Exception))\b", err, re.MULTILINE)) <= {"ValueError"}, err


def test_an_answer_that_is_no_dict_stops_at_the_debuggers_prompt() -> None:
    out, err = run_to_its_end([MAIN], updates="20", malformed="3")
    assert "ipdb>" in out
    assert "BdbQuit" in err  # the terminal had ended


def test_an_exception_in_a_chain_is_only_printed() -> None:
    out, err = run_to_its_end([MAIN], updates="40", poison="2")
    assert "AttributeError: 'NoneType' object has no attribute 'split'" in err
    assert "updates:" in out


def test_a_model_that_fails_is_an_exception_in_a_callback() -> None:
    _, err = run_to_its_end([MAIN], updates="20", failing="2")
    assert "Exception in callback" in err
    assert "429" in err


async def test_the_websockets_entry_point_dies_unheard_as_published() -> None:
    port = free_port()
    with running(["-m", "app.websocket_run"], port=str(port)):
        await asyncio.wait_for(listening(port), 20)
        async with connect(f"ws://127.0.0.1:{port}/ws") as websocket:
            await websocket.send("start")
            try:
                async with asyncio.timeout(1):  # nothing comes, for which one can only wait
                    await websocket.recv()
            except TimeoutError:
                return
    raise AssertionError("it said something")


async def test_the_websockets_entry_point_sends_prompts_without_a_character_once_it_is_mended() -> None:
    port = free_port()
    with running(["-m", "app.websocket_run"], port=str(port), mended_start="1"):
        await asyncio.wait_for(listening(port), 20)
        async with connect(f"ws://127.0.0.1:{port}/ws") as websocket:
            await websocket.send("start")
            message = json.loads(await asyncio.wait_for(websocket.recv(), 20))
    assert message["type"] == "character_update_llm"
    assert set(message["data"]) == {"latest_prompt_type", "latest_prompt", "latest_response"}
