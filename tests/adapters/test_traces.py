"""Export and import of traces: valid OTLP, the same run after a round trip, and errors for what cannot be read."""

from __future__ import annotations

import base64
import gzip
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.cli.app import main
from degentcivil_nb.simulation import SimulationProbe

trace = pytest.importorskip("opentelemetry.sdk.trace", reason="the SDK is an extra of the tests")

TABLES = ("llm_calls", "tool_calls", "chat", "thoughts")


@pytest.fixture
def session() -> Iterator[dc.Session]:
    """A run of which each kind of event was told, with causes, odd values and an unknown owner."""
    with SimulationProbe(port=0) as probe:
        probe.state_change("emma", "PLAN", location="Home")
        probe.state_change("idle one", "IDLE", location="Park")
        probe.checkpoint(1)
        call = probe.llm_call(
            "emma",
            prompt_type="PLAN",
            prompt='What now?\n{"not": json',
            response={"plan": ["bread", 9007199254740993]},
            model="m-1",
            prompt_tokens=7,
            completion_tokens=3,
            latency_s=0.25,
            cost_usd=0.1,
            provider="openai",
            parameters={"temperature": 0.5},
            retries=1,
            id="call-1",
        )
        used = probe.tool_call("emma", "look", {"where": "out"}, "rain", latency_s=0.1, cause=call, id="tool-1")
        probe.llm_call("emma", prompt="and?", response="stay", model="m-1", cause=used, id="call-2")
        probe.checkpoint(2)
        probe.said("noah", ["emma", "mia"], "Hello ☂", channel="street", cause="call-2")
        probe.thought("emma", "plan", {"text": "stay"}, evidence=["call-1"])
        probe.llm_call(None, prompt="who?", error="RateLimit: 429", model="m-2")
        probe.event("trade", {"price": 3})
        with dc.connect(probe, history=1_000) as session:
            yield session


def spans_of(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        span
        for line in lines
        for one in line["resourceSpans"]
        for scope in one["scopeSpans"]
        for span in scope["spans"]
    ]


def attributes_of(span: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: next(iter(item["value"].values())) for item in span["attributes"]}


def test_what_is_exported_comes_back_whole(session: dc.Session, tmp_path: Path) -> None:
    written = session.export_otlp(tmp_path / "run.otlp.jsonl")
    assert written["llm_call"] == 3
    assert written["left_out"] == {"state_change": 2, "event_notification": 1}
    back = dc.import_traces(tmp_path / "run.otlp.jsonl")
    for name in TABLES:
        before: Any = getattr(session, name)()
        after: Any = getattr(back, name)()
        assert len(before) == len(after) > 0
        for column in before.columns.drop(["epoch", "seq"], errors="ignore"):
            assert before[column].astype(str).to_list() == after[column].astype(str).to_list(), (name, column)
    types = ["llm_call", "tool_call", "chat_message", "thought"]
    assert (
        session.events(types, payload=True)["payload"].to_list()
        == back.events(types, payload=True)["payload"].to_list()
    )
    assert len(back.errors()) == 0
    people = back.characters()
    assert set(people.index) == {"emma", "noah", "idle one"}
    assert (people.loc["idle one", "state"], people.loc["idle one", "location"]) == ("IDLE", "Park")
    (told,) = back.events(event_type="import", payload=True)["data"]
    assert told["left_out_at_export"] == {"state_change": 2, "event_notification": 1}


def test_spans_hang_together_by_decision_and_by_cause(session: dc.Session, tmp_path: Path) -> None:
    session.export_otlp(tmp_path / "run.otlp.jsonl")
    spans = {span["name"]: span for span in spans_of(tmp_path / "run.otlp.jsonl")}
    agent, call, tool = spans["invoke_agent emma"], spans["chat m-1"], spans["execute_tool look"]
    assert call["parentSpanId"] == tool["parentSpanId"]
    assert {span["traceId"] for span in (call, tool)} == {call["traceId"]}
    assert tool["links"][0]["traceId"] == call["traceId"]
    assert int(call["endTimeUnixNano"]) >= int(call["startTimeUnixNano"])
    assert attributes_of(agent)["gen_ai.agent.name"] == "emma"
    unknown = spans["chat m-2"]
    assert "parentSpanId" not in unknown
    assert unknown["status"] == {"code": 2, "message": "RateLimit: 429"}
    assert attributes_of(unknown)["error.type"] == "RateLimit"
    assert all("session.id" in attributes_of(span) for span in spans.values())


