"""Options of a server: each is checked where it is given."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from degentcivil_nb.server.options import sort_options
from degentcivil_nb.server.simulation_websocket import SimulationWebSocket


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("max_queued", value) for value in (0, -1, 2.5, True, "many")),
        *(("max_message_bytes", value) for value in (0, 100, -1, 1e6)),
        *((name, value) for name in ("heartbeat_s", "resume_s", "open_s") for value in (0, -1, "5", float("nan"))),
        *(("batch_s", value) for value in (-1, float("inf"), "0.02")),
    ],
)
def test_an_option_that_no_server_can_work_with_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a"):
        SimulationWebSocket("127.0.0.1", 0, **{name: value})


@pytest.mark.parametrize("name", ["heartbeat_s", "resume_s", "open_s", "batch_s"])
def test_a_duration_that_is_accepted_is_a_number_of_seconds(name: str) -> None:
    """It was accepted as it was, and every connection failed."""
    found = [getattr(part, name) for part in sort_options({name: timedelta(minutes=1)}) if hasattr(part, name)]
    assert found == [60.0] and isinstance(found[0], float)


def test_an_unknown_option_gets_a_similar_name() -> None:
    with pytest.raises(TypeError, match="no option 'max_queue'; did you mean 'max_queued'"):
        SimulationWebSocket("127.0.0.1", 0, max_queue=3)
