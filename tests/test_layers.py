"""The layers: who may import whom, and no circle between any two files, imports for types included."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import degentcivil_nb

ROOT = Path(degentcivil_nb.__file__).parent
PACKAGE = "degentcivil_nb"
LAYERS = (
    ("core",),
    ("expressions",),
    ("protocol",),
    ("monitoring",),
    ("server", "client", "store"),
    ("figures",),
    ("simulation",),
    ("recordings",),
    ("replay",),
    ("analysis",),
    ("adapters",),
    ("pages",),
    ("widgets",),
    ("demo",),
    ("session",),
    ("notebook", "cli"),
)
"""All packages from the ground up: one imports only what stands on lines above its own."""
LOOSE = {"__init__", "__main__"}
"""The only modules that stand in no package."""
LIGHT = ("core", "expressions", "protocol", "monitoring", "server", "simulation", "adapters")
"""Packages that a simulation needs: importing one of their modules must not import the notebook's libraries."""
HEAVY = ("numpy", "pandas", "pyarrow", "plotly", "ipywidgets", "anywidget", "duckdb", "IPython", "ipykernel")
LEVEL = {package: level for level, packages in enumerate(LAYERS) for package in packages}
WITH_NUMPY = f"{PACKAGE}.expressions.columns"
"""The one module of those packages that needs numpy; none of them may import it before it is asked for."""
WITHOUT_IO = ("asyncio", "threading", "socket", "websockets", "selectors", "http", "multiprocessing", "subprocess")
"""Modules that `protocol`, which is pure, has no business with."""


class Import(NamedTuple):
    importer: str
    imported: str
    runs: bool
    """Executed while the importer itself is being imported."""
    line: int


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports_of(module: str, path: Path) -> Iterator[Import]:
    """List what a file imports, wherever in it the statement stands."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]

    def walk(node: ast.AST, runs: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(module, alias.name, runs, child.lineno)
            elif isinstance(child, ast.ImportFrom):
                base = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
                source = ".".join([*base, *([child.module] if child.module else [])])
                for alias in child.names:
                    inner = f"{source}.{alias.name}"
                    yield Import(module, inner if inner in MODULES else source, runs, child.lineno)
            else:
                function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                yield from walk(child, runs and not function and not typing_only)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), runs=True)


IMPORTS = [found for module, path in MODULES.items() for found in imports_of(module, path)]


def room_of(module: str) -> str:
    """Give the part under the package: `degentcivil_nb.store.schema` lives in `store`."""
    return module.split(".")[1] if "." in module else ""


def is_ours(module: str) -> bool:
    return module == PACKAGE or module.startswith(f"{PACKAGE}.")


@pytest.mark.parametrize("package", LEVEL)
def test_a_package_imports_only_packages_below_it(package: str) -> None:
    wrong = [
        f"{found.importer}:{found.line} imports {found.imported}"
        for found in IMPORTS
        if room_of(found.importer) == package
        and is_ours(found.imported)
        and room_of(found.imported) != package
        and LEVEL.get(room_of(found.imported), len(LAYERS)) >= LEVEL[package]
    ]
    assert wrong == []


def test_every_module_stands_in_a_package_of_the_list() -> None:
    packages = {path.relative_to(ROOT).parts[0] for path in MODULES.values() if path.parent != ROOT}
    assert packages <= set(LEVEL)
    assert {path.stem for path in MODULES.values() if path.parent == ROOT} == LOOSE


def test_the_map_in_the_repository_shows_the_same_list() -> None:
    text = (ROOT.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    block = text.split("```layers\n", 1)[1].split("```", 1)[0]
    rows = [line.split("  ", 1)[0] for line in block.splitlines() if line and not line.startswith(" ")]
    assert [tuple(name.rstrip("/") for name in row.split()) for row in rows] == list(LAYERS)


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_file_that_the_map_names_is_there(page: str) -> None:
    text = (ROOT.parent / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)*(?:\.(?:py|md|toml)|/))`", text))
    names = {path.name for path in ROOT.rglob("*.py")}
    assert [
        name for name in named if not ((ROOT / name).exists() or (ROOT.parent / name).exists() or name in names)
    ] == []
    assert named


def test_the_simulations_side_imports_nothing_of_the_notebooks() -> None:
    wrong = [
        f"{found.importer}:{found.line} imports {found.imported}"
        for found in IMPORTS
        if found.runs
        and room_of(found.importer) in LIGHT
        and found.importer != WITH_NUMPY
        and (found.imported.split(".")[0] in HEAVY or found.imported == WITH_NUMPY)
    ]
    assert wrong == []


def test_the_protocol_does_no_input_or_output() -> None:
    wrong = [
        f"{found.importer}:{found.line} imports {found.imported}"
        for found in IMPORTS
        if room_of(found.importer) == "protocol" and found.imported.split(".")[0] in WITHOUT_IO
    ]
    assert wrong == []


def test_no_module_is_imported_in_a_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for found in IMPORTS:
        if not is_ours(found.imported):
            continue
        parts = found.imported.split(".")
        # importing a.b.c runs a and a.b too, unless the importer lives inside them and so has run them already
        for depth in range(1, len(parts) + 1):
            target = ".".join(parts[:depth])
            inside = f"{found.importer}.".startswith(f"{target}.")
            if target in MODULES and target != found.importer and (found.runs or depth == len(parts)) and not inside:
                graph[found.importer].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(reversed(error.args[1])))


def test_the_walk_sees_imports_in_functions_and_tells_those_for_types(tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from .session import Session\n"
        "def late():\n    from . import session\n"
        "class Now:\n    from .protocol.message import RawMessage\n"
    )
    found = [(item.imported, item.runs) for item in imports_of(f"{PACKAGE}.odd", path)]
    assert found == [
        ("typing", True),
        (f"{PACKAGE}.session", False),
        (f"{PACKAGE}.session", False),
        (f"{PACKAGE}.protocol.message", True),
    ]
