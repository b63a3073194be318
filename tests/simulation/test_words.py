"""The probe's further methods: what each publishes, and that the simulation continues whatever it is given."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import functools
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from degentcivil_nb.protocol.control_payloads import Snapshot
from degentcivil_nb.protocol.json_text import decode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.simulation import SimulationProbe
from tests.support.client_helpers import following


@pytest.fixture
async def probe() -> AsyncIterator[SimulationProbe]:
    probe = SimulationProbe(port=0)
    yield probe
    await asyncio.to_thread(probe.close)


async def told(probe: SimulationProbe) -> list[RawMessage]:
    head = await asyncio.to_thread(probe.flush)
    async with following(probe.url) as (_, seen):
        await seen.until(lambda: seen.seqs and seen.seqs[-1] == head)
        return [message for message in seen.messages if message.seq is not None]


async def test_each_word_arrives_as_the_protocol_has_it(probe: SimulationProbe) -> None:
    call = probe.llm_call("emma", prompt_type="PLAN", prompt="?", response="walk")
    said = probe.said("emma", ["noah", 5], "Good morning!", channel="street", cause=call)
    alone = probe.said("emma", "noah", "psst")
    tool = probe.tool_call("emma", "search", {"q": "cafe"}, ["Park"], latency_s=0.5, cause=[call, said])
    thought = probe.thought("emma", "plan", "go to the park", evidence=[said, tool])
    probe.measure("gini", 0.4)
    probe.left("noah")
    messages = await told(probe)
    assert [message.type for message in messages] == [
        "llm_call",
        "chat_message",
        "chat_message",
        "tool_call",
        "thought",
        "measure",
        "character_left",
    ]
    chat, tooled, mused = messages[1].payload(), messages[3].payload(), messages[4].payload()
    assert chat == {
        "character_id": "emma",
        "receivers": ["noah", 5],
        "content": "Good morning!",
        "channel": "street",
    }
    assert messages[2].payload()["receivers"] == ["noah"]
    assert tooled == {
        "character_id": "emma",
        "name": "search",
        "arguments": {"q": "cafe"},
        "result": ["Park"],
        "latency_s": 0.5,
    }
    assert mused["evidence"] == [said, tool]
    assert messages[5].payload() == {"name": "gini", "value": 0.4}
    assert messages[6].payload() == {"character_id": "noah"}
    ids = [message.links().event_id for message in messages]
    assert ids[:5] == [call, said, alone, tool, thought] and len(set(ids[:5])) == 5
    assert ids[5:] == [None, None]
    assert messages[1].links().cause == call and messages[3].links().cause == [call, said]


async def test_frequent_words_have_an_id_when_asked(probe: SimulationProbe) -> None:
    assert probe.state_change("emma", "MOVE") is None
    assert probe.event("trade") is None
    made = [probe.state_change("emma", "ACT", id=True), probe.event("trade", id=True), probe.error(1, "x", id=True)]
    assert all(made) and len(set(made)) == 3
    assert probe.event("trade", id=7, cause=made[0]) == "7"
    messages = await told(probe)
    assert [message.links().event_id for message in messages] == [None, None, *made, "7"]
    assert messages[5].payload()["id"] == "7" and messages[5].payload()["cause"] == made[0], "for older readers"


async def test_a_place_that_was_left_and_a_character_that_is_gone_leave_the_snapshot(probe: SimulationProbe) -> None:
    for name in ("emma", "noah", "mia"):
        probe.state_change(name, "IDLE", location="Park")
    probe.state_change("emma", "MOVE")
    probe.state_change("noah", "MOVE", location=None)
    probe.left("mia")
    await asyncio.to_thread(probe.flush)
    async with following(probe.url) as (_, seen):
        await seen.until(lambda: seen.of("snapshot"))
        characters = {one.character_id: one for one in decode(Snapshot, seen.of("snapshot")[0].data).characters}
    assert set(characters) == {"emma", "noah"}
    assert (characters["emma"].location, characters["noah"].location) == ("Park", None)


async def test_who_acts_is_whose_it_is(probe: SimulationProbe) -> None:
    def plan() -> None:
        probe.event("planned")

    with probe.acting("emma"):
        probe.event("woke up")
        probe.event("of another", character_id="noah")
        carried = probe.carry(plan)
        await asyncio.create_task(_think(probe))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        pool.submit(carried).result()
        pool.submit(plan).result()
    whose = [message.payload().get("character_id") for message in await told(probe)]
    assert whose == ["emma", "noah", "emma", "emma", None]


async def _think(probe: SimulationProbe) -> None:
    probe.thought(None, "plan", "rest")


async def test_a_call_of_a_model_is_measured_around_a_block(probe: SimulationProbe) -> None:
    with probe.llm("emma", prompt_type="PLAN", prompt="What now?") as call:
        call.response = {
            "model": "m-1",
            "choices": [{"message": {"role": "assistant", "content": "sleep"}}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 3},
        }
    with pytest.raises(TimeoutError), probe.llm("noah", prompt="?"):
        raise TimeoutError("slow")
    async with probe.llm("mia", prompt="?", model="m-2") as third:
        third.response = SimpleNamespace(content=[SimpleNamespace(text="a"), SimpleNamespace(text="b")])
    first, failed, last = [message.payload() for message in await told(probe)]
    assert (first["response"], first["model"], first["prompt_tokens"], first["completion_tokens"]) == (
        "sleep",
        "m-1",
        12,
        3,
    )
    assert 0 <= first["latency_s"] < 10
    assert failed["error"] == "TimeoutError: slow" and failed["character_id"] == "noah"
    assert (last["response"], last["model"]) == ("ab", "m-2")


async def test_a_function_that_asks_is_told_in_all_its_forms(probe: SimulationProbe) -> None:
    request: dict[str, Any] = {"temperature": 0.5, "api_key": "s3cret", "extra_headers": {"x": "s3cret"}, "model": "m"}

    def ask(prompt: str, **more: Any) -> str:
        return prompt.upper()

    async def ask_async(prompt: str, **more: Any) -> str:
        return prompt.upper()

    def ask_stream(prompt: str, **more: Any) -> Iterator[Any]:
        yield from prompt

    async def ask_async_stream(prompt: str, **more: Any) -> AsyncIterator[Any]:
        for piece in prompt:
            yield {"choices": [{"delta": {"content": piece}}]}

    def fail(prompt: str, **more: Any) -> str:
        raise ValueError("no model")

    assert probe.llm_function(ask, "emma")("ab", **request) == "AB"
    assert await probe.llm_function(ask_async, "emma")("ab", **request) == "AB"
    assert list(probe.llm_function(ask_stream, "emma")("ab", **request)) == ["a", "b"]
    assert len([piece async for piece in probe.llm_function(ask_async_stream, "emma")("ab", **request)]) == 2
    with pytest.raises(ValueError, match="no model"):
        probe.llm_function(fail, "emma", prompt_type="PLAN")("ab", **request)
    images = [
        {"role": "user", "content": [{"type": "image_url", "image_url": "s3cret"}, {"type": "text", "text": "?"}]}
    ]
    probe.llm_function(lambda messages: "ok")(messages=images)
    messages = await told(probe)
    assert all(b"s3cret" not in bytes(message.data) for message in messages)
    calls = [message.payload() for message in messages]
    assert [call["response"] for call in calls[:4]] == ["AB", "AB", "ab", "ab"]
    assert all(call["prompt"] == "ab" and call["model"] == "m" for call in calls[:5])
    assert calls[0]["parameters"] == {"temperature": 0.5}
    assert (calls[4]["error"], calls[4]["prompt_type"]) == ("ValueError: no model", "PLAN")
    assert calls[5]["prompt"][0]["content"][0] == {"type": "image_url", "left_out": True}


class Asked:
    """A client of a model, as frameworks have them: asked with their own prompts, and wrapped on its class too."""

    model_name = "fake-1"

    def ask(self, prompt: Any = None, *, prompt_id: Any = None, **more: Any) -> str:
        return "ok"


@dataclasses.dataclass
class Prompt:
    messages: list[Any]


@dataclasses.dataclass
class Picture:
    kind: str = "image-url"
    url: str = "s3cret"


@pytest.mark.parametrize("on_its_class", [False, True])
async def test_prompts_of_frameworks_are_told_whole_without_secrets(probe: SimulationProbe, on_its_class: bool) -> None:
    wrapped: Any = probe.llm_function(Asked().ask)
    if on_its_class:
        wrapped = functools.partial(probe.llm_function(Asked.ask), Asked())
    loop: list[Any] = ["endless"]
    loop.append(loop)
    wrapped(Prompt(["what now?", {"content": [Picture(), "look"]}]))
    wrapped({"topic": "bread", "api_key": "s3cret", "headers": {"x": "s3cret"}})
    wrapped({"messages": ("a", "b")})
    wrapped(loop)
    wrapped(None, messages=None, input="hi", instructions="be kind", temperature=None)
    messages = await told(probe)
    assert all(b"s3cret" not in bytes(message.data) for message in messages)
    calls = [message.payload() for message in messages]
    assert [call["prompt"] for call in calls[:3]] == [
        ["what now?", {"content": [{"kind": "image-url", "left_out": True}, "look"]}],
        {"topic": "bread"},
        ["a", "b"],
    ]
    assert calls[3]["prompt"][0] == "endless"
    assert (calls[4]["prompt"], calls[4]["parameters"]) == ("hi", {"instructions": "be kind"})
    assert {call["model"] for call in calls} == {"fake-1"}


async def test_a_model_may_be_the_object_that_asks_it(probe: SimulationProbe) -> None:
    for model in (Asked(), Prompt([]), None, "m"):
        probe.llm_call("emma", model=model)
    assert [message.payload().get("model") for message in await told(probe)] == ["fake-1", "Prompt", None, "m"]


async def test_a_stream_that_is_not_read_to_its_end_is_a_call_without_failure(probe: SimulationProbe) -> None:
    def ask(prompt: str) -> Iterator[str]:
        yield from prompt

    stream = probe.llm_function(ask)("abc")
    assert next(stream) == "a"
    stream.close()  # type: ignore[attr-defined]
    (call,) = [message.payload() for message in await told(probe)]
    assert call["response"] == "a" and "error" not in call


async def test_what_is_tracked_is_told_when_it_changes(probe: SimulationProbe) -> None:
    class Agent:
        money = 3

        @property
        def broken(self) -> int:
            raise RuntimeError("no")

    agent, purse = Agent(), {"coins": 1}
    probe.track("emma", agent, ["money", "broken"])
    probe.track("noah", purse, "coins")
    await probe.acheckpoint(0)
    agent.money, purse["coins"] = 5, 2
    await probe.acheckpoint(1)
    del agent
    gc.collect()
    await probe.acheckpoint(2)
    updates = [message.payload() for message in await told(probe)]
    assert updates == [
        {"money": 3, "broken": "… (cannot be read: RuntimeError)", "character_id": "emma"},
        {"coins": 1, "character_id": "noah"},
        {"money": 5, "character_id": "emma"},
        {"coins": 2, "character_id": "noah"},
    ]


async def test_failures_are_told_and_raised_on_as_before(probe: SimulationProbe) -> None:
    def plan() -> None:
        raise ValueError("no plan")

    async def plan_async() -> None:
        raise ValueError("no plan either")

    with pytest.raises(ValueError, match="no plan"):
        probe.guard(plan, "emma")()
    with pytest.raises(ValueError, match="either"):
        await probe.guard(plan_async)()
    logger = logging.getLogger("some_town")
    logger.addHandler(handler := probe.log_handler())
    logging.getLogger("degentcivil_nb.simulation").addHandler(handler)
    try:
        logger.warning("the %s is closed", "park")
        logger.info("not told")
        logging.getLogger("degentcivil_nb.simulation").warning("not told either")
    finally:
        logger.removeHandler(handler)
        logging.getLogger("degentcivil_nb.simulation").removeHandler(handler)
    loop = asyncio.get_running_loop()
    before: list[str] = []
    loop.set_exception_handler(lambda loop, context: before.append(context["message"]))
    probe.loop_exceptions(loop)
    loop.call_exception_handler({"message": "a task died", "exception": ValueError("lost")})
    loop.set_exception_handler(None)
    assert before == ["a task died"]
    errors = [message.payload() for message in await told(probe)]
    assert [(error["code"], error.get("code_name")) for error in errors] == [
        (1004, None),
        (1004, None),
        (1004, "WARNING"),
        (1004, None),
    ]
    assert errors[0]["character_id"] == "emma" and "ValueError: no plan" in errors[0]["message"]
    assert "Traceback" in errors[0]["traceback"]
    assert errors[2]["message"] == "the park is closed"
    assert "ValueError: lost" in errors[3]["message"]


async def test_a_number_that_is_no_tick_is_the_models_own_time(
    probe: SimulationProbe, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for tick in (0, 1.0, 2.5, 3.0, "monday", None):
            probe.event("step")
            await probe.acheckpoint(tick)
        probe.event("step")
    messages = [message for message in await told(probe) if message.type != "error"]
    assert [message.tick for message in messages] == [0, 1, 2, 3, 4, 5, 6]
    assert [message.links().sim_time for message in messages] == [None, None, None, 2.5, 3.0, 3.0, 3.0]
    assert len([record for record in caplog.records if "not a number" in record.message]) == 1


async def test_what_a_command_publishes_is_marked_as_an_intervention(probe: SimulationProbe) -> None:
    @probe.command
    def rain() -> None:
        probe.event("rain")

    async with following(probe.url) as (client, _):
        asking = asyncio.create_task(client.request("rain", {}))
        while not asking.done():
            await probe.acheckpoint()
        await asking
    probe.event("sun")
    rained, shone = await told(probe)
    intervention = rained.links().intervention
    assert intervention is not None and intervention["command_id"]
    assert shone.links().intervention is None


def test_the_server_keeps_as_much_history_as_is_asked_for() -> None:
    with SimulationProbe(port=0, history=10) as probe:
        for number in range(50):
            probe.event("n", number)
        probe.flush()
        assert len(probe.server.history) == 10