def test_an_export_is_the_same_each_time_and_refuses_to_overwrite(session: dc.Session, tmp_path: Path) -> None:
    for name in ("a", "b"):
        session.export_otlp(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    dc.open_recording(session.save(tmp_path / "run")).export_otlp(tmp_path / "c")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()
    with pytest.raises(FileExistsError, match="pass another name"):
        session.export_otlp(tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "run"]


def test_a_parser_that_nobody_here_wrote_reads_the_export(session: dc.Session, tmp_path: Path) -> None:
    messages = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")
    json_format = pytest.importorskip("google.protobuf.json_format")
    session.export_otlp(tmp_path / "run.otlp.jsonl")
    names = []
    for line in (tmp_path / "run.otlp.jsonl").read_text().splitlines():
        value = json.loads(line, object_hook=_ids_in_base64)  # OTLP has them in hexadecimal, this parser in base64
        data = json_format.ParseDict(value, messages.TracesData(), ignore_unknown_fields=False)
        for span in data.resource_spans[0].scope_spans[0].spans:
            assert (len(span.trace_id), len(span.span_id)) == (16, 8)
            names.append(span.name)
    assert sorted(names) == sorted(span["name"] for span in spans_of(tmp_path / "run.otlp.jsonl"))


def _ids_in_base64(value: dict[str, Any]) -> dict[str, Any]:
    for name in ("traceId", "spanId", "parentSpanId"):
        if name in value:
            value[name] = base64.b64encode(bytes.fromhex(value[name])).decode()
    return value


def test_the_shell_exports_a_recording(session: dc.Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session.save(tmp_path / "run")
    code = main(["export", str(tmp_path / "run"), str(tmp_path / "run.otlp.jsonl")])
    assert code == 0
    assert "2 state_change" in capsys.readouterr().out
    with dc.import_traces(tmp_path / "run.otlp.jsonl") as back:
        assert len(back.llm_calls()) == 3


# --- files from elsewhere --------------------------------------------------------------------------------------------

ASKED = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "What now?"}]}])
SAID = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "sleep"}]}])
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "m",
    "gen_ai.usage.input_tokens": 7,
    "gen_ai.input.messages": ASKED,
    "gen_ai.output.messages": SAID,
}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "emma"}


def typed(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": value}


def otlp(name: str, attributes: dict[str, Any], span: int, parent: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "traceId": f"{1:032x}",
        "spanId": f"{span:016x}",
        **({} if parent is None else {"parentSpanId": f"{parent:016x}"}),
        "name": name,
        "startTimeUnixNano": str(1_700_000_000_000_000_000 + span),
        "endTimeUnixNano": str(1_700_000_001_000_000_000 - span),
        "attributes": [{"key": key, "value": typed(value)} for key, value in attributes.items()],
        **more,
    }


def line(*spans: Any) -> str:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]})


PAIR = line(otlp("invoke_agent emma", AGENT, 1), otlp("chat m", CALL, 2, 1))


def write(folder: Path, text: str | bytes, name: str = "traces.jsonl") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def check_pair(back: dc.Recording) -> None:
    calls = back.llm_calls()
    assert calls["character_id"].to_list() == ["emma"]
    assert (calls["prompt"].iloc[0], calls["response"].iloc[0]) == ("What now?", "sleep")
    assert calls["prompt_tokens"].iloc[0] == 7
    assert calls["latency_s"].iloc[0] == pytest.approx(1.0, abs=1e-4)
    assert back.characters().loc["emma", "state"] == "IDLE"
    assert back.timeline("emma")["state"].to_list() == ["WORK", "MODEL", "WORK", "IDLE"]
    assert back.chat()["content"].to_list() == ["sleep"]


