"""Every public method says what it takes, gives and raises, with an example that runs."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.figures.plots import Plots
from degentcivil_nb.session.subscriptions import Subscription
from degentcivil_nb.widgets.panels import Panels

CLASSES: tuple[type, ...] = (
    dc.Session,
    dc.Recording,
    dc.Runs,
    dc.Comparison,
    dc.Replay,
    dc.LocalServer,
    dc.SimulationProbe,
    Subscription,
    Plots,
    Panels,
)
FUNCTIONS: tuple[Callable[..., Any], ...] = (
    dc.connect,
    dc.open_recording,
    dc.open_runs,
    dc.compare,
    dc.start_local_server,
    dc.start_replay,
)
SECTIONS = ("Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns", "Notes", "See Also", "Examples")
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _public() -> Iterator[tuple[str, Callable[..., Any]]]:
    for function in FUNCTIONS:
        yield f"dc.{function.__name__}", function
    for kind in CLASSES:
        for name, member in inspect.getmembers_static(kind):
            behind = _function_of(member)
            if behind is not None and not name.startswith("_") and name not in UNDOCUMENTED.get(kind.__name__, ()):
                yield f"{kind.__name__}.{name}", behind


def _function_of(member: Any) -> Callable[..., Any] | None:
    """Give the function of a method, or the one behind a property."""
    if isinstance(member, property):
        return member.fget
    if isinstance(member, cached_property):
        return member.func
    return member if inspect.isfunction(member) else None


UNDOCUMENTED = {"Replay": ("submit", "withdraw", "status", "specs"), "Subscription": ("miss", "wants", "call")}
"""What other parts of the package call, not a person."""
PUBLIC = dict(_public())


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Give what the examples use: a demo town, sessions with it, a recording, a folder of runs, a probe."""
    folder = tmp_path_factory.mktemp("runs")
    with (
        dc.start_local_server(seed=1, tick_s=0.01, paused=True) as server,
        dc.connect(server, record=folder / "seed-1") as session,
        dc.SimulationProbe(port=0) as probe,
    ):
        session.step(60)
        session.save(folder / "saved")
        with dc.open_recording(folder / "saved") as recording:
            yield {
                "dc": dc,
                "server": server,
                "session": session,
                "recording": recording,
                "runs": dc.open_runs(folder),
                "folder": folder,
                "probe": probe,
            }


def _sections(text: str) -> dict[str, str]:
    parts = re.split(rf"^({'|'.join(SECTIONS)})\n-+\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


NO_VERBS = {"The", "What", "Whether", "How"}
"""Words with which a function's docstring may open too, such as that of a property."""


def test_a_class_docstring_opens_with_a_noun_phrase() -> None:
    """The verbs are those with which the docstrings of the package's functions open."""
    verbs: set[str] = set()
    classes: list[tuple[str, str]] = []
    for path in Path(dc.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            first = (ast.get_docstring(node) or "").split(maxsplit=1)[:1]
            word = "".join(first).strip(".,;:")
            if isinstance(node, ast.ClassDef):
                classes.append((word, f"{path.name}:{node.lineno} {node.name}"))
            elif word:
                verbs.add(word)
    assert {"Return", "Give", "Tell", "List"} <= verbs
    assert [place for word, place in classes if word in verbs - NO_VERBS] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_method_documents_what_it_takes_and_gives(name: str) -> None:
    function = PUBLIC[name]
    text = inspect.getdoc(function) or ""
    sections = _sections(text)
    signature = inspect.signature(function)
    taken = [one for one in signature.parameters if one != "self"]
    lines = re.findall(r"^(\w[\w, ]*) : .+$|^\*{1,2}(\w+)$", sections.get("Parameters", ""), re.MULTILINE)
    documented = {word.strip() for with_type, starred in lines for word in (with_type or starred).split(",")}
    assert set(taken) - documented == set()
    assert signature.return_annotation in ("None", None) or {"Returns", "Yields"} & set(sections)
    assert "Examples" in sections


@pytest.mark.parametrize("name", PUBLIC)
def test_the_example_of_a_public_method_runs(
    name: str, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(PUBLIC[name]) or ""
    test = doctest.DocTestParser().get_doctest(text, names | {"new_path": tmp_path / "recording"}, name, None, 0)
    assert test.examples
    said: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=said.append, clear_globs=False)
    assert said == []
