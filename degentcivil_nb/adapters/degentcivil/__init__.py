"""DegentCivil made visible and controllable, without a change of its files.

    probe = SimulationProbe(port=8765)
    attach(probe)                    # before DegentCivil's own main is imported or run

or, at the shell, `python -m degentcivil_nb.adapters.degentcivil PATH/main.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from types import ModuleType
from typing import Any, Final

from ...simulation.probe import SimulationProbe
from ..post_import import PostImport
from .conversation import Conversation
from .facts import absent, unreadable
from .failures import Failures
from .knowledge import Knowledge
from .lives import Lives
from .requests import Requests
from .seams import Seams, quietly
from .updates import Updates

__all__ = ["Adapter", "attach"]

log = logging.getLogger("degentcivil_nb.adapters")

_ALSO: Final = ("autogen", "ipdb")
"""Installed packages in which functions are wrapped, beside the program's own files."""


class Adapter:
    """A binding of DegentCivil to a probe, with lists of the names that were found and not found."""

    def __init__(self, probe: SimulationProbe, *, debugger: bool = False) -> None:
        self._lives = Lives(probe, self._started)
        self._requests = Requests(probe)
        self._conversation = Conversation(probe, self._lives)
        self._failures = Failures(probe, debugger=debugger)
        self._updates = Updates(probe, self._look, self._requests.tell_thought)
        parts = (self._lives, self._requests, self._conversation, self._failures, self._updates)
        self._seams = Seams(seam for part in parts for seam in part.seams())
        self._parts = parts
        self._complained: set[str] = set()
        self._begun = False
        self._attached = True
        self._offer(probe)
        self._failures.bind_traps(self._seams)
        self._updates.bind_sleep(self._seams)
        self._finder = PostImport(self._bind, _ALSO)
        self._finder.install()

    def missing(self) -> dict[str, str]:
        """Return the names that were not found in DegentCivil so far, and what cannot be shown without them.

        Returns
        -------
        dict
            Names such as `BaseState.enter_state`, each with what it would show.
        """
        found = self._seams.missing()
        if self._lives.simulation is not None:
            found |= absent(self._lives.simulation)
        if not self._conversation.watches_the_game:
            found["LLM_msg_queue, server_msg_queue"] = "messages to and from the game"
        return found

    def found(self) -> dict[str, list[str]]:
        """Return the names that were found, each with the modules that it was found in."""
        return dict(self._seams.found)

    def detach(self) -> None:
        """Restore all wrapped functions: DegentCivil goes on alone, and held answers are released. Idempotent."""
        if not self._attached:
            return
        self._attached = False
        self._finder.uninstall()
        self._updates.detach()
        self._failures.detach()
        self._conversation.detach()
        self._seams.release()
        unreadable.clear()
        if self in _attached:
            _attached.remove(self)

    def move_to(self, probe: SimulationProbe) -> None:
        """Publish through another probe from now on, after the cell that made the probe was run again."""
        for part in self._parts:
            part.probe = probe
        self._lives.forget()
        self._offer(probe)

    def _offer(self, probe: SimulationProbe) -> None:
        knowledge = Knowledge(self._lives)
        probe.inspector(knowledge.inspect)
        probe.attributes(knowledge.set)

        @probe.command(role="viewer")
        def adapter() -> dict[str, Any]:
            """Return which parts of DegentCivil are shown, and which could not be wrapped."""
            return {"found": self.found(), "missing": self.missing()}

    def _bind(self, module: ModuleType) -> None:
        if not self._attached:
            return
        quietly(self._seams.bind, module)
        quietly(self._failures.bind_traps, self._seams, module)
        if module.__name__.partition(".")[0] not in _ALSO:
            quietly(self._failures.bind, self._seams, module)
            quietly(self._conversation.bind, self._seams, module)

    def _look(self, simulation: Any) -> None:
        self._lives.simulation = simulation
        with contextlib.suppress(RuntimeError):  # no loop runs here
            self._failures.watch(asyncio.get_running_loop())
        if not self._begun:
            self._started()
        self._lives.look()
        self._conversation.look()
        for name in unreadable.keys() - self._complained:
            self._complained.add(name)
            self._lives.probe.error("UNREADABLE", f"{name} cannot be read: {unreadable[name]}")

    def _started(self) -> None:
        self._begun = True
        with contextlib.suppress(RuntimeError):  # no loop runs here
            self._failures.watch(asyncio.get_running_loop())
        missing = self.missing()
        self._lives.probe.event("adapter", {"found": sorted(self.found()), "missing": missing})
        if missing:
            text = "; ".join(f"{name} ({shows})" for name, shows in missing.items())
            log.warning("not found in this DegentCivil, and so not shown: %s", text)


_attached: list[Adapter] = []


def attach(probe: SimulationProbe, *, debugger: bool = False) -> Adapter:
    """Show DegentCivil through a probe, without a change of its files.

    Call this before DegentCivil is imported, or at least before its town is made. Names are wrapped as their modules
    are imported: states, places, attributes, calls of models, dialogues, trades, messages of the game, exceptions.

    Parameters
    ----------
    probe
        The probe that shows the run. A second call with another probe moves everything to that one.
    debugger
        Whether a trap (`ipdb.set_trace()`, `breakpoint()`) stops at its prompt on the terminal, as it would by itself.
        Otherwise the trap is published as an `error` event and skipped, since nobody would see the prompt.

    Returns
    -------
    Adapter
        Its `missing()` lists names that were not found in DegentCivil; `detach()` restores all wrapped functions.
    """
    if _attached:
        _attached[0].move_to(probe)
    else:
        _attached.append(Adapter(probe, debugger=debugger))
    return _attached[0]