def in_the_sdks_json(name: str, attributes: dict[str, Any], span: int, parent: int | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "context": {"trace_id": f"0x{1:032x}", "span_id": f"0x{span:016x}", "trace_state": "[]"},
        "kind": "SpanKind.CLIENT",
        "parent_id": None if parent is None else f"0x{parent:016x}",
        "start_time": f"2026-01-01T00:00:00.00000{span}Z",
        "end_time": f"2026-01-01T00:00:01.00000{9 - span}Z",
        "status": {"status_code": "UNSET"},
        "attributes": attributes,
        "events": [],
        "links": [],
    }


SDK = [in_the_sdks_json("invoke_agent emma", AGENT, 1), in_the_sdks_json("chat m", CALL, 2, 1)]
OPEN_INFERENCE = {
    "openinference": {"span": {"kind": "LLM"}},
    "llm": {
        "model_name": "m",
        "token_count": {"prompt": 7},
        "input_messages": [{"message": {"role": "user", "content": "What now?"}}],
        "output_messages": [{"message": {"role": "assistant", "content": "sleep"}}],
    },
}
BASE64 = PAIR
for number in (1, 2):
    BASE64 = BASE64.replace(f'"{number:016x}"', json.dumps(base64.b64encode(number.to_bytes(8)).decode()))
BASE64 = BASE64.replace(f'"{1:032x}"', json.dumps(base64.b64encode((1).to_bytes(16)).decode()))


@pytest.mark.parametrize(
    "text",
    [
        PAIR,
        line(otlp("chat m", CALL, 2, 1)) + "\n\n" + line(otlp("invoke_agent emma", AGENT, 1)),
        "\ufeff" + PAIR,
        PAIR.encode("utf-16"),
        gzip.compress(PAIR.encode()),
        json.dumps(json.loads(PAIR), indent=2),
        PAIR.replace("resourceSpans", "resource_spans").replace("scopeSpans", "scope_spans"),
        PAIR.replace("scopeSpans", "instrumentationLibrarySpans"),
        BASE64,
        json.dumps(SDK),
        "\n".join(map(json.dumps, SDK)),
        "\n".join(json.dumps(span, indent=4) for span in SDK),
        json.dumps([SDK[0], {**SDK[1], "attributes": OPEN_INFERENCE}]),
    ],
    ids=[
        "lines", "any order", "bom", "utf-16", "gzip", "indented", "snake", "older", "base64", "sdk list", "sdk lines",
        "sdk console", "open inference, nested",
    ],
)  # fmt: skip
def test_every_form_in_which_spans_are_written_is_read(tmp_path: Path, text: str | bytes) -> None:
    check_pair(dc.import_traces(write(tmp_path, text)))


def test_content_may_stand_in_log_records_beside_the_spans(tmp_path: Path) -> None:
    bare = {name: value for name, value in CALL.items() if not name.endswith("messages")}
    spans = write(tmp_path, line(otlp("invoke_agent emma", AGENT, 1), otlp("chat m", bare, 2, 1)))
    records = [
        {
            "traceId": f"{1:032x}",
            "spanId": f"{2:016x}",
            "eventName": name,
            "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": text}}]}},
        }
        for name, text in (("gen_ai.user.message", "What now?"), ("gen_ai.choice", "sleep"))
    ]
    logs = write(
        tmp_path,
        json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [*records, {"body": {}}]}]}]}),
        "logs.jsonl",
    )
    back = dc.import_traces([spans, logs])
    check_pair(back)
    (told,) = back.events(event_type="import", payload=True)["data"]
    assert told["left_out"] == {"logs": 1}


