"""What each word of the probe does with arguments that are missing, empty or not a number: said once, or published.

Nothing is lost either way: each call is a message in the stream, and its `error` beside or in place of it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe

Call = Callable[[SimulationProbe, Any], object]
EMPTY = [None, "", math.nan]

SAID: dict[str, Call] = {
    "new_state": lambda probe, value: probe.state_change("emma", value),
    "event_type": lambda probe, value: probe.event(value),
    "kind": lambda probe, value: probe.thought("emma", value, "bread"),
    "as name: ": lambda probe, value: probe.tool_call("emma", value),
    "measure() was": lambda probe, value: probe.measure(value, 1),
    "receivers": lambda probe, value: probe.said("emma", ["noah", value], "hello") if value != "" else _say(probe),
    "cause": lambda probe, value: probe.event("trade", cause=["a", value]),
    "evidence": lambda probe, value: probe.thought("emma", "plan", "bread", evidence=["a", value]),
}
"""Words that a message needs, by what the sentence names; the message is published too."""

REPLACED: dict[str, Call] = {
    "state_change": lambda probe, value: probe.state_change(value, "MOVE"),
    "character_update": lambda probe, value: probe.character_update(value, money=1),
    "character_left": lambda probe, value: probe.left(value),
    "chat_message": lambda probe, value: probe.said(value, ["noah"], "hello"),
    "thought": lambda probe, value: probe.thought(value, "plan", "bread"),
}
"""Messages of which nothing is left without the id of the character."""

TAKEN: dict[str, tuple[Call, tuple[Any, ...]]] = {
    "a location may be left, or be an empty text": (lambda p, v: p.state_change("emma", "MOVE", v), (None, "")),
    "a state before may be unknown": (lambda p, v: p.state_change("emma", "MOVE", previous_state=v), (None,)),
    "an attribute may have no value": (lambda p, v: p.character_update("emma", money=v), (None, "", math.nan)),
    "an update may only name the character": (lambda p, v: p.update("emma", v), ({},)),
    "an event may have no data, id, cause or character": (
        lambda p, v: p.event("trade", v, id=None, cause=None, character_id=v if v != "" else None),
        (None, "", math.nan),
    ),
    "a measure may have no value at a tick": (lambda p, v: p.measure("gini", v), (None, math.nan)),
    "a model may answer nothing": (lambda p, v: p.llm_call("emma", prompt=v, response=v), (None, "")),
    "a figure of a call may be unknown": (lambda p, v: p.llm_call(latency_s=v, cost_usd=v), (None, math.nan)),
    "a tool may be used by nobody, take and give nothing": (lambda p, v: p.tool_call(v, "rest", v, v), (None,)),
    "something may be said to nobody, or be empty": (lambda p, v: p.said("emma", None, v), ("",)),
    "an error may have no message": (lambda p, v: p.error(2001, v), (None, "")),
    "an error without a code is 1004": (lambda p, v: p.error(v), (None, "", math.nan)),
    "a message may have no payload": (lambda p, v: p.publish("weather", v), (None, "", math.nan)),
}
"""What is no wrong use, by the reason."""


def _say(probe: SimulationProbe) -> object:
    return probe.said("emma", math.nan, "hello")


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("value", EMPTY, ids=repr)
def test_a_missing_word_is_said_once_at_its_line_and_its_message_published(
    value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with SimulationProbe(port=0) as probe:
        for sentence, call in SAID.items():
            caplog.clear()
            call(probe, value), call(probe, value)
            (said,) = warnings_of(caplog)
            assert sentence in said and "test_missing_arguments.py" in said
        probe.flush()
        assert probe.stats()["published"] == 3 * len(SAID)
        assert probe.stats()["unencodable"] == 0


@pytest.mark.parametrize("value", EMPTY, ids=repr)
def test_a_missing_character_is_said_at_its_line(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    with SimulationProbe(port=0) as probe:
        for word, call in REPLACED.items():
            call(probe, value)
            assert "test_missing_arguments.py" in warnings_of(caplog)[-1], word
        with dc.connect(probe) as session:
            types, codes = session.events()["type"].to_list(), session.errors()["code"].to_list()
    if value == "":  # a text: published as it is
        assert types == ["error", *REPLACED] and codes == [1001]
    else:
        assert types == ["error"] * len(REPLACED) and codes == [1005] * len(REPLACED)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda probe: probe.publish("", {"rain_mm": 2}), "a message's type must be a text that is not empty"),
        (lambda probe: probe.publish(None, {"rain_mm": 2}), "a message's type must be a text that is not empty"),
        (lambda probe: probe.publish("weather", {}, receipt=[]), "receipt must be a Receipt, not of list"),
        (lambda probe: probe.said("emma", ["noah"], None), "said() was given 'None' as content"),
        (lambda probe: probe.thought("emma", "plan", None), "thought() was given 'None' as text"),
        (lambda probe: probe.track("emma", {"money": 1}, None), "track() needs the names of attributes, not None"),
        (lambda probe: probe.track("emma", {"money": 1}, ()), "track() needs the names of attributes, not ()"),
        (lambda probe: probe.event("trade", id=""), "was given '' as id"),
        (lambda probe: probe.event("trade", character_id=""), "was given '' as character_id"),
        (lambda probe: probe.llm_call("emma", latency_s=math.inf), "latency_s that is not a number"),
    ],
)
def test_other_wrong_arguments_are_said_at_their_line(
    call: Callable[[SimulationProbe], object], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    with SimulationProbe(port=0) as probe:
        call(probe)
        probe.flush()
        (said,) = warnings_of(caplog)
        assert sentence in said and "test_missing_arguments.py" in said


@pytest.mark.parametrize("word", ["command", "inspector", "attributes", "asker", "guard", "carry", "when_running"])
def test_nothing_can_be_offered(word: str) -> None:
    with SimulationProbe(port=0) as probe, pytest.raises(TypeError, match="must be a function, not None"):
        getattr(probe, word)(None)


def test_what_may_be_missing_is_published_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with SimulationProbe(port=0) as probe:
        for reason, (call, values) in TAKEN.items():
            for value in values:
                call(probe, value)
                assert not warnings_of(caplog), reason
        probe.flush()
        assert probe.stats()["published"] == sum(len(values) for _, values in TAKEN.values())
        assert probe.stats()["unencodable"] == 0
