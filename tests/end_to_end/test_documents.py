"""README and documentation: every block of code runs as typed or says why not, and no code or finding is missing."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.analysis.findings.find import RULES
from degentcivil_nb.cli.app import COMMANDS
from degentcivil_nb.protocol.errors import CODE_NAMES, RETRYABLE
from tests.support.documents import DOCUMENTS, NOT_RUN, blocks, run
from tests.support.paths import ROOT

DOCS = ROOT / "docs"
ELSEWHERE = {"engines.md": "tests/session/test_engines.py"}
"""Documents with a test of their own, which needs other engines."""
RUN = [
    path
    for path in DOCUMENTS
    if path.name not in ELSEWHERE
    and any(block.language == "python" for block in blocks(path.read_text(encoding="utf-8")))
]
NEEDS = {"mesa.md": "networkx", "llm_framework.md": "pydantic_ai"}
SLOW = (*NEEDS, "tour.md")
"""Those that import a framework twice, or go over everything."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parameter(path: Path) -> Any:
    """Give a document, marked where it takes long."""
    marks = (pytest.mark.slow, pytest.mark.timeout(600)) if path.name in SLOW else ()
    return pytest.param(path, marks=marks, id=name_of(path))


@pytest.mark.parametrize("path", [parameter(path) for path in RUN])
def test_a_document_runs_as_it_is_typed(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.name in NEEDS:
        pytest.importorskip(NEEDS[path.name])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEGENTCIVIL_TOKEN", "")  # so that what a block puts there is taken back
    monkeypatch.delenv("DEGENTCIVIL_TOKEN")
    run(path, tmp_path)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_document_that_is_run_elsewhere_is_run_there(name: str) -> None:
    assert name in (ROOT / ELSEWHERE[name]).read_text(encoding="utf-8")


def test_a_block_of_python_that_is_not_run_says_why() -> None:
    silent = [
        f"{name_of(path)}:{block.line}"
        for path in DOCUMENTS
        for block in blocks(path.read_text(encoding="utf-8"))
        if block.language in ("py", "pycon", "ipython") and not NOT_RUN.search(block.before)
    ]
    assert silent == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    named = set(re.findall(r"([\w/-]+\.md)", navigation))
    assert named == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


def section(text: str, heading: str) -> str:
    """Return what stands under a heading of the second order; a colon and a few words may follow the heading."""
    return re.split(rf"\n## {heading}(?:: .*)?\n", text, maxsplit=1)[1].split("\n## ", 1)[0]


def test_every_error_code_has_its_meaning_and_its_remedy() -> None:
    text = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^## (\d{4}) (\w+)$", text, re.MULTILINE))
    assert {int(code): name for code, name in told.items()} == dict(CODE_NAMES)
    for code, name in CODE_NAMES.items():
        part = section(text, f"{code} {name}")
        assert "**Meaning.**" in part and "**What to do.**" in part, code
        assert ("may be tried again" in part) == (code in RETRYABLE), code


def test_every_finding_has_its_meaning_its_remedy_and_its_thresholds() -> None:
    text = (DOCS / "reference" / "findings.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+): \w.*$", text, re.MULTILINE) == list(RULES)
    for kind, rule in RULES.items():
        part = section(text, kind)
        assert "**Meaning.**" in part and "**What to do.**" in part, kind
        thresholds = [one for one in inspect.signature(rule).parameters.values() if one.name != "evidence"]
        assert [f"`{one.name}={one.default}`" for one in thresholds] == re.findall(r"`\w+=[\d.]+`", part), kind


def test_every_shell_command_has_its_help_page() -> None:
    text = (DOCS / "reference" / "shell.md").read_text(encoding="utf-8")
    assert re.findall(r"^<!-- help: (\w+) -->$", text, re.MULTILINE) == [command.__name__ for command in COMMANDS]


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    assert [name for name in dc.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_the_documentation_is_an_extra_of_its_own() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {"mkdocs-material", "mkdocstrings"} <= {re.split(r"[\[>=]", each)[0] for each in extras["docs"]}
    assert "mkdocs build --quiet --strict" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
