"""A naive store of dicts and plain pandas, for comparison."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from degentcivil_nb.protocol.messages import RawMessage

Stay = tuple[str, str, str | None, float | None, float | None]


class Model:
    """Take messages one by one; only well-formed ones, with sent times and one epoch."""

    def __init__(self, max_rows: int) -> None:
        self.max_rows = max_rows
        self.rows: list[dict[str, Any]] = []
        self.present: dict[str, dict[str, Any]] = {}
        self.stream: dict[str, str] = {}
        self.stream_pending: dict[str, dict[str, Any]] | None = None
        self.snapshot_seq: int | None = None
        self.moved: Counter[tuple[str, str]] = Counter()
        self.changes: list[tuple[int, str, str | None, str | None, float | None]] = []
        self.gaps: list[tuple[int, dict[str, Any]]] = []
        self.next_row = 0
        self.accounted = 0

    @property
    def first_row(self) -> int:
        return max(0, self.next_row - self.max_rows)

    def take(self, message: RawMessage) -> None:
        data = message.payload()
        if message.type == "gap":
            self.gaps.append((self.next_row, data))
            self.stream.clear()
            self.accounted = max(self.accounted, data["to"])
        elif message.type == "snapshot":
            self.snapshot_seq = data["seq"]
            self.present = {
                c["character_id"]: {
                    "state": c.get("state"),
                    "location": c.get("location"),
                    "since": c.get("since"),
                    "last_seen": c.get("last_seen"),
                    "attributes": dict(c.get("attributes", {})),
                }
                for c in data["characters"]
            }
            self.stream_pending = {name: dict(c) for name, c in self.present.items()}
            if self.accounted >= data["seq"]:
                self._take_up()
        else:
            self._event(message, data)

    def _take_up(self) -> None:
        for name, character in (self.stream_pending or {}).items():
            if character["state"] is not None and name not in self.stream:
                self.stream[name] = character["state"]
                self.changes.append(
                    (self.next_row, name, character["state"], character["location"], character["since"])
                )
        self.stream_pending = None

    def _event(self, message: RawMessage, data: Any) -> None:
        seq, time = message.seq, message.timestamp
        assert seq is not None and time is not None
        live = self.snapshot_seq is None or seq > self.snapshot_seq
        if live:
            self._take_up()
        row = self.next_row
        event: dict[str, Any] = {"row": row, "seq": seq, "tick": message.tick, "time": time, "type": message.type}
        event |= dict.fromkeys(("character_id", "state", "location", "event_type", "code", "message"))
        event |= dict.fromkeys(("event_id", "cause", "intervention", "sim_time"))  # its messages have no envelope keys
        inner = data.get("data") if message.type == "event_notification" and isinstance(data, dict) else None
        event["payload"], event["data"] = data, inner
        moves: list[tuple[str, str | None, str | None, str | None, dict[str, Any], bool]] = []
        if message.type == "state_change":
            event |= {"character_id": data["character_id"], "state": data["new_state"], "location": data["location"]}
            moves.append(
                (data["character_id"], data["new_state"], data["location"], data.get("previous_state"), {}, False)
            )
        elif message.type == "character_update":
            rest = {k: v for k, v in data.items() if k not in ("character_id", "state", "location")}
            event |= {key: data.get(key) for key in ("character_id", "state", "location")}
            moves.append((data["character_id"], data.get("state"), data.get("location"), None, rest, False))
        elif message.type == "all_characters":
            for item in data:
                rest = {k: v for k, v in item.items() if k != "state"}
                moves.append((item["name"], item.get("state"), None, None, rest, True))
        else:
            for key in ("character_id", "event_type", "code", "message"):
                event[key] = data.get(key)
        self.rows.append(event)
        self.next_row += 1
        for name, state, location, previous, attributes, listed in moves:
            known = self.present.get(name, {})
            if (not listed and (state or location)) or (
                listed and state and (state != self.stream.get(name) or (location and location != known["location"]))
            ):
                self.changes.append((row, name, state, location, time))
            if state is not None:
                before = self.stream.get(name, previous)
                if before is not None and before != state:
                    self.moved[before, state] += 1
                self.stream[name] = state
            if live:
                character = self.present.setdefault(
                    name, {"state": None, "location": None, "since": None, "last_seen": None, "attributes": {}}
                )
                if state is not None:
                    if state != character["state"]:
                        character["since"] = time
                    character["state"] = state
                if location is not None:
                    character["location"] = location
                character["attributes"].update(attributes)
                character["last_seen"] = time
        if live and not moves and event["character_id"] in self.present:
            self.present[event["character_id"]]["last_seen"] = time
        self.accounted = max(self.accounted, seq)
        if self.snapshot_seq is not None and self.accounted >= self.snapshot_seq:
            self._take_up()

    # --- questions --------------------------------------------------------------------------------------------------

    def held(self) -> list[dict[str, Any]]:
        return [event for event in self.rows if event["row"] >= self.first_row]

    def events(self) -> pd.DataFrame:
        columns = ["row", "seq", "tick", "time", "type", "character_id", "state", "location"]
        columns += ["event_type", "code", "message", "event_id", "cause", "intervention", "sim_time", "payload", "data"]
        return pd.DataFrame(self.held(), columns=columns).set_index("row")

    def timeline(self, character_id: str | None = None) -> list[Stay]:
        changes = [change for change in self.changes if change[0] >= self.first_row]
        for name, character in (self.stream_pending or {}).items():
            if character["state"] is not None and name not in self.stream:
                changes.append((self.next_row, name, character["state"], character["location"], character["since"]))
        stays: list[tuple[int, list[Any]]] = []
        here: dict[str, dict[str, Any]] = {}
        for row, name, state, location, time in changes:
            part = sum(gap_row <= row for gap_row, _ in self.gaps)
            was = here.get(name)
            if was is None or was["part"] != part:
                was = here[name] = {"part": part, "state": None, "location": None, "stay": None}
            new_state, new_location = state or was["state"], location or was["location"]
            if new_state is not None and (was["stay"] is None or (new_state, new_location) != was["stay"][1:3]):
                if was["stay"] is not None:
                    was["stay"][4] = time
                was["stay"] = _Stay([name, new_state, new_location, time, None])
                stays.append((row, was["stay"]))
            was["state"], was["location"] = new_state, new_location
        stays.sort(key=lambda stay: stay[0])
        return sorted(
            (tuple(stay) for _, stay in stays if character_id is None or stay[0] == character_id),
            key=repr,
        )

    def rates(self, every: int, by: str) -> dict[tuple[int, str], int]:
        counts: Counter[tuple[int, str]] = Counter()
        for event in self.held():
            if event[by] is not None:
                counts[int(event["time"]) // every * every, str(event[by])] += 1
        return dict(counts)


class _Stay(list[Any]):
    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return tuple(found) if isinstance(key, slice) else found
