"""Look at a program's modules as each has been imported, in order to bind to what they define, by name and late."""

from __future__ import annotations

import functools
import sys
import sysconfig
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_HERE: Final = Path(__file__).resolve().parents[1]
_LIBRARY: Final = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")} | {_HERE})
_INSTALLED: Final = ("site-packages", "dist-packages")
"""Folders of what is installed, in an environment beside the program too."""


class PostImport(MetaPathFinder):
    """A finder that finds nothing itself: what the others find is handed to `look` once it has been executed.

    Only modules of the program itself are looked at, those of this package and of what is installed are not, except
    for the packages named in `also`.
    """

    def __init__(self, look: Callable[[ModuleType], None], also: Sequence[str] = ()) -> None:
        self._look = look
        self._also = frozenset(also)
        self._finding: set[str] = set()

    def install(self) -> None:
        """Look at what has been imported so far, and at all that will be."""
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType) and self._is_theirs(module.__name__, getattr(module, "__file__", None)):
                self._look(module)
        sys.meta_path.insert(0, self)

    def uninstall(self) -> None:
        """Look at nothing that is imported from now on."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as the other finders do, and have it looked at."""
        if fullname in self._finding:
            return None
        self._finding.add(fullname)
        try:
            for finder in sys.meta_path:
                find = None if finder is self else getattr(finder, "find_spec", None)
                spec: ModuleSpec | None = None if find is None else find(fullname, path, target)
                if spec is not None:
                    break
            else:
                return None
        finally:
            self._finding.discard(fullname)
        if self._is_theirs(fullname, spec.origin):
            self._hook(spec.loader)
        return spec

    def _is_theirs(self, name: str, file: str | None) -> bool:
        root = name.partition(".")[0]
        if root in self._also:
            return True
        if file is None or not file.endswith(".py"):
            return False
        path = Path(file).resolve()
        return not any(name in path.parts for name in _INSTALLED) and not any(map(path.is_relative_to, _LIBRARY))

    def _hook(self, loader: Any) -> None:
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return

        @functools.wraps(execute)
        def execute_and_look(module: ModuleType) -> None:
            execute(module)
            self._look(module)

        try:
            loader.exec_module = execute_and_look  # of this one loader: each module has its own
        except AttributeError:
            return
