"""Any Mesa model made visible and controllable in one line: `attach(model, probe)`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final

from ..core.plain import plain
from ..core.text_of import class_name, text_of
from ..protocol.errors import WebSocketError
from ..simulation.probe import SimulationProbe

Reader = str | Callable[[Any], Any]

_OWN: Final = frozenset({"unique_id", "model", "random", "rng", "pos", "cell", "space", "position"})
"""Attributes that Mesa itself gives to agents."""
_MODELS: Final = ("model", "random", "rng")
_PLAIN: Final = frozenset({int, float, str, bool})
_MOST_PLACES: Final = 2_500
"""The most cells that are listed as places; in a larger grid the coordinates are enough."""
_ATTACHED: Final = "_degentcivil_nb"


def attach(
    model: Any,
    probe: SimulationProbe,
    *,
    state: Reader | None = None,
    attributes: Iterable[str] | Callable[[Any], Mapping[str, Any]] | None = None,
) -> Adapter:
    """Show a Mesa model through a probe: its agents are the characters, and each `step` ends at a checkpoint.

    Parameters
    ----------
    model
        A `mesa.Model` with any space or none. Its `step` is called as before.
    probe
        The probe that shows the run.
    state
        The attribute with an agent's state, or a function that returns an agent's state. Left out, it is the attribute
        `state` or `status`, and of an agent without either the name of its class.
    attributes
        Names of attributes to show, or a function that returns an agent's attributes. Left out, all public ones that
        are numbers, text, truth values or enums.

    Returns
    -------
    Adapter
        Its `detach()` restores the model's own `step`. A second `attach` replaces the first one.

    Examples
    --------
    >>> from degentcivil_nb.simulation import SimulationProbe
    >>> from mesa.examples import BoltzmannWealth
    >>> with SimulationProbe(port=0) as probe:
    ...     model = BoltzmannWealth()
    ...     _ = attach(model, probe)
    ...     model.step()
    ...     len(probe.characters())
    100
    """
    before = getattr(model, _ATTACHED, None)
    if before is not None:
        before.detach()
    return Adapter(model, probe, state, attributes)


class Adapter:
    """A binding of a Mesa model to a probe."""

    def __init__(
        self,
        model: Any,
        probe: SimulationProbe,
        state: Reader | None,
        attributes: Iterable[str] | Callable[[Any], Mapping[str, Any]] | None,
    ) -> None:
        self._model = model
        self._probe = probe
        self._state = state
        self._read = attributes if callable(attributes) or attributes is None else _reader(tuple(attributes))
        self._told: dict[Any, dict[str, Any]] = {}
        self._keys: dict[Any, Any] = {}
        self._unread: set[str] = set()
        self._collected: dict[tuple[str, str], int] = {}
        self._places: dict[Any, dict[str, Any]] = {}
        self._layers: dict[str, float] = {}
        # simulators keep the wrapped step itself, so that only what it calls can be replaced for all
        self._word = "_user_step" if callable(getattr(model, "_user_step", None)) else "step"
        self._step = getattr(model, self._word)
        setattr(model, self._word, self._stepping(self._step))
        setattr(model, _ATTACHED, self)
        probe.inspector(self.inspect)
        probe.attributes(self.set)
        self._tell_places()
        self._quietly(self._look)

    def detach(self) -> None:
        """Restore the model, which goes on without the probe."""
        if getattr(self._model, _ATTACHED, None) is self:
            setattr(self._model, self._word, self._step)
            delattr(self._model, _ATTACHED)

    def _stepping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def step(*arguments: Any, **more: Any) -> Any:
            try:
                result = original(*arguments, **more)
            except Exception as error:
                self._quietly(self._look)
                text = f"step() failed: {class_name(type(error))}: {text_of(error)}"
                self._probe.error(WebSocketError.SERVER_ERROR, text, exception=error)
                raise
            self._quietly(self._look)
            self._probe.checkpoint(getattr(self._model, "steps", None))
            return result

        return step

    def _quietly(self, look: Callable[[], None]) -> None:
        try:
            look()
        except Exception as error:  # noqa: BLE001 — an agent's own property, or a function that was given to `attach`
            text = f"the model could not be read: {class_name(type(error))}: {text_of(error)}"
            self._probe.error(WebSocketError.SERVER_ERROR, text, exception=error)

    # --- what is published --------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Publish what has changed, and call the checkpoint; for a model that is not run by `step`."""
        self._quietly(self._look)
        self._probe.checkpoint(getattr(self._model, "steps", None))

    def _look(self) -> None:
        """Publish what has changed since the last call."""
        told, probe = self._told, self._probe
        reported = self._reported()
        alive: dict[Any, Any] = {}
        for agent in self._agents():
            try:
                id = _key(agent, alive)
                alive[id] = agent
                now = self._facts(agent)
            except Exception as error:  # noqa: BLE001 — an agent's own property, or a function given to `attach`
                self._tell_unread(agent, error)
                continue
            if id in reported:
                now = {**reported[id], **now}
            before = told.get(id)
            if before == now:
                continue
            told[id] = now
            self._tell(id, before, now)
        for id in [id for id in told if id not in alive]:
            del told[id]
            probe.left(id)
        self._keys = alive
        self._tell_measures()

    def _tell_unread(self, agent: Any, error: Exception) -> None:
        """Report each kind of failure once: the same property fails for each agent in each step."""
        text = f"a {type(agent).__name__} could not be read: {class_name(type(error))}: {text_of(error)}"
        if text not in self._unread:
            self._unread.add(text)
            self._probe.error(WebSocketError.SERVER_ERROR, text, exception=error)

    def _tell(self, id: Any, before: dict[str, Any] | None, now: dict[str, Any]) -> None:
        new = {name: value for name, value in now.items() if before is None or before.get(name, self) != value}
        state = new.pop("state", None)
        if new:
            self._probe.update(id, new)
        if state is not None:
            self._probe.state_change(id, state)

    def _facts(self, agent: Any) -> dict[str, Any]:
        """Return everything that is shown of an agent, including its state and place."""
        found: dict[str, Any] = {"kind": type(agent).__name__}
        values = _attributes(agent) if self._read is None else self._read(agent)
        for name, value in values.items():
            kind = type(value)
            if kind is int or kind is str or kind is bool:
                if name[0] != "_":
                    found[name] = value
            elif value is not None and name[0] != "_":
                simple = _simple(value)
                if simple is None and self._read is not None:
                    simple = plain(value)  # asked for: a list or an array
                if simple is not None:
                    found[name] = simple
        found.pop("unique_id", None)
        found["state"] = self._state_of(agent)
        found.update(self._place_of(agent))
        return found

    def _place_of(self, agent: Any) -> dict[str, Any]:
        """Return where an agent is: the cell of a grid, the node of a network, or a point of a continuous space."""
        cell = getattr(agent, "cell", None)
        if cell is None:
            at = getattr(agent, "position", None)
            return _place(at if hasattr(at, "__len__") else getattr(agent, "pos", None))
        at = getattr(cell, "coordinate", None)
        try:
            place = self._places.get(at)
            if place is None:
                place = self._places[at] = _place(at)
        except TypeError:  # a coordinate that is no key
            place = _place(at)
        return place

    def _state_of(self, agent: Any) -> Any:
        state = self._state
        if state is None:
            value = getattr(agent, "state", None)
            if value is None:
                value = getattr(agent, "status", None)
        else:
            value = getattr(agent, state, None) if isinstance(state, str) else state(agent)
        if value is None or callable(value):
            return type(agent).__name__
        if isinstance(value, Enum):
            return value.name
        return value if type(value) is str else text_of(value)

    def _agents(self) -> list[Any]:
        agents = getattr(self._model, "agents", None)
        if agents is None:
            agents = getattr(getattr(self._model, "schedule", None), "agents", ())
        return [] if agents is None else list(agents)

    # --- figures and places --------------------------------------------------------------------------------------

    def _collectors(self) -> list[tuple[str, Any]]:
        return [
            (name, value)
            for name, value in list(vars(self._model).items())
            if hasattr(value, "model_vars") and hasattr(value, "collect")
        ]

    def _tell_measures(self) -> None:
        """Publish the values that data collectors have collected of the whole model."""
        for own, collector in self._collectors():
            for name, values in collector.model_vars.items():
                seen = self._collected.get((own, name), 0)
                self._collected[own, name] = len(values)
                if len(values) > seen:
                    value = _simple(values[-1])
                    if value is not None:
                        self._probe.measure(name, value)
        for space in list(vars(self._model).values()):
            for name, layer in _layers(space):
                if self._layers.get(name) != layer:
                    self._layers[name] = layer
                    self._probe.measure(f"mean of {name}", layer)

    def _reported(self) -> dict[Any, dict[str, Any]]:
        """Return the values that data collectors have collected of each agent in this step."""
        found: dict[Any, dict[str, Any]] = {}
        for _, collector in self._collectors() if self._read is None else ():
            names = list(getattr(collector, "agent_reporters", None) or ())
            records = (getattr(collector, "_agent_records", None) or {}).get(getattr(self._model, "steps", None), ())
            for _, id, *values in records if names else ():
                simple = {name: _simple(value) for name, value in zip(names, values, strict=False)}
                of_agent = found.setdefault(id, {})
                of_agent.update({name: value for name, value in simple.items() if value is not None})
        return found

    def _tell_places(self) -> None:
        """Publish the cells of grids, and the nodes of networks, as the places of the model."""
        coordinates: list[Any] = []
        for space in list(vars(self._model).values()):
            coordinates += _coordinates(space)
        if 0 < len(coordinates) <= _MOST_PLACES:
            self._probe.publish("all_buildings", [_cell(coordinate) for coordinate in dict.fromkeys(coordinates)])

    # --- what is asked and set -----------------------------------------------------------------------------------

    def inspect(self, character_id: Any) -> dict[str, Any]:
        """Return all attributes of an agent except private ones."""
        agent = self._find(character_id)
        values = {name: value for name, value in _attributes(agent).items() if name[0] != "_" and name not in _MODELS}
        return {**values, **self._facts(agent)}

    def set(self, character_id: Any, name: str, value: Any) -> None:
        """Set an existing attribute of an agent to a value of the same kind."""
        agent = self._find(character_id)
        if name in _OWN or name in ("x", "y", "location", "kind") or name.startswith("_"):
            raise ValueError(f"{name!r:.80} is managed by Mesa and cannot be set")
        if not hasattr(agent, name):
            raise ValueError(f"a {type(agent).__name__} has no attribute {name!r:.80}")
        setattr(agent, name, _alike(name, getattr(agent, name), value))

    def _find(self, character_id: Any) -> Any:
        for key, agent in self._keys.items():
            if key == character_id or str(key) == str(character_id):
                return agent
        raise LookupError(character_id)


