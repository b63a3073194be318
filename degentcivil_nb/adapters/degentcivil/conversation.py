"""Dialogues of characters and buildings, messages to and from the game, and trades."""

from __future__ import annotations

import contextlib
import inspect
import json
from types import ModuleType
from typing import Any, Final

from ...simulation.acting import who_acts
from ...simulation.probe import SimulationProbe
from .facts import items_of, name_of, read, tick_of, word
from .lives import Lives
from .seams import Function, Seam, Seams, after, quietly

_QUEUES: Final = {"LLM_msg_queue": "out", "server_msg_queue": "in"}
_ARRIVED: Final = 2001
_START: Final = 2000
_WHOLE_MAP: Final = ("terrain_data",)
"""Keys of the city's state that are left out: they have one number for each tile."""
_PATIENCE: Final = 2
"""The number of updates after which a character that has arrived must have left MOVE."""


class Conversation:
    """The publisher of dialogues, game messages and trades, and of characters whose arrival failed."""

    def __init__(self, probe: SimulationProbe, lives: Lives) -> None:
        self.probe = probe
        self._lives = lives
        self._arrived: dict[Any, int] = {}
        self._watched: set[int] = set()

    def seams(self) -> list[Seam]:
        """List the functions to wrap."""
        return [
            Seam("SimsAgent", "_process_received_message", after(self._received), "dialogues"),
            Seam("", "check_balance_and_trade", self._trading, "trades"),
            Seam("Simulation", "filter_out_msg", after(self._filtered), "arrivals that are dropped, at once"),
        ]

    def bind(self, seams: Seams, module: ModuleType) -> None:
        """Watch the queues to and from the game's server."""
        for name, direction in _QUEUES.items():
            queue = vars(module).get(name)
            if queue is not None and callable(read(queue, "put")) and id(queue) not in self._watched:
                self._watch(seams, queue, direction)
                self._watched.add(id(queue))

    @property
    def watches_the_game(self) -> bool:
        """Return whether a queue was found."""
        return bool(self._watched)

    def detach(self) -> None:
        """Forget the queues."""
        self._watched.clear()

    def _watch(self, seams: Seams, queue: Any, direction: str) -> None:
        put = queue.put

        def put_and_tell(item: Any, *arguments: Any, **more: Any) -> Any:
            quietly(self._passed, direction, item)
            return put(item, *arguments, **more)

        seams.put(queue, "put", put_and_tell)

    # --- dialogues -----------------------------------------------------------------------------------------------

    def _received(self, result: Any, receiver: Any, message: Any, sender: Any, *arguments: Any, **more: Any) -> None:
        if sender is receiver or sender is None:
            return
        content = message.get("content") if isinstance(message, dict) else message
        self.probe.said(name_of(sender), [name_of(receiver)], content, channel=word(self._state_of(sender, receiver)))

    @staticmethod
    def _state_of(*agents: Any) -> Any:
        """Return the state in which two talk: that of the character, since buildings have none."""
        return next((state for agent in agents if (state := read(agent, "state")) is not None), None)

    # --- the game ------------------------------------------------------------------------------------------------

    def _passed(self, direction: str, item: Any) -> None:
        number, content = _read(item)
        guid = content.get("agent_guid") if isinstance(content, dict) else None
        character = self._by_guid(guid)
        if direction == "in" and number == _ARRIVED and guid is not None:
            self._arrived[guid] = self._updates()
        if number == _START and isinstance(content, dict):
            content = {name: _without_map(value) for name, value in content.items()}
        told = {"direction": direction, "id": number, "content": content}
        self.probe.event("game_message", told, character_id=name_of(character))

    def _filtered(
        self, result: Any, simulation: Any, messages: Any, manager: Any, *arguments: Any, **more: Any
    ) -> None:
        """Report an arrival that `filter_out_msg` received and did not pass on to the character."""
        owner = read(manager, "character")
        character = manager if owner is None else owner
        guid = str(read(character, "guid"))
        if _arrives(result, guid) or word(read(character, "state")) != "MOVE":
            return
        if any(_arrives(message, guid) for message in items_of(messages)):
            self._arrived.pop(read(character, "guid"), None)
            self._tell_dropped(character)

    def look(self) -> None:
        """Report characters whose arrival was dropped, if no `filter_out_msg` shows that at once."""
        for guid, since in list(self._arrived.items()):
            character = self._by_guid(guid)
            if character is None or word(read(character, "state")) != "MOVE":
                del self._arrived[guid]
            elif self._updates() >= since + _PATIENCE:
                del self._arrived[guid]
                self._tell_dropped(character)

    def _tell_dropped(self, character: Any) -> None:
        name = name_of(character)
        self.probe.error(
            "ARRIVAL_DROPPED",
            f"the game reported that {name} has arrived, and the town dropped the message (filter_out_msg reads one "
            "arrival an update): the character stays in MOVE",
            character_id=name,
        )

    def _updates(self) -> int:
        return tick_of(self._lives.simulation) or 0

    def _by_guid(self, guid: Any) -> Any:
        if guid is None:
            return None
        return next((character for character in self._lives.characters if read(character, "guid") == guid), None)

    # --- trades --------------------------------------------------------------------------------------------------

    def _trading(self, original: Function) -> Function:
        def tell(result: Any, *arguments: Any, **more: Any) -> None:
            try:
                told = inspect.signature(original).bind(*arguments, **more).arguments
            except TypeError:
                told = more
            data = {name: value for name, value in told.items() if _is_scalar(value)}
            data.update(result if isinstance(result, dict) else {"result": result})
            self.probe.event("trade", data, character_id=who_acts())

        return after(tell)(original)


def _read(item: Any) -> tuple[Any, Any]:
    """Read a message of the game: the text `ID@JSON`, or a dict with `msg_id` and JSON as `msg`."""
    number, content = None, item
    if isinstance(item, str) and "@" in item:
        number, _, content = item.partition("@")
    elif isinstance(item, dict):
        number, content = item.get("msg_id"), item.get("msg", item)
    if isinstance(content, str):
        with contextlib.suppress(ValueError):
            content = json.loads(content)
    return int(number) if isinstance(number, str) and number.isdecimal() else number, content


def _arrives(message: Any, guid: str) -> bool:
    """Return whether a message, or its content, says that this character has arrived."""
    number, content = _read(message)
    if not isinstance(content, dict) or str(content.get("agent_guid")) != guid:
        return False
    return number == _ARRIVED or (number is None and "cur_pos" in content)


def _without_map(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if name not in _WHOLE_MAP}
    return value


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))
