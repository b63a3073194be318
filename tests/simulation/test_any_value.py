"""Any value that a simulation hands over: it arrives, or an `error` 1005 stands in its place (promise 11)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import decimal
import enum
import logging
import pathlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import degentcivil_nb as dc
from degentcivil_nb.monitoring.interfaces import NullMonitor
from degentcivil_nb.protocol.errors import CommandError
from degentcivil_nb.protocol.messages import Links
from degentcivil_nb.server.stream.history import History
from degentcivil_nb.server.stream.publishing import StreamPublisher
from degentcivil_nb.server.stream.snapshot import SnapshotBuilder
from degentcivil_nb.simulation import SimulationProbe
from degentcivil_nb.simulation.methods.capturing import CapturingMethods
from degentcivil_nb.simulation.methods.thoughts import ThoughtMethods
from tests.core.test_plain import EXPECTED, VALUES, Hidden, Level, Mood, Unshowable
from tests.support.client_helpers import following
from tests.support.sizes import examples


class Fault(enum.Enum):
    LLM = "llm"


@pytest.fixture
async def probe() -> AsyncIterator[SimulationProbe]:
    probe = SimulationProbe(port=0)
    yield probe
    await asyncio.to_thread(probe.close)


async def told(probe: SimulationProbe) -> list[tuple[str, Any]]:
    """Give type and payload of all that was told so far."""
    head = await asyncio.to_thread(probe.flush)
    async with following(probe.url) as (_, seen):
        await seen.until(lambda: seen.seqs and seen.seqs[-1] == head)
        return [(message.type, message.payload()) for message in seen.messages if message.seq is not None]


@pytest.mark.parametrize(
    ("id", "text"),
    [
        ("emma", "emma"),
        (5, 5),
        (np.int64(5), 5),
        (5.0, 5),
        (Mood.CALM, "CALM"),
        (Level.HIGH, "HIGH"),
        ((1, 2), "(1, 2)"),
        ((np.int64(1), Mood.CALM), "(1, 'CALM')"),
        (2**60, str(2**60)),
        ("\ud800", "\\ud800"),
        (Unshowable(), "<an object that cannot be shown: SystemExit>"),
    ],
    ids=lambda value: str(type(value)),
)
async def test_ids_states_and_locations_are_of_any_type(probe: SimulationProbe, id: Any, text: Any) -> None:
    probe.state_change(id, id, location=id)
    probe.character_update(id, state=id, location=id, money=3)
    word = str(text) if type(id) is not float else "5.0"
    first, *_, update = [payload for type, payload in await told(probe)]
    assert (first["character_id"], first["new_state"]) == (text, word)
    assert first["location"] == word
    assert (update["character_id"], update["state"], update["location"], update["money"]) == (text, word, word, 3)
    assert probe.stats()["unencodable"] == 0


@pytest.mark.parametrize("place", [(3, 4), [3, 4], (np.int64(3), np.int64(4)), np.array([3, 4])], ids=repr)
async def test_a_pair_of_numbers_as_location_is_text_and_sets_x_and_y(probe: SimulationProbe, place: Any) -> None:
    probe.state_change("emma", "MOVE", location=place)
    probe.character_update("noah", location=place)
    (_, moved), (_, point), (_, update) = await told(probe)
    assert moved["location"] == update["location"] == "(3, 4)"
    assert point == {"character_id": "emma", "x": 3, "y": 4}
    assert (update["x"], update["y"]) == (3, 4)


async def test_a_missing_id_is_declared(probe: SimulationProbe) -> None:
    probe.state_change(None, "MOVE")
    probe.character_update(float("nan"), money=3)
    probe.event("trade", character_id=pd.NA)
    (kind, first), (_, second), (event, _trade) = await told(probe)
    assert (kind, first["code"], second["code"], event) == ("error", 1005, 1005, "event_notification")
    assert "the id of the character is missing" in first["message"] and first["type"] == "state_change"
    assert probe.stats() | {"published": 3, "unencodable": 2} == probe.stats()
    assert "2 unencodable" in repr(probe)


@pytest.mark.parametrize(
    ("code", "number", "name"),
    [
        (1004, 1004, None),
        ("PLANNER", 1004, "PLANNER"),
        (Level.HIGH, 3, "HIGH"),
        (Fault.LLM, 1004, "LLM"),
        (404.0, 404, None),
        (np.int32(7), 7, None),
        (None, 1004, None),
        (2**80, 1004, str(2**80)),
    ],
)
async def test_a_code_may_be_a_text_or_an_enum(
    probe: SimulationProbe, code: Any, number: int, name: str | None
) -> None:
    probe.error(code, ValueError("no plan"), exception="not an exception")  # type: ignore[arg-type]
    ((_, payload),) = await told(probe)
    assert (payload["code"], payload.get("code_name")) == (number, name)
    assert payload["message"] == "ValueError: no plan"


async def test_figures_of_a_call_are_numbers_whatever_their_type(
    probe: SimulationProbe, caplog: pytest.LogCaptureFixture
) -> None:
    probe.llm_call(
        "emma",
        prompt_type=Mood.CALM,
        prompt=[{"role": "user", "content": Mood.CALM}],
        model=None,
        prompt_tokens=12.0,
        completion_tokens=np.float64(3.6),
        latency_s=datetime.timedelta(milliseconds=1_500),
        cost_usd=decimal.Decimal("0.002"),
        error=TimeoutError("slow"),
        temperature=0.5,
    )
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            probe.llm_call("emma", cost_usd="a lot", prompt_tokens=-1, latency_s=float("nan"))
    (_, call), (_, odd), *_ = await told(probe)
    assert call["prompt_type"] == "CALM"
    assert call["prompt"] == [{"role": "user", "content": "CALM"}]
    assert (call["prompt_tokens"], call["completion_tokens"]) == (12, 4)
    assert (call["latency_s"], call["cost_usd"], call["temperature"]) == (1.5, 0.002, 0.5)
    assert call["error"] == "TimeoutError: slow"
    assert (odd["cost_usd_text"], odd["prompt_tokens_text"]) == ("a lot", "-1")
    assert "latency_s" not in odd
    assert len([record for record in caplog.records if "not a number" in record.message]) == 2, "warned about once each"


async def test_unknown_keywords_are_kept_and_warned_about_once(
    probe: SimulationProbe, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            probe.event("trade", {"price": 3}, partner=Mood.CALM, timestamp=5)
            probe.state_change("emma", "MOVE", mood="calm")
            probe.error(1004, "x", step=3)
    (_, event), (_, state), (_, error), *_ = await told(probe)
    assert (event["partner"], event["timestamp_"], state["mood"], error["step"]) == ("CALM", 5, "calm", 3)
    assert event["timestamp"] > 1e9, "a payload's own keys stay what they are"
    assert len(caplog.records) == 4
    assert probe.stats()["unknown_keywords"] == 12


async def test_an_unknown_keyword_that_resembles_a_parameter_is_told_which(
    probe: SimulationProbe, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        probe.llm_call("emma", prompt="?", response="!", cost=0.1)
        probe.llm_call("emma", prompt="?", response="!", temperature=0.1)
    wrong, other = caplog.messages
    assert "llm_call() has no parameter 'cost': it is kept in the payload as 'cost'; did you mean 'cost_usd'?" in wrong
    assert "did you mean" not in other


async def test_every_word_arrives_with_every_kind_of_value(probe: SimulationProbe) -> None:
    values = [value for value, _ in EXPECTED] + [Unshowable(), Hidden(), "x" * 1_200_000, np.zeros((800, 800))]
    for value in values:
        probe.state_change("emma", value)
        probe.state_change(value, "MOVE", location=value, previous_state=value)
        probe.character_update("emma", thing=value, state=value, location=value)
        probe.event(value, value, character_id=value, id=value, cause=value)
        probe.error(value, value, character_id=value, exception=value)
        probe.llm_call(value, prompt=value, response=value, model=value, prompt_type=value, latency_s=value)
        probe.publish("any", value)
        probe.publish("any", {"thing": value})
    messages = await told(probe)
    stats = probe.stats()
    declared = [payload for type, payload in messages if type == "error" and payload.get("code") == 1005]
    assert stats["published"] == len(messages)
    assert stats["unencodable"] == len(declared)
    assert {payload["message"].partition(":")[2] for payload in declared} == {" the id of the character is missing"}


class Publisher(CapturingMethods, ThoughtMethods):
    """All methods that publish, without a probe."""


class Queue:
    """A publisher without a server, and what it would send."""

    tick = 0
    links: Links | None = None

    def handles_command(self) -> bool:
        return False

    def __init__(self) -> None:
        self.history = History(max_messages=10_000_000)
        self.publisher = StreamPublisher(self.history, SnapshotBuilder(), epoch="e", monitor=NullMonitor())
        self.teller = Publisher(self.publisher.publish, self, lambda: 5.0)


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=3))
def test_published_is_arrived_and_declared(values: list[tuple[Any, Any, Any]]) -> None:
    queue = Queue()
    for one, two, three in values:
        queue.teller.state_change(one, two, three)
        queue.teller.character_update(one, what=two, location=three)
        queue.teller.event(one, two, character_id=three)
        queue.teller.error(one, two, character_id=three)
        queue.teller.llm_call(one, prompt=two, cost_usd=three, extra=one)
        queue.teller.publish("any", [one, two, three])
    queue.publisher.drain()
    entries = queue.history.entries(0, 1_000_000)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    pairs = sum(b'"x":' in entry.frame and b'"y":' in entry.frame for entry in entries)
    said = sum(b'"code":1001' in entry.frame for entry in entries)  # that something is missing, once a kind
    assert 6 * len(values) <= len(entries) <= 6 * len(values) + pairs + said, "each call arrives, or is declared"


@dataclasses.dataclass
class Person:
    mood: Mood
    money: decimal.Decimal


def test_integer_ids_work_from_both_sides() -> None:
    people = {5: Person(Mood.CALM, decimal.Decimal("1.5")), (1, 2): Person(Mood.CALM, decimal.Decimal(2))}
    with SimulationProbe(port=0) as probe:

        @probe.inspector
        def inspect(character_id: Any) -> Any:
            return people[character_id]

        @probe.attributes
        def set_attribute(character_id: Any, name: str, value: Any) -> None:
            setattr(people[character_id], name, value)

        @probe.command(role="viewer")
        def census() -> Any:
            return {"people": people, "at": np.array([1, 2]), "huge": "x" * 3_000_000}

        for person in people:
            probe.state_change(person, Mood.CALM)
        with dc.connect(probe.url) as session, _ticking(probe):
            assert session.inspect(5) == session.inspect("5") == {"mood": "CALM", "money": 1.5}
            assert session.inspect("(1, 2)")["money"] == 2
            session.set_attribute(5, "money", 7)
            assert people[5].money == 7
            for condition in ("character_id == 5", "5 == character_id", "character_id in [5, '5']"):
                assert set(session.events("state_change", where=condition)["character_id"]) == {"5"}
            with pytest.warns(UserWarning, match="no character '6' was seen so far"):
                assert not len(session.events(where="character_id == 6"))
            census_now = session.command("census")
            assert census_now["people"]["5"] == {"mood": "CALM", "money": 7}
            assert census_now["at"] == [1, 2]
            assert census_now["huge"].endswith("… (3,000,000 characters in all)")
            with pytest.raises(CommandError, match="no character '6'"):
                session.inspect(6)


@contextlib.contextmanager
def _ticking(probe: SimulationProbe) -> Iterator[None]:
    """Come to checkpoints on a thread of its own, as a simulation does."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(0.005):
            probe.checkpoint()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class Named:
    def __init__(self, name: str | None = None, id: Any = None, coordinate: Any = None) -> None:
        self.name, self.id, self.coordinate = name, id, coordinate


