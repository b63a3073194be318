"""Run DegentCivil's own file as Python would, with a probe: `python -m degentcivil_nb.adapters.degentcivil main.py`."""

from __future__ import annotations

import argparse
import io
import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from ...simulation.probe import SimulationProbe
from . import attach
from .hints import hint


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, open a probe, and run the program until it ends."""
    options = _parser().parse_args(arguments)
    if options.module is None and not options.program:
        _parser().error("no program was given; give the path of DegentCivil's main.py, or -m and a module")
    try:
        probe = SimulationProbe(options.host, options.port, paused=options.paused)
    except (OSError, ValueError) as error:
        sys.exit(f"the probe cannot listen: {error}")
    _say(f"connect with dc.connect({probe.url!r})")
    adapter = attach(probe, debugger=options.debugger)
    folder = Path.cwd() if options.module is not None else Path(options.program[0]).resolve().parent
    with probe:
        try:
            if options.module is not None:
                run_module(options.module, options.program)
            else:
                run_file(options.program[0], options.program[1:])
        except Exception as error:  # noqa: BLE001 — the program has ended, and is shown as Python shows it
            probe.error("PROGRAM_ENDED", f"the program ended: {type(error).__name__}: {error}", exception=error)
            probe.flush()
            sys.excepthook(type(error), error, error.__traceback__)
            _say(hint(error, folder))
            sys.exit(1)
        finally:
            if "Simulation.update_state" in adapter.missing():
                _say("no town was seen: the program defines no class Simulation with a method update_state")


def _say(sentence: str | None) -> None:
    if sentence is not None:
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201 — said to the shell


def run_file(path: str, arguments: Sequence[str]) -> None:
    """Run a file as `python PATH ARGUMENTS` does: as `__main__`, with its folder first on the import path."""
    file = Path(path)
    if not file.is_file():
        sys.exit(f"there is no file {path!r}")
    sys.argv = [path, *arguments]
    _come_first(file.resolve().parent)
    module = ModuleType("__main__")
    module.__dict__.update(
        __file__=str(file.absolute()),
        __loader__=SourceFileLoader("__main__", path),
        __builtins__=__builtins__,
        __cached__=None,
    )
    with io.open_code(str(file.resolve())) as source:
        code = compile(source.read(), path, "exec", dont_inherit=True)
    sys.modules["__main__"] = module
    exec(code, module.__dict__)  # noqa: S102 — the user's own file, which is what this is for


def run_module(name: str, arguments: Sequence[str]) -> None:
    """Run a module as `python -m NAME ARGUMENTS` does."""
    sys.argv = [name, *arguments]
    _come_first(Path.cwd())
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _come_first(folder: Path) -> None:
    """Put the program's folder first on the import path, in place of the current folder."""
    if not sys.flags.safe_path:
        sys.path[0] = str(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m degentcivil_nb.adapters.degentcivil",
        description="Run DegentCivil's own main file, shown to notebooks; no file of it is changed.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where the probe listens (%(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="its port (%(default)s; 0: a free one)")
    parser.add_argument("--paused", action="store_true", help="stop after the first update")
    parser.add_argument("--debugger", action="store_true", help="let traps stop at their prompt on this terminal")
    parser.add_argument("-m", dest="module", metavar="MODULE", help="run a module instead of a file")
    parser.add_argument("program", nargs=argparse.REMAINDER, help="PATH/main.py and its own arguments")
    return parser


if __name__ == "__main__":
    main()
