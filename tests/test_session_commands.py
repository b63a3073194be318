"""Commands of a session: what has taken effect is in the store, and what cannot be done is refused at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe


@contextmanager
def simulated(probe: SimulationProbe, tick_s: float = 0.001) -> Iterator[threading.Event]:
    """Run a simulation that publishes on a thread of its own, a tick each `tick_s`, until the block ends."""
    ended = threading.Event()

    def live() -> None:
        tick = 0
        while not ended.is_set():
            for one in range(20):
                probe.character_update(f"c{one}", tick=tick)
            ended.wait(tick_s)
            probe.checkpoint(tick)
            tick += 1

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield ended
    finally:
        ended.set()
        probe.finish()
        thread.join()


@pytest.fixture
def probe() -> Iterator[SimulationProbe]:
    with SimulationProbe(port=0) as probe:
        yield probe


# --- what has taken effect is in the store -----------------------------------------------------------------------


def test_an_injected_event_is_in_the_store_when_the_call_returns_each_time(probe: SimulationProbe) -> None:
    with simulated(probe), dc.connect(probe) as session:
        for number in range(500):
            row = session.inject_event("storm", {"number": number})
            assert row is not None
            assert row == session.events(event_type="storm").index[-1]
            assert session.payload(row)["data"] == {"number": number}


def test_a_set_attribute_gives_the_row_of_its_own_update(probe: SimulationProbe) -> None:
    probe.attributes(lambda character_id, name, value: None)
    with simulated(probe), dc.connect(probe) as session:
        for number in range(100):
            row = session.set_attribute("c3", "money", number)
            assert row is not None
            assert session.payload(row) == {"money": number, "character_id": "c3"}
            assert session.characters().loc["c3", "money"] == number


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("inject_state_change", {"character_id": "c1", "new_state": "DRAW"}),
        ("inject_character_update", {"character_id": "c1", "attributes": {"mood": "calm"}}),
        ("inject_error", {"code": 1004, "message": "on purpose", "character_id": "c1"}),
        ("inject_event", {"event_type": "storm", "character_id": "c1"}),
    ],
)
def test_every_injection_names_its_row(probe: SimulationProbe, name: str, arguments: dict[str, object]) -> None:
    with simulated(probe), dc.connect(probe) as session:
        for _ in range(20):
            row = session.command(name, **arguments)["row"]
            assert session.events().loc[row, "character_id"] == "c1"


def test_what_a_command_of_ones_own_publishes_is_there_too(probe: SimulationProbe) -> None:
    @probe.command
    def give_money(amount: int) -> int:
        probe.event("gift", {"amount": amount})
        return amount

    with simulated(probe), dc.connect(probe) as session:
        for amount in range(200):
            assert session.command("give_money", amount=amount) == amount
            assert session.payload(session.events(event_type="gift").index[-1])["data"] == {"amount": amount}


def test_an_event_that_a_filter_keeps_away_has_no_row(probe: SimulationProbe) -> None:
    with simulated(probe), dc.connect(probe, types="state_change") as session:
        assert session.inject_event("storm") is None
