"""A page without a browser, which applies updates as the panels' scripts do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from degentcivil_nb.widgets.panel import Panel
from degentcivil_nb.widgets.refresh import Refresher


class Prompt(Refresher):
    """Be a refresher without a thread: what is posted is done at once, and a test says when a view is refreshed."""

    def post(self, work: Callable[[], None]) -> None:
        work()


class Page:
    """Watch one panel and acknowledge each update at once; a test says when it is shown, and what a person does."""

    def __init__(self, panel: Panel, client: str = "page") -> None:
        self.panel = panel
        self.client = client
        self.messages: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []
        self.beats = 0
        self.standing: dict[str, Any] | None = None
        """Why what is shown is no longer so, by the last message."""
        self.columns: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.cells: dict[str, list[Any]] = {}
        panel.send = self._take  # type: ignore[method-assign]

    # --- what a page says ---------------------------------------------------------------------------------------

    def say(self, kind: str, **more: Any) -> None:
        self.panel._handle({"kind": kind, "client": self.client, **more})

    def show(self) -> None:
        self.say("show")

    def do(self, content: Any) -> None:
        self.say("input", content=content)

    # --- what it shows ------------------------------------------------------------------------------------------

    def _take(self, content: Any, buffers: list[bytes | memoryview] | None = None) -> None:
        self.standing = content["standing"]
        if content["kind"] == "beat":
            self.beats += 1
            return
        assert buffers is not None
        body = json.loads(bytes(buffers[0]))
        self.messages.append(content)
        self.say("ack", drawn={self.panel.part.key: content["n"]})
        self.bodies.append(body)
        data = bytes(buffers[1]) if len(buffers) > 1 else b""
        if "columns" in body:
            self.columns, self.keys = body["columns"], []
            self.cells = {column["name"]: [] for column in self.columns}
        for name, part in body.get("set", {}).items():
            for place, value in zip(_places(part, data), _values(part, data), strict=True):
                self.cells[name][place] = value
        if "add" in body:
            self.keys += body["add"]["keys"]
            for name, part in body["add"]["cells"].items():
                self.cells[name] += _values(part, data)
        if "keep" in body:
            self.keys = self.keys[-body["keep"] :]
            self.cells = {name: cells[-body["keep"] :] for name, cells in self.cells.items()}

    def rows(self) -> dict[str, dict[str, Any]]:
        """Give what the table shows, by key."""
        return {key: {name: cells[place] for name, cells in self.cells.items()} for place, key in enumerate(self.keys)}


def _array(place: list[Any], data: bytes) -> Any:
    kind, offset, length = place
    return np.frombuffer(data, f"<{kind}", length, offset)


def _places(part: dict[str, Any], data: bytes) -> Any:
    if "at" in part:
        return _array(part["at"], data)
    return np.flatnonzero(np.unpackbits(_array(part["among"], data), bitorder="little"))


def _values(part: dict[str, Any], data: bytes) -> list[Any]:
    if "n" in part:
        values: list[Any] = [None if value != value else float(value) for value in _array(part["n"], data)]
        for place, digits in part.get("exact", ()):
            values[place] = int(digits)
        return values
    if "t" in part:
        offsets = _array(part["t"], data)
        none = np.iinfo(offsets.dtype).max
        return [None if ms == none else part["base"] + ms / 1000 for ms in offsets]
    return [part["u"][code] for code in _array(part["c"], data)]
