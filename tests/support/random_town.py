"""A store of random changes, for questions about who was where."""

from __future__ import annotations

import numpy as np
from msgspec import Raw

from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.store.event_store import EventStore


def town(seed: int, goes_back: float = 0.02) -> EventStore:
    """Return a store of random changes: gaps, departures, places without states, some times that go back."""
    rng = np.random.default_rng(seed)
    store = EventStore()
    messages: list[RawMessage] = []
    for seq in range(1, 400):
        time = 1_000.0 + seq // 3 - (20 if rng.random() < goes_back else 0)
        who, kind = f"c{rng.integers(6)}", rng.random()
        data: dict[str, object] = {"character_id": who}
        if kind < 0.02:
            body, type_ = {"from": seq, "to": seq, "reason": "window"}, "gap"
            messages.append(RawMessage(type_, Raw(encode(body)), time))
            continue
        if kind < 0.05:
            messages.append(RawMessage("character_left", Raw(encode(data)), time, seq))
            continue
        if kind < 0.3:
            type_, data = "character_update", data | {"location": ["shop", "home", ""][rng.integers(3)]}
        else:
            type_, data = "state_change", data | {"new_state": f"s{rng.integers(3)}"}
            if kind > 0.6:
                data |= {"location": f"p{rng.integers(3)}"}
        messages.append(RawMessage(type_, Raw(encode(data)), time, seq, seq // 10))
    for start in range(0, len(messages), 37):
        store.append(messages[start : start + 37], 2_000.0, "e")
    return store
