"""The commands of every run, live or replayed: names, arguments and descriptions, each declared once."""

from __future__ import annotations

from typing import Annotated, Any, Final, Protocol

from msgspec import Meta

from .commands import DeclaredCommand


class RunControl(Protocol):
    """The methods that carry these commands out; they may be coroutine functions."""

    def pause(self) -> Any:
        """Pause the run at its next checkpoint."""

    def resume(self) -> Any:
        """Let a paused run continue."""

    def step(self, ticks: Annotated[int, Meta(ge=1)] = 1) -> Any:
        """Run that many ticks and pause again."""

    def set_speed(self, factor: Annotated[float, Meta(gt=0)]) -> Any:
        """Run at that many times the run's own pace."""


NAMES: Final = ("pause", "resume", "step", "set_speed")


def run_commands(run: RunControl) -> list[DeclaredCommand]:
    """Declare these commands, carried out by the methods of `run`."""
    return [DeclaredCommand(getattr(run, name), like=getattr(RunControl, name).__get__(run)) for name in NAMES]
