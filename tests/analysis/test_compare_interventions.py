"""Two runs of which commands changed one: what was changed is left out, what followed is found, and how large it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.cli import app as cli
from degentcivil_nb.protocol.control_payloads import Gap
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore
from tests.support.planted_runs import Held
from tests.support.run_helpers import HOSTILE

ADA = {"client": {"id": "1", "name": "Ada"}, "command_id": "x"}
Told = tuple[int | None, str | None, str, Any]


def run(*told: Told, first_seq: int = 1, gap_before: int | None = None) -> Held:
    store = EventStore()
    for seq, (tick, who, state, made_by) in enumerate(told, first_seq):
        if seq == gap_before:
            store.append([RawMessage("gap", Raw(encode(Gap(None))))], 2_000.0, "e")
        data = encode({"character_id": who, "new_state": state})
        store.append([RawMessage("state_change", Raw(data), 1e3 + seq, seq, tick, intervention=made_by)], 2_000.0, "e")
    return Held(store)


def town(*changes: tuple[int, str, str], since: int = 99, ticks: int = 10) -> list[Told]:
    """Make ticks of two characters; `emma` is in another state from a tick on."""
    told: list[Told] = []
    for tick in range(ticks):
        told += [(tick, who, state, ADA) for at, who, state in changes if at == tick]
        told += [(tick, "emma", "WORK" if tick >= since else "MOVE", None), (tick, "noah", "IDLE", None)]
    return told


def test_what_a_command_changed_is_named_and_left_out() -> None:
    found = dc.compare(run(*town()), run(*town((3, "emma", "ACT"), (3, HOSTILE, "ACT"))))
    assert found.divergence is None and found.consequence is None and found.same and found.aligned_by == "tick"
    assert found.interventions[["run", "tick", "character_id", "client"]].values.tolist() == [
        ["b", 3, "emma", "Ada"],
        ["b", 3, HOSTILE, "Ada"],
    ]
    assert "left out: 2 events in b" in repr(found) and "no consequence" in repr(found)
    assert all(line.isprintable() for line in repr(found).splitlines())
    assert found.counts.loc["state_change", "difference"] == 2, "counts are of all that was told"


def test_the_first_consequence_is_told_beside_the_first_difference() -> None:
    found = dc.compare(run(*town()), run(*town((3, "noah", "ACT"), since=5)))
    assert found.divergence is not None and found.divergence.tick == 5 and found.consequence == found.divergence
    assert "first consequence, tick 5: that difference" in repr(found)
    before = dc.compare(run(*town((6, "noah", "ACT"), since=2)), run(*town()))
    assert before.divergence is not None and before.divergence.tick == 2, "they differed before"
    assert before.consequence is not None and before.consequence.tick == 6
    assert "may be another reason" in repr(before)


def test_interventions_may_be_compared_too() -> None:
    found = dc.compare(run(*town()), run(*town((3, "noah", "ACT"), since=5)), ignore_interventions=False)
    assert found.divergence is not None and found.divergence.tick == 3 and len(found.interventions) == 1
    assert found.consequence is not None and found.consequence.tick == 5
    with pytest.raises(ValueError, match=r"not 'tik'.*did you mean"):
        dc.compare(run(*town()), run(*town()), align="tik")
    by_position = dc.compare(run(*town()), run(*town((3, "noah", "ACT"))), align="seq")
    assert by_position.divergence is not None and by_position.aligned_by == "seq", "positions shift behind a change"


def test_an_event_that_one_run_lacks_is_a_difference_and_shifts_nothing() -> None:
    more = town()
    more.insert(9, (4, "emma", "EAT", None))
    found = dc.compare(run(*town()), run(*more))
    assert found.divergence is not None and found.divergence.tick == 4
    assert (found.only_a, found.only_b) == (0, 1)
    assert len(found._differing) == 1, "only the one more"
    mute = dc.compare(run(*town()), run(*[one for one in town() if one[:2] != (4, "emma")]))
    assert mute.divergence is not None and mute.divergence.b is None and mute.divergence.differs == ["only in a"]
    assert "no such event at that moment" in repr(mute)
    assert mute.characters()["first_tick"].to_dict() == {"emma": 4, "noah": None} or (
        mute.characters().loc["emma", "first_tick"] == 4
    )


def test_who_speaks_first_within_a_tick_is_no_difference() -> None:
    other = town()
    other[4], other[5] = other[5], other[4]
    assert dc.compare(run(*town()), run(*other)).same


def test_runs_of_different_length_are_the_same_as_far_as_both_go() -> None:
    found = dc.compare(run(*town()), run(*town(ticks=12)))
    assert found.divergence is None and (found.only_a, found.only_b) == (0, 4) and not found.same
    late = dc.compare(run(*town()), run(*town()[5:], first_seq=6))  # joined in the middle of tick 2
    assert late.divergence is None and (late.only_a, late.only_b) == (5, 0)


def test_what_a_gap_may_hide_is_no_difference() -> None:
    told = town()
    holed = [*told[:8], *told[9:]]  # emma's change of tick 4 is missing
    found = dc.compare(run(*told), run(*holed, gap_before=9))
    assert found.divergence is None and found.gaps == (0, 1)
    assert (found.only_a, found.only_b) == (1, 0)


def test_runs_without_ticks_or_events_and_runs_that_start_again() -> None:
    still = [(None, who, state, made) for _, who, state, made in town()]
    assert dc.compare(run(*still), run(*still)).aligned_by == "seq"
    assert dc.compare(run(*still), run(*town())).divergence is not None
    twice = run(*town(), *town(since=3))
    found = dc.compare(run(*town(), *town()), twice)
    assert found.divergence is not None and (found.divergence.place, found.divergence.tick) == (26, 3)
    nowhere = EventStore()
    nowhere.append([RawMessage("state_change", Raw(b"{}"), 1e3, None, 0)], 2_000.0, "e")
    assert not dc.compare(Held(nowhere), run(*town())).same, "one has positions, the other has none"
    huge = run(*town(), (2**53, "emma", "MOVE", None))
    assert dc.compare(huge, huge).same
    empty = run()
    assert dc.compare(empty, empty).same
    assert dc.compare(empty, run(*town())).only_b == 20
    assert repr(dc.compare(empty, run(*town()))) and len(dc.compare(empty, empty).figure().data) == 0


def test_a_difference_is_shown_beside_what_equal_runs_differ_by() -> None:
    a, noisy, changed = run(*town()), run(*town(since=9)), run(*town((1, "noah", "ACT"), since=2))
    found = dc.compare(a, changed, repeats=[noisy, run(*town())])
    sizes = found.sizes()
    assert sizes.loc[["share of events that differ"], ["difference", "equal", "beyond"]].to_numpy().tolist()[0] == [
        0.4,
        0.05,
        True,
    ]
    assert sizes.loc[["events"], ["a", "b", "difference", "equal", "beyond"]].to_numpy().tolist()[0] == [
        20,
        21,
        1,
        0,
        True,
    ]
    assert "40.0% of the events differ by type, character, state or place; between equal runs 5.0%" in repr(found)
    assert dc.compare(a, changed).sizes()["beyond"].isna().all(), "unknown without repeats"


def test_both_runs_are_drawn_side_by_side() -> None:
    found = dc.compare(run(*town()), run(*town((3, HOSTILE, "ACT"), since=5)))
    figure = found.figure()
    assert [trace.type for trace in figure.data] == ["scatter", "scatter", "heatmap"]
    assert list(figure.data[2].y) == ["emma"] and len(figure.layout.shapes) == 2
    assert found.per_tick.loc[[3, 5]].to_numpy().tolist() == [[2, 3, 0], [2, 2, 1]]
    assert found.table().loc["state_change", "difference"] == 1


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Record the demo town twice from one seed, once with more money for emma, and once without her wish to buy."""
    folder = tmp_path_factory.mktemp("towns")
    paths = {}
    for name, money in (("one", None), ("again", None), ("rich", 1_000)):
        paths[name] = folder / name
        with (
            dc.start_local_server(characters=4, tick_s=0.005, seed=3, paused=True) as server,
            dc.connect(server, record=paths[name]) as session,
        ):
            session.step(10)
            if money is not None:
                session.set_attribute("emma", "money", money)
            session.step(20)
    yield paths