def _reader(names: tuple[str, ...]) -> Callable[[Any], dict[str, Any]]:
    return lambda agent: {name: getattr(agent, name, None) for name in names}


def _attributes(agent: Any) -> dict[str, Any]:
    """Return an agent's own attributes, from its dict or its slots."""
    try:
        own: dict[str, Any] = vars(agent)
    except TypeError:
        names = [name for kind in type(agent).__mro__ for name in getattr(kind, "__slots__", ())]
        return {name: getattr(agent, name) for name in names if hasattr(agent, name)}
    return own


def _key(agent: Any, taken: Mapping[Any, Any]) -> Any:
    """Return the published id of an agent: its own, with its class if two agents have the same id."""
    id = agent.unique_id
    if not isinstance(id, (str, int, float, tuple)):
        simple = _simple(id)
        id = text_of(id) if simple is None else simple
    if id not in taken:
        return id
    named, number = f"{type(agent).__name__} {text_of(id)}", 2
    key = named
    while key in taken:
        key, number = f"{named} ({number})", number + 1
    return key


def _coordinates(space: Any) -> list[Any]:
    """Return the coordinates of all cells of a grid, or the nodes of a network; none for anything else."""
    cells = getattr(space, "_cells", None)
    if isinstance(cells, dict):
        return list(cells)
    nodes = getattr(getattr(space, "G", None), "nodes", None)
    if nodes is not None:
        return list(nodes)
    width, height = getattr(space, "width", None), getattr(space, "height", None)
    if hasattr(space, "is_cell_empty") and isinstance(width, int) and isinstance(height, int):
        if width * height <= _MOST_PLACES:
            return [(x, y) for x in range(width) for y in range(height)]
        return []
    return []


