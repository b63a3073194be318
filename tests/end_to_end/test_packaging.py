"""What is shipped is whole: the wheel, the two commands of the README, Binder's pins, and what CI runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import degentcivil_nb
from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_all_of_the_package_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = ROOT / "degentcivil_nb"
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in path.parts)
    }
    notebooks = {f"degentcivil_nb/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks
    assert "degentcivil_nb/py.typed" in sources
    assert sources | notebooks <= names
    assert {name.split("/")[0] for name in names} == {"degentcivil_nb"}


def test_the_package_in_the_wheel_runs_and_finds_its_notebooks(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = "from degentcivil_nb.cli import app as cli; print(cli.notebooks_folder()); cli.main(['--help'])"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith(str(site / "degentcivil_nb" / "notebooks"))


def test_the_version_is_told_once() -> None:
    assert PROJECT["version"] == degentcivil_nb.__version__ == metadata.version("degentcivil-nb")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\d\S*)", changelog, re.MULTILINE)[1] == degentcivil_nb.__version__  # type: ignore[index]


@pytest.mark.parametrize("extra", ["lab", "test"])
def test_the_readme_has_one_command_for_each_purpose(extra: str) -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 ") and f"'.[{extra}]'" in line]
    assert len(commands) == 1
    assert extra in PROJECT["optional-dependencies"]


def test_the_first_command_brings_what_the_notebooks_ask() -> None:
    asked = [path.name for path in (ROOT / "notebooks").glob("*.ipynb") if ".sql(" in path.read_text(encoding="utf-8")]
    assert asked, "then `lab` need not bring DuckDB"
    assert "degentcivil-nb[notebook]" in PROJECT["optional-dependencies"]["lab"]
    assert "degentcivil-nb[sql]" in PROJECT["optional-dependencies"]["notebook"]


def test_ci_takes_its_test_command_from_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    pattern = re.search(r'grep -m1 -E "(.+?)" README.md', script)
    assert pattern is not None
    found = [line for line in README.splitlines() if re.search(pattern[1], line)]
    assert len(found) == 1
    assert found[0].endswith("pytest -n 2 --dist loadfile")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_binder_pins_what_its_image_has_too_old() -> None:
    lines = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = {Requirement(line).name: Requirement(line) for line in lines if "==" in line}
    assert set(pins) == {"ipykernel", "ipywidgets", "jupyterlab"}
    assert ".[lab]" in lines
    extras = PROJECT["optional-dependencies"]
    wanted = [Requirement(line) for line in PROJECT["dependencies"] + extras["notebook"] + extras["lab"]]
    for requirement in wanted:
        if requirement.name in pins:
            (pin,) = pins[requirement.name].specifier
            assert requirement.specifier.contains(pin.version)
    runtime = (ROOT / "binder" / "runtime.txt").read_text(encoding="utf-8").strip()
    assert Version(runtime.removeprefix("python-")) >= Version(PROJECT["requires-python"].removeprefix(">="))


def test_what_the_readme_shows_and_links_to_is_there() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    local = [target for target in targets if "://" not in target]
    assert local
    assert [target for target in local if not (ROOT / target).exists()] == []
