"""A hook that is called with each module of a program after its import, so that its functions can be wrapped."""

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
"""Folders of installed packages, also of an environment inside the program's folder."""


class PostImport(MetaPathFinder):
    """A finder that finds nothing itself: modules that other finders find are passed to `look` after execution.

    Only modules of the program itself are passed on, not those of this package or of installed packages, except the
    packages named in `also`.
    """

    def __init__(self, look: Callable[[ModuleType], None], also: Sequence[str] = ()) -> None:
        self._look = look
        self._also = frozenset(also)
        self._finding: set[str] = set()

    def install(self) -> None:
        """Pass on all modules imported so far, and all later ones."""
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType) and self._is_theirs(module.__name__, getattr(module, "__file__", None)):
                self._look(module)
        sys.meta_path.insert(0, self)

    def uninstall(self) -> None:
        """Pass on no more modules."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module through the other finders, so that it is passed to `look`."""
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
