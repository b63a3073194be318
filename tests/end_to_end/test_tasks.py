"""The tasks around the code: what is locked, what runs each night, what runs before a commit, and what is slow."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def locked() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(each.name): each for each in found if each.marker is None or each.marker.evaluate()}


def test_the_lock_holds_a_tested_version_of_all_that_is_asked_for() -> None:
    asked = [*PROJECT["project"]["dependencies"], *EXTRAS["dev"], *EXTRAS["test"], *EXTRAS["lab"]]
    held = locked()
    wrong = []
    for requirement in map(Requirement, asked):
        if requirement.name == "degentcivil-nb" or (requirement.marker and not requirement.marker.evaluate()):
            continue
        pin = held.get(canonicalize_name(requirement.name))
        versions = [each.version for each in pin.specifier] if pin else []
        if not versions or not requirement.specifier.contains(versions[0]):
            wrong.append(f"{requirement}: locked {versions}")
    assert wrong == [], "run `nox -s lock`"


def test_nobody_is_bound_to_the_lock() -> None:
    assert [path.name for path in (ROOT / "binder").iterdir() if "requirements.lock" in path.read_text()] == []
    asked = [*PROJECT["project"]["dependencies"], *(each for extra in EXTRAS.values() for each in extra)]
    assert [each for each in asked if "==" in each] == []


def test_each_dependency_has_its_reason_on_its_line() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(r"^(?:dependencies|[a-z]+) = \[\n(.*?)^\]", text.split("[tool.")[0], re.MULTILINE | re.DOTALL)
    lines = [line for each in lists for line in each.splitlines() if re.search(r"[<>=]=", line)]
    assert len(lines) > 20
    assert [line for line in lines if not re.search(r'",\s+# \w', line)] == []


@pytest.mark.skipif(os.name != "posix", reason="a script of bash")
def test_the_parts_of_the_night_have_names() -> None:
    script = ROOT / ".ci" / "nightly"
    assert os.access(script, os.X_OK)
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [script, "promises", "nonsense"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "promises frameworks cluster front_ends old_client resolve websockets random_order" in done.stdout


def test_every_framework_has_its_requirements_and_its_tests() -> None:
    folders = [folder for folder in (ROOT / "tests" / "frameworks").iterdir() if folder.is_dir()]
    assert len(folders) >= 3
    for folder in folders:
        if folder.name != "__pycache__":
            assert (folder / "requirements.txt").is_file() and list(folder.glob("test_*.py")), folder


def test_every_task_has_a_word() -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    words = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list]
    assert {"quick", "whole", "nightly", "lint", "benchmarks", "javascript", "lock"} <= set(words)


def test_the_gate_and_the_hooks_run_the_same_linters() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for linter in ("ruff check", "ruff format", "mypy"):
        assert linter in hooks and linter in gate
    assert "tests/javascript run --silent check" in hooks
    assert "cd tests/javascript && npm ci --no-audit --no-fund && npm run check" in gate
    assert 'TZ=Asia/Tokyo PYTHONOPTIMIZE=1 .venv/bin/pytest -q -n 2 --dist loadfile -m "not slow"' in gate


def test_what_is_called_slow_is_there() -> None:
    from tests.conftest import QUICK, SLOW

    missing = []
    for place in (*SLOW, *QUICK):
        path, _, name = place.partition("::")
        where = ROOT / "tests" / path
        if not where.exists() or (name and f"def {name}" not in where.read_text(encoding="utf-8")):
            missing.append(place)
    assert missing == []