def test_other_spans_are_counted_and_what_is_missing_is_said(tmp_path: Path) -> None:
    lost = otlp("chat m", {"gen_ai.operation.name": "chat"}, 3, 99)
    back = dc.import_traces(write(tmp_path, line(otlp("GET /", {}, 1), otlp("GET /", {}, 2), lost, lost)))
    (payload,) = back.events("llm_call", payload=True)["payload"]
    assert payload["missing"] == ["parent", "content"]
    assert payload["character_id"] is None
    told = back.events(event_type="import", payload=True)["data"].iloc[-1]
    assert told["left_out"] == {"GET /": 2, "the same span again": 1}


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (PAIR[:200], "not JSON"),
        ("not json at all", "not JSON"),
        ('{"a": 1}', "no span"),
        ("[1, null]", "a span is an object"),
        ('{"resourceSpans": {"x": 1}}', "should be a list"),
        (line("text"), "a span is an object"),
        ('{"resourceSpans": [1, {"scopeSpans": [2]}]}', "are not objects|should be a list of objects"),
        ('{"resourceSpans": [{"ScopeSpans": []}]}', "no scopeSpans, but ScopeSpans"),
        ("[" * 5_000, "nested too deeply|not JSON"),
        ('{"n": ' + "9" * 5_000 + "}", "not JSON"),
        (line({"name": "chat", "attributes": []}), "has no ids"),
        (line(otlp("x", {}, 5, 5)), "its own ancestor"),
        (line(otlp("x", {}, 5, 6), otlp("y", {}, 6, 5)), "its own ancestor"),
        (line(otlp("x", {}, 5, endTimeUnixNano="5")), "ends before it starts"),
    ],
)  # fmt: skip
def test_damage_is_a_row_and_a_warning_and_the_rest_is_read(tmp_path: Path, damage: str, says: str) -> None:
    for order in ([PAIR, damage], [damage, PAIR]):
        with pytest.warns(dc.RecordingWarning, match="could not be read"):
            back = dc.import_traces(write(tmp_path, "\n".join(order)))
        assert "emma" in back.characters().index
        assert len(back.llm_calls()) == 1
        assert back.errors()["message"].str.contains(says).all()
        assert 1 <= len(back.errors()) <= 2


@pytest.mark.parametrize(
    "text", ["", "\n\n", "{", "PK\x03\x04", "<html>", "[]", '{"resourceMetrics": [{}]}', "\x1f\x8bx"]
)
def test_a_file_without_spans_is_refused_with_the_reason(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="holds no spans"):
        dc.import_traces(write(tmp_path, text.encode("latin-1")))


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        dc.import_traces(tmp_path / "nowhere.jsonl")
    with pytest.raises(ValueError, match="is a folder"):
        dc.import_traces(tmp_path)
    with pytest.raises(TypeError, match="path must be a path"):
        dc.import_traces(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, [], {}, [1], {"a": [{}]}, "[1, {", -3, 1e400, "\x00\u202e", [[[[]]]], True])
@pytest.mark.parametrize(
    "name", [*CALL, "gen_ai.usage.cost", "gen_ai.agent.name", "metadata", "llm.input_messages.0.x"]
)
def test_odd_values_stop_nothing(tmp_path: Path, name: str, value: Any) -> None:
    odd = {**SDK[1], "attributes": {**CALL, name: value}, "status": value, "events": value}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dc.RecordingWarning)
        back = dc.import_traces(write(tmp_path, json.dumps([SDK[0], odd])))
    summary = back.events(event_type="import", payload=True)["data"].iloc[-1]
    assert summary["spans"] == 2
    told = summary
    assert len(back.events("llm_call")) + len(back.errors()) + told["left_out"].get("chat m", 0) >= 1


def test_a_recording_may_be_kept_in_a_folder(tmp_path: Path) -> None:
    path = write(tmp_path, PAIR)
    check_pair(dc.import_traces(path, into=tmp_path / "kept"))
    check_pair(dc.open_recording(tmp_path / "kept"))
    temporary = dc.import_traces(path)
    folder = temporary.path
    assert folder.exists()
    del temporary
    import gc

    gc.collect()
    assert not folder.exists()
