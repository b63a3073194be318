"""Fixtures of all tests: they fail a test that leaves threads, descriptors or tasks behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import psutil
import pytest
from hypothesis import HealthCheck, settings

from degentcivil_nb.core.logs import Repeats

pytest.register_assert_rewrite("tests.support", "tests.soak")  # their asserts hold under `python -O` too

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # both judge the machine, which may be busy
settings.register_profile("quick", settings.get_profile("any machine"), max_examples=20)

collect_ignore = ["cluster", "frameworks"]
"""These have environments of their own: `.ci/nightly cluster frameworks`."""
PATIENCE_S = 5.0
"""What ends by itself has that long to do so."""
SLOW = (
    "adapters/",
    "analysis/test_causes.py::test_huge_fans",
    "analysis/test_compare_interventions.py",
    "analysis/test_equal_beginning.py::test_what_is_skipped",
    "analysis/test_findings_by_pieces.py",
    "analysis/test_three_ways.py",
    "benchmarks/",
    "cli/test_cli.py::test_a_pipe",
    "cli/test_cli.py::test_demo",
    "cli/test_cli.py::test_help",
    "cli/test_cli.py::test_lab_passes_on",
    "cli/test_cli.py::test_tail_without",
    "cli/test_cli_recordings.py",
    "client/test_other_servers.py::test_reading_junk",
    "core/test_escaping.py",
    "demo/test_local_server.py::test_five_thousand",
    "demo/test_town.py::test_five_thousand",
    "documentation/",
    "end_to_end/",
    "figures/test_plots.py::test_a_saved_notebook",
    "notebook/test_line_magic.py",
    "notebook/test_short_tracebacks.py",
    "notebook/test_simulation_in_a_cell.py",
    "pages/test_case_file.py",
    "protocol/test_receiver_properties.py",
    "recordings/test_export.py::test_importing",
    "recordings/test_export.py::test_the_benchmark",
    "recordings/test_formats.py",
    "recordings/test_index.py",
    "recordings/test_recording.py",
    "recordings/test_recording_dialects.py",
    "recordings/test_recording_kills.py",
    "recordings/test_segments.py",
    "recordings/test_stream_clock.py::test_gaps_are",
    "server/test_backpressure.py",
    "server/test_exhaustion.py",
    "server/test_reconnect_storm.py",
    "session/test_engines.py",
    "session/test_hanging.py",
    "session/test_session_commands.py",
    "session/test_two_notebooks.py",
    "session/test_wrong_arguments.py",
    "simulation/test_any_value.py::test_every_word",
    "simulation/test_workers.py",
    "soak/",
    "store/test_hostile_messages.py::test_a_hundred_thousand",
    "store/test_hostile_messages.py::test_ten_thousand",
    "store/test_links.py::test_links_arrive",
    "store/test_model.py",
    "store/test_retention.py::test_payload",
    "store/test_rows.py",
    "store/test_same_answers.py",
    "widgets/test_kernel_output.py",
    "widgets/test_row_actions.py::test_every_row",
    "widgets/test_sorting.py::test_chosen_rows",
)
"""Where tests start a browser, a kernel or many processes, or try many values or big ones.

All others, `pytest -n 2 --dist loadfile -m "not slow"`, end within two minutes on two cores (issue 9).
"""
QUICK = (
    "end_to_end/test_guide.py",
    "end_to_end/test_tasks.py",
)
"""What is quick all the same."""
SLOW_TIMEOUT_S = 600.0
"""What a slow test may take, also beside others' work; `timeout` in pyproject.toml is for the quick ones."""


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples of each property in the quick part, `pytest -m "not slow"`; let tests be interrupted."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell started with `&`: POSIX, 2.11
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("markexpr") == "not slow":
        settings.load_profile("quick")
        os.environ.setdefault("DC_SCALE", "0.2")  # before tests/support/sizes.py reads it


def pytest_collection_finish() -> None:
    """Leave modules and tests out of later collections, of which `nothing_leaks` makes two for each test."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the slow tests by where they stand, and give them their time."""
    asked_for = config.getoption("timeout") is not None
    for item in items:
        place = item.nodeid.removeprefix("tests/")
        if place.startswith(SLOW) and not place.startswith(QUICK):
            item.add_marker("slow")
            if not asked_for:
                item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT_S))


@pytest.fixture(autouse=True)
def no_repeats_from_other_tests() -> None:
    """Let each test see its own log records: the limit on repeats counts a whole process."""
    for name in list(logging.root.manager.loggerDict):
        for held in logging.getLogger(name).filters if name.startswith("degentcivil_nb") else []:
            if isinstance(held, Repeats):
                held.forget()


@pytest.fixture
def nothing_leaks() -> Iterator[Callable[[], None]]:
    """Fail the test that leaves a thread or a descriptor behind; the fixture's value looks in the middle of a test."""
    process = psutil.Process()
    gc.collect()
    threads_before = set(threading.enumerate())
    descriptors_before = _descriptors(process)

    def left() -> list[str]:
        found = [f"thread {thread.name}" for thread in threading.enumerate() if thread not in threads_before]
        more = _descriptors(process) - descriptors_before
        return found + ([f"{more} descriptors, among {process.net_connections()}"] if more > 0 else [])

    def check() -> None:
        if not left():
            return
        gc.collect()
        deadline = time.monotonic() + PATIENCE_S
        while (found := left()) and time.monotonic() < deadline:
            threading.Event().wait(0.02)
        assert not found, f"left behind: {', '.join(found)}"

    yield check
    check()


@pytest.fixture
async def no_task_left() -> AsyncIterator[None]:
    """Fail the coroutine test that leaves a task running on its loop."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=PATIENCE_S)
    assert not left, f"left behind: {left}"


def _descriptors(process: psutil.Process) -> int:
    return int(process.num_fds() if psutil.POSIX else len(process.open_files()))
