"""A cell that is run again: what it opens under a name replaces what it opened before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Path]:
    with dc.start_local_server(tick_s=0.01) as server, dc.connect(server) as session:
        session.wait_for()
        session.save(tmp_path / "run")
    yield tmp_path / "run"


def towns() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "degentcivil-town"]


def test_a_cell_with_a_town_that_is_run_again_leaves_one_town(nothing_leaks: Callable[[], None]) -> None:
    for _ in range(5):
        server = dc.start_local_server(tick_s=0.01, name="cell")
        session = dc.connect(server, name="cell")
        assert len(towns()) == 1
    assert session.pause() == "paused"
    session.close()
    server.stop()
    assert towns() == []


def test_a_cell_with_a_probe_that_is_run_again_gets_its_port_back(nothing_leaks: Callable[[], None]) -> None:
    first = SimulationProbe(port=0, name="mine")
    port = int(first.url.rpartition(":")[2])
    with pytest.raises(ConnectionError, match=f"port {port} .* in use.*port=0.*name="):
        SimulationProbe(port=port)
    for _ in range(3):
        probe = SimulationProbe(port=port, name="mine")
        assert first.run_state == "finished"
    probe.close()


def test_a_cell_with_a_replay_that_is_run_again_leaves_one_replay(recording: Path) -> None:
    first = dc.start_replay(recording, paused=True, name="mine")
    second = dc.start_replay(recording, port=int(first.url.rpartition(":")[2]), paused=True, name="mine")
    assert (first.run_state, second.run_state) == ("finished", "paused")
    second.stop()


def test_names_of_what_was_closed_are_free_and_others_are_left_alone() -> None:
    with dc.start_local_server(name="a") as one, dc.start_local_server(name="b") as other:
        one.stop()
        with dc.start_local_server(name="a") as third, SimulationProbe(port=0, name="b"):
            assert [server.probe.run_state for server in (one, other, third)] == ["finished", "running", "running"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"characters": "12"}, "characters must be a whole number of at least 1, not '12'"),
        ({"characters": 2.5}, "characters must be a whole number of at least 1, not 2.5"),
        ({"characters": True}, "characters must be a whole number of at least 1, not True"),
        ({"characters": None}, "characters must be a whole number of at least 1, not None"),
        ({"characters": 0}, "characters must be a whole number of at least 1, not 0"),
        ({"tick_s": "0.1"}, "tick_s must be a number of seconds above 0, not '0.1'"),
        ({"tick_s": None}, "tick_s must be a number of seconds above 0, not None"),
        ({"tick_s": float("inf")}, "tick_s must be a number of seconds above 0, not inf"),
        ({"seed": "x"}, "seed must be a whole number, not 'x'"),
        ({"seed": [1]}, "seed must be a whole number, not \\[1\\]"),
        ({"paused": "false"}, "paused must be True or False, not 'false'"),
        ({"tls": 1}, "tls must be True or False, not 1"),
        ({"token": 5}, "token must be a text that is not empty, not 5"),
        ({"token": ""}, "token must be a text that is not empty, not ''"),
        ({"name": 3}, "name must be a text that is not empty, not 3"),
        ({"host": 5}, "host must be a text that is not empty, not 5"),
        ({"port": "8765"}, "a port must be a number from 1 to 65535, or 0 for a free one, not '8765'"),
        ({"port": True}, "a port must be a number from 1 to 65535, or 0 for a free one, not True"),
    ],
)
def test_a_wrong_argument_is_one_clear_sentence(
    options: dict[str, Any], says: str, nothing_leaks: Callable[[], None]
) -> None:
    with pytest.raises(ValueError, match=says):
        dc.start_local_server(**options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tick_s": "0.1"}, "tick_s must be a number of seconds above 0, not '0.1'"),
        ({"tick_s": True}, "tick_s must be a number of seconds above 0, not True"),
        ({"paused": "no"}, "paused must be True or False, not 'no'"),
        ({"token": 5}, "token must be a text that is not empty, not 5"),
        ({"name": ["x"]}, "name must be a text that is not empty, not"),
        ({"host": None}, "host must be a text that is not empty, not None"),
        ({"port": None}, "a port must be a number from 1 to 65535, or 0 for a free one, not None"),
    ],
)
def test_a_wrong_argument_of_a_probe_is_one_clear_sentence(
    options: dict[str, Any], says: str, nothing_leaks: Callable[[], None]
) -> None:
    with pytest.raises(ValueError, match=says):
        SimulationProbe(**{"port": 0, **options})


def test_scalars_of_numpy_and_pandas_are_numbers_too() -> None:
    options: dict[str, Any] = {
        "port": np.int64(0), "characters": np.int32(3), "tick_s": pd.Timedelta("10ms"), "seed": np.uint8(4),
        "paused": np.True_,
    }  # fmt: skip
    with dc.start_local_server(**options) as server:
        assert len(server.town.people) == 3
        assert server.probe.run_state == "paused"