@dataclasses.dataclass
class Agent:
    name: str
    money: int = 3


class Raising:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not ready")

    def __repr__(self) -> str:
        return "raising"


async def test_an_object_is_told_by_its_id_its_name_or_its_coordinate(probe: SimulationProbe) -> None:
    for id in (
        Named("emma"),
        Named("emma", 5),
        Agent("emma"),
        pathlib.PurePath("a/emma"),
        Raising(),
        Named("emma", ""),
    ):
        probe.state_change(id, Named("MOVE"), location=id)
    probe.state_change("emma", "MOVE", location=Named("park", coordinate=(np.int64(3), 4)))
    probe.said(Agent("emma"), [Agent("noah"), Named(id=7)], "hello")
    told_so = [payload for type, payload in await told(probe) if type not in ("character_update", "error")]
    assert [payload["character_id"] for payload in told_so] == [
        "emma",
        5,
        "emma",
        "a/emma",
        "raising",
        "",
        *["emma"] * 2,
    ]
    assert {payload.get("new_state", "MOVE") for payload in told_so} == {"MOVE"}
    assert [payload.get("location") for payload in told_so[:3]] == ["emma", "emma", "emma"]
    assert told_so[-2]["location"] == "(3, 4)"
    assert told_so[-1]["receivers"] == ["noah", 7]


async def test_objects_that_nothing_tells_apart_are_said(
    probe: SimulationProbe, caplog: pytest.LogCaptureFixture
) -> None:
    for thing in (object(), object()):
        probe.state_change(thing, thing, location=thing)
    errors = [payload["message"] for type, payload in await told(probe) if type == "error"]
    assert len(errors) == len(caplog.records) == 2
    assert "a object was given as character_id, and has no id or name" in errors[0] and "as location" in errors[1]


async def test_a_tracked_object_is_forgotten_under_any_form_of_its_id(probe: SimulationProbe) -> None:
    emma = Agent("emma")
    probe.track(emma, emma, "money")
    emma.money = 4
    probe.left("emma")
    await probe.acheckpoint()
    assert [type for type, _ in await told(probe)] == ["character_update", "character_left"]