def _layers(space: Any) -> Iterable[tuple[str, float]]:
    """Return the mean of each layer of properties that a grid has."""
    layers = getattr(space, "_mesa_property_layers", None)
    if layers is None and (hasattr(space, "_cells") or hasattr(space, "is_cell_empty")):
        layers = getattr(space, "properties", None)
    for name, layer in list(layers.items()) if isinstance(layers, Mapping) else ():
        data = getattr(layer, "data", layer)
        average = getattr(data, "mean", None)
        mean = _simple(average()) if name != "empty" and callable(average) else None
        if isinstance(mean, (int, float)):
            yield str(name), float(mean)


def _simple(value: Any) -> Any:
    """Return a number, text, a truth value or an enum's name; `None` for anything else."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        return value.name
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # numpy's own numbers
        return _simple(value.item())
    return value if isinstance(value, (int, float, str)) else None


def _place(at: Any) -> dict[str, Any]:
    if at is None:
        return {}
    if isinstance(at, str) or not hasattr(at, "__len__"):
        return {"location": text_of(at)}
    place: dict[str, Any] = {}
    values = [_simple(value) for value in at]
    if len(values) >= 2 and all(isinstance(value, (int, float)) for value in values):
        place["x"], place["y"] = values[:2]
    if all(isinstance(value, int) for value in values):  # in a continuous space no two agents share a point
        place["location"] = text_of(tuple(values))
    return place


def _cell(coordinate: Any) -> dict[str, Any]:
    place = _place(coordinate)
    name = place.pop("location", None) or text_of(coordinate)
    return {"id": name, "name": name, **place}


def _alike(name: str, now: Any, value: Any) -> Any:
    """Convert a value to the kind of the present one: an enum by its name, a number for a number."""
    if isinstance(now, Enum) and isinstance(value, str):
        names = type(now).__members__
        if value not in names:
            raise ValueError(f"{name!r:.80} must be one of {', '.join(names)}, not {value!r:.80}")
        return names[value]
    number = isinstance(_simple(now), (int, float)) and not isinstance(now, bool)
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) if number else isinstance(value, type(now))
    if now is not None and not fits:
        kind = "a number" if number else f"a {type(now).__name__}"
        raise TypeError(f"{name!r:.80} must be {kind}, not {value!r:.80}")
    return value
