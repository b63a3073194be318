"""A small run on a thread of its own, paused at its start, with known events in each tick."""

from __future__ import annotations

import threading
from typing import Any, Self

from degentcivil_nb.simulation import SimulationProbe

PATIENCE_S = 20.0


class SteppedTown:
    """In tick n emma's money is n, and she is in the next of four states; each other character trades once.

    Every fifth tick she asks a model, and every tenth she is cross. `options` go to the probe.
    """

    def __init__(self, characters: int = 3, **options: Any) -> None:
        self.probe = SimulationProbe(port=0, paused=True, **options)
        self._ended = threading.Event()
        self._characters = characters
        self._thread = threading.Thread(target=self._live, name="town")
        self._thread.start()

    def _live(self) -> None:
        tick = 0
        self.probe.checkpoint(tick)
        while not self._ended.is_set():
            tick += 1
            self.probe.character_update("emma", money=tick, mood="calm" if tick % 10 else "cross")
            self.probe.state_change("emma", ("IDLE", "MOVE", "BARGAIN", "SLEEPING")[tick % 4], location=f"p{tick % 2}")
            for one in range(self._characters):
                self.probe.event("trade", {"price": tick, "who": one}, character_id=one)
            self.probe.measure("total", tick)
            if tick % 5 == 0:
                self.probe.llm_call("emma", prompt_type="PLAN", prompt="?", response="!", cost_usd=0.5)
            self.probe.checkpoint(tick)

    def close(self) -> None:
        self._ended.set()
        self.probe.finish()
        self._thread.join(PATIENCE_S)
        self.probe.close()
        assert not self._thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
