"""The names that notebooks use: all there, all documented, and cheap until they are used."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import degentcivil_nb
from tests.support.paths import ROOT

GUIDE = {
    "SimulationWebSocket": ["start_server", "handle_connection", "broadcast_message"],
    "SimulationClient": ["connect", "receive_updates", "handle_message"],
    "WebSocketMessage": ["to_json", "from_json"],
    "MessageTypes": ["CHARACTER_UPDATE", "STATE_CHANGE", "EVENT_NOTIFICATION", "ERROR", "HEARTBEAT"],
    "CharacterStatePublisher": ["publish_state_change", "broadcast_message"],
    "EventNotifier": ["notify_event"],
    "ConnectionPool": ["add_connection", "remove_connection"],
    "WebSocketAuth": ["authenticate", "is_valid_token"],
    "WebSocketError": ["INVALID_MESSAGE", "AUTH_FAILED", "RATE_LIMIT", "SERVER_ERROR", "create_error_message"],
    "ErrorHandler": ["handle_error"],
    "MessageBatcher": ["add_message", "flush"],
    "RateLimiter": ["check_rate_limit"],
    "ConnectionMonitor": ["update_metrics", "get_metrics"],
    "WebSocketDebugger": ["log_message", "process_logs"],
}
NOTEBOOK = ["connect", "start_local_server", "LocalServer", "Session", "SimulationProbe"]
HEAVY = ["plotly", "duckdb", "ipywidgets", "anywidget", "IPython"]


def modules() -> list[ModuleType]:
    names = [
        found.name
        for found in pkgutil.walk_packages(degentcivil_nb.__path__, "degentcivil_nb.")
        if not found.name.endswith("__main__")
    ]
    return [importlib.import_module(name) for name in names]


@pytest.mark.parametrize("name", degentcivil_nb.__all__)
def test_each_exported_name_is_there_and_documented(name: str) -> None:
    value = getattr(degentcivil_nb, name)
    assert inspect.getdoc(value)
    assert name in dir(degentcivil_nb)


def test_the_exported_names_are_in_order_and_named_once() -> None:
    assert sorted(set(degentcivil_nb.__all__)) == degentcivil_nb.__all__


@pytest.mark.parametrize("name", [*GUIDE, *NOTEBOOK])
def test_the_names_of_the_guide_and_of_the_notebook_are_exported(name: str) -> None:
    assert name in degentcivil_nb.__all__
    value = getattr(degentcivil_nb, name)
    assert [member for member in GUIDE.get(name, []) if not hasattr(value, member)] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"degentcivil_nb.*no_such_thing"):
        _ = degentcivil_nb.no_such_thing


def test_everything_public_says_what_it_is() -> None:
    silent = []
    for module in modules():
        if not module.__doc__:
            silent.append(module.__name__)
        for name, value in vars(module).items():
            ours = getattr(value, "__module__", None) == module.__name__
            if name.startswith("_") or not ours or not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            if not value.__doc__:
                silent.append(f"{module.__name__}.{name}")
            if inspect.isclass(value) and not getattr(value, "_is_protocol", False):  # whose class says it all
                silent += [
                    f"{module.__name__}.{name}.{member}"
                    for member, function in vars(value).items()
                    if inspect.isfunction(function)
                    and not member.startswith("_")
                    and not inspect.getdoc(getattr(value, member))
                ]
    assert silent == []


@pytest.mark.parametrize(
    "statement", ["import degentcivil_nb", "import degentcivil_nb.cli.app", "import degentcivil_nb.session.session"]
)
def test_importing_does_not_load_what_may_never_be_used(statement: str) -> None:
    code = f"{statement}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert set(HEAVY) & set(json.loads(done.stdout)) == set()


def test_the_benchmark_of_the_import_works(tmp_path: Path) -> None:
    program = ROOT / "tests" / "benchmarks" / "bench_import.py"
    table = tmp_path / "table.json"
    done = subprocess.run(
        [sys.executable, str(program), "--runs", "1", "--json", str(table)], check=True, capture_output=True, text=True
    )
    assert "import pandas" in done.stdout
    assert all(row["ratio"] >= 0 for row in json.loads(table.read_text())["rows"])
