"""Inspecting and changing a run: large objects by branch, values of the right kind, and who changed what when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.protocol.errors import CommandError
from degentcivil_nb.session.session import Session
from tests.support.stepped_town import SteppedTown


class Person:
    """A character whose property tells that it was asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self.money: Any = 3

    @property
    def secret(self) -> int:
        self.asked += 1
        return 1


@pytest.fixture
def emma() -> Person:
    return Person()


@pytest.fixture
def town(emma: Person) -> Iterator[SteppedTown]:
    with SteppedTown() as town:
        memories = [{"text": f"memory {n} " + "x" * 1_000, "tick": n} for n in range(3_000)]

        @town.probe.inspector
        def find(character_id: str) -> dict[str, Any]:
            return {"emma": {"money": emma.money, "memories": memories, "plan": {"goal": "bread"}}}[character_id]

        @town.probe.attributes
        def set_one(character_id: str, name: str, value: Any) -> None:
            if name not in ("money", "mood", "friends"):
                raise AttributeError(f"{character_id} has no {name}")
            setattr(emma, name, value)

        @town.probe.command
        def rain(place: str) -> None:
            town.probe.event("rain", {"place": place})
            town.probe.character_update("emma", mood="wet")

        @town.probe.command(anytime=True)
        def thunder() -> None:
            town.probe.event("thunder")

        yield town


@pytest.fixture
def session(town: SteppedTown) -> Iterator[Session]:
    with dc.connect(town.probe, name="first") as session:
        yield session


def test_a_large_object_is_read_by_branch_and_no_getter_runs_unasked(session: Session, emma: Person) -> None:
    whole = session.inspect("emma")
    assert "3,000 items in all" in whole["memories"][-1]
    assert session.inspect("emma", branch=["memories", 2_999])["tick"] == 2_999
    assert session.inspect("emma", branch="plan") == {"goal": "bread"}
    with pytest.raises(CommandError, match="there is nothing at plan/gaol; did you mean 'goal'"):
        session.inspect("emma", branch=["plan", "gaol"])
    with pytest.raises(CommandError, match="there is nothing at memories/9999"):
        session.inspect("emma", branch=["memories", 9_999])
    session.step(3)
    assert emma.asked == 0


def test_a_value_of_another_kind_than_the_one_told_is_refused(session: Session, emma: Person) -> None:
    session.step(1)
    for value, kind in (("rich", "text"), (True, "truth value"), ([1], "list"), ({"a": 1}, "object")):
        with pytest.raises(CommandError, match=f"money is a number \\(1\\), and this is a {kind}") as caught:
            session.set_attribute("emma", "money", value)
        assert caught.value.code == CommandError.INVALID_ARGUMENTS
    assert emma.money == 3
    row = session.set_attribute("emma", "money", 2.5)
    assert session.payload(row or 0)["money"] == 2.5
    session.set_attribute("emma", "money", None)
    session.set_attribute("emma", "friends", ["noah"])  # the simulation has told none yet
    with pytest.raises(CommandError, match="emma has no wings"):
        session.set_attribute("emma", "wings", 2)


def test_all_that_a_handler_publishes_is_an_intervention_with_who_and_when(session: Session) -> None:
    session.step(1)
    session.command("rain", place="Park")
    session.command("thunder")
    session.step(1)
    events = session.events(payload=True)
    marked = events[events["intervention"].notna()]
    said = [value if isinstance(value, dict) else json.loads(value) for value in marked["intervention"]]
    assert [one["client"]["name"] for one in said] == ["first"] * 3
    assert len({one["command_id"] for one in said}) == 2
    assert marked["type"].tolist() == ["event_notification", "character_update", "event_notification"]
    assert marked["event_type"].dropna().tolist() == ["rain", "thunder"]
    assert marked["tick"].tolist() == [1, 1, 1]
