"""An interview at a stop: the answer, a proof that nothing changed, or what did, and an aside in the record."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.protocol.errors import CommandError
from degentcivil_nb.simulation import SimulationProbe

PATIENCE_S = 20.0


class Town:
    """A run whose characters can be asked, on a thread of its own, sync or async."""

    def __init__(self, *, is_async: bool, inspector: bool = True) -> None:
        self.probe = probe = SimulationProbe(port=0, paused=True)
        self.people: dict[Any, dict[str, Any]] = {5: {"mood": "calm"}, "emma": {"mood": "calm"}}
        self._ended = threading.Event()
        for name, one in self.people.items():
            probe.character_update(name, **one)
        if inspector:
            probe.inspector(self.people.__getitem__)

        def answer(character_id: Any, question: str) -> str:
            one = self.people[character_id]
            if question == "angry?":
                one["mood"] = "angry"
            probe.llm_call(character_id, prompt_type="INTERVIEW", prompt=question, response="yes")
            return f"{character_id}: {question}"

        async def answer_later(character_id: Any, question: str) -> str:
            await asyncio.sleep(0)  # a coroutine that gives way once
            return answer(character_id, question)

        probe.asker(answer_later if is_async else answer)
        run = self._live if not is_async else lambda: asyncio.run(self._live_async())
        self._thread = threading.Thread(target=run, name="town")
        self._thread.start()

    def _live(self) -> None:
        while not self._ended.is_set():
            self.probe.checkpoint()

    async def _live_async(self) -> None:
        while not self._ended.is_set():
            await self.probe.acheckpoint()

    def close(self) -> None:
        self._ended.set()
        self.probe.finish()
        self._thread.join(PATIENCE_S)
        self.probe.close()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def town(request: pytest.FixtureRequest) -> Iterator[Town]:
    town = Town(is_async=request.param)
    yield town
    town.close()


def test_an_interview_at_a_stop_proves_that_nothing_changed(town: Town, tmp_path: Path) -> None:
    with dc.connect(town.probe, record=tmp_path / "run") as session:
        point = session.break_when("type == 'llm_call' or event_type == 'interview'")
        said = session.ask(5, "why?")
        assert (said.answer, said.unchanged, dict(said.changed)) == ("5: why?", True, {})
        assert (str(said), repr(said)) == ("5: why?", "<Interview of 5: '5: why?' (the same before and after)>")
        assert said.row is not None
        recorded = session.events(payload=True).loc[said.row]
        assert (recorded["event_type"], recorded["character_id"]) == ("interview", "5")
        assert recorded["data"] == {"question": "why?", "answer": "5: why?", "unchanged": True}
        assert (session.metrics()["run_state"], point.hits) == ("paused", 0)  # an aside meets no breakpoint
        again = session.ask("5", "why?")
        assert again.row is not None
        assert again.row > said.row
    assert len(dc.open_recording(tmp_path / "run").events(event_type="interview")) == 2


def test_what_an_interview_changed_is_said(town: Town) -> None:
    with dc.connect(town.probe) as session:
        said = session.ask("emma", "angry?")
    assert (said.unchanged, dict(said.changed)) == (False, {"mood": ["calm", "angry"]})
    assert said.proof == "mood was 'calm' and is 'angry'"
    assert "mood was" in said._repr_html_()


def test_nobody_knows_without_an_inspector_and_mistakes_are_said() -> None:
    town = Town(is_async=False, inspector=False)
    try:
        with dc.connect(town.probe) as session:
            said = session.ask("emma", "angry?")
            assert (said.answer, said.unchanged) == ("emma: angry?", None)
            assert "no inspector" in said.proof
            with pytest.raises(CommandError, match="there is no character 'emme'; did you mean 'emma'"):
                session.ask("emme", "why?")
        with dc.connect(town.probe, types="error") as deaf:
            assert deaf.ask("emma", "why?").row is None
    finally:
        town.close()


def test_a_simulation_that_offers_no_interview_says_so() -> None:
    with SimulationProbe(port=0) as probe, dc.connect(probe) as session, pytest.raises(CommandError, match="ask"):
        session.ask("emma", "why?")
