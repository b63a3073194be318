"""What a run was started with stands in recordings, tables of runs, and where a run is shown."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import pytest

import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe


class Model(Enum):
    SMALL = 1


def test_parameters_are_told_recorded_and_columns_of_many_runs(tmp_path: Path) -> None:
    for seed in (1, 2):
        given = {"seed": seed, "model": Model.SMALL, "gaps": "none", "note": "\x1b[31m" if seed == 1 else None}
        folder = tmp_path / f"run-{seed}"
        with SimulationProbe(port=0, parameters=given) as probe, dc.connect(probe, record=folder) as session:
            probe.state_change("emma", "MOVE")
            probe.event("end")
            session.wait_for("event_notification", after=-1)
            assert session.parameters == {"seed": seed, "model": "SMALL", "gaps": "none", "note": given["note"]}
            assert f"seed={seed}" in repr(session) and "\x1b" not in repr(session)
            saved = session.save(tmp_path / f"copy-{seed}")
    table = dc.open_runs(tmp_path).table(characters=False)
    assert table["seed"].to_dict() == {"run-1": 1, "run-2": 2, "copy-1": 1, "copy-2": 2}
    assert set(table["model"]) == {"SMALL"} and set(table["parameters.gaps"]) == {"none"}
    with dc.open_recording(saved) as recording:
        assert recording.info()["parameters"]["seed"] == 2 and "seed=2" in repr(recording)
    with dc.start_replay(saved) as replay, dc.connect(replay) as watching:
        assert watching.parameters["seed"] == 2


def test_parameters_of_any_size_and_kind_harm_nothing() -> None:
    given = {"long": "x" * 3_000_000, "deep": {5: [1, {2}]}}
    with SimulationProbe(port=0, parameters=given) as probe, dc.connect(probe) as session:
        assert len(session.parameters["long"]) < 100_000 and session.parameters["deep"] == {"5": [1, [2]]}
    with pytest.raises(ValueError, match="mapping of names"):
        SimulationProbe(port=0, parameters=[1])  # type: ignore[arg-type]


def test_a_probe_that_is_asked_to_waits_until_everybody_has_what_was_told() -> None:
    with SimulationProbe(port=0, keep_up_s=60, history=8_000) as probe, dc.connect(probe) as session:
        for tick in range(40):
            for number in range(1_000):
                probe.state_change(f"c{number % 50}", "MOVE")
            probe.checkpoint(tick)
        probe.event("end")
        session.wait_for("event_notification", after=-1, timeout=60)
        assert len(session.events("state_change")) == 40_000 and not len(session.gaps())
