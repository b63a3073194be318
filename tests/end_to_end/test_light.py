"""A plain installation has what a simulation needs: the probe works in it, and other words say what they need."""

from __future__ import annotations

import subprocess
import sys
import tomllib

from packaging.requirements import Requirement

from tests.support.paths import ROOT

BARE = """
import sys

class OnlyOurs:
    allowed = {"websockets", "msgspec", "degentcivil_nb"}
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in self.allowed and top not in sys.stdlib_module_names and not top.startswith("_"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, OnlyOurs())
"""


def bare(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program where nothing can be imported but the standard library and what a plain installation brings."""
    return subprocess.run(
        [sys.executable, "-c", BARE + program], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )


def test_a_plain_installation_brings_two_libraries() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {Requirement(line).name: Requirement(line).specifier for line in project["dependencies"]}
    assert set(wanted) == {"websockets", "msgspec"}
    assert all(wanted["websockets"].contains(version) for version in ("15.0", "15.0.1", "16.0", "17.0", "17.4"))


def test_the_probe_works_where_nothing_else_is_installed() -> None:
    ran = bare(
        "import degentcivil_nb as dc\n"
        "from degentcivil_nb.simulation import SimulationProbe\n"
        "with SimulationProbe(port=0) as probe:\n"
        "    @probe.command\n"
        "    def add(a: int, b: int = 1) -> int: return a + b\n"
        "    probe.state_change('emma', 'MOVE', location=('x', 1.5))\n"
        "    probe.checkpoint(1)\n"
        "    assert probe.flush() == 1\n"
        "    probe.event('late')\n"
        "    print(probe.stats()['published'], probe.run_state)\n"
        "with dc.start_local_server(characters=2, paused=True) as town: print(town.inject_event('x').seq > 0)\n"
    )
    assert (ran.returncode, ran.stdout.splitlines()) == (0, ["2 running", "True"]), ran.stderr


def test_a_word_of_the_notebooks_side_says_what_it_needs() -> None:
    ran = bare(
        "import degentcivil_nb as dc\n"
        "for name in ('connect', 'open_recording', 'open_runs', 'compare', 'start_replay', 'Session'):\n"
        "    try: getattr(dc, name)\n"
        "    except ImportError as error: print(error)\n"
    )
    lines = ran.stdout.splitlines()
    assert len(lines) == 6, ran.stderr
    for line in lines:
        assert line.startswith("degentcivil_nb.")
        assert line.endswith(
            "is not installed here; install what the notebook needs with: pip install 'degentcivil-nb[lab]'"
        )


def test_the_shell_command_says_what_it_needs() -> None:
    ran = bare("from degentcivil_nb.__main__ import main\nsys.exit(main())")
    assert ran.returncode == 1
    assert ran.stderr == (
        "the command degentcivil-nb needs cyclopts, which is not installed here; "
        "install what the notebook needs with: pip install 'degentcivil-nb[lab]'\n"
    )