def test_a_town_with_more_money_parts_from_its_twin_where_the_money_counts(
    towns: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    one, again, rich = (dc.open_recording(towns[name]) for name in ("one", "again", "rich"))
    assert dc.compare(one, again).same
    found = dc.compare(one, rich, repeats=again)
    assert found.interventions["run"].to_list() == ["b"] and found.interventions["tick"].to_list() == [10]
    assert found.consequence is not None and found.consequence == found.divergence
    assert found.consequence.tick is not None and found.consequence.tick >= 10
    assert bool(found.sizes().loc["mean of money", "beyond"])
    assert cli.main(["compare", str(towns["one"]), str(towns["again"])]) == cli.OK
    assert cli.main(["compare", str(towns["one"]), str(towns["rich"]), "--repeat", str(towns["again"]), "--json"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert json.loads(said[-1])["interventions"][0]["type"] == "character_update"
    assert cli.main(["compare", str(towns["one"]), str(towns["one"].parent / "none")]) == cli.FAILED


def test_recordings_of_an_older_format_are_compared() -> None:
    folder = Path(__file__).parents[1] / "recordings" / "format_1" / "finished"
    old = dc.open_recording(folder)
    found = dc.compare(old, old)
    assert found.same and found.aligned_by == "tick" and found.compared == len(old)
