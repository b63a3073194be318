"""A wrong value for any parameter of any public method is answered where it is typed, by one sentence (issue 10)."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import degentcivil_nb as dc
from degentcivil_nb.figures.plots import Plots
from degentcivil_nb.widgets.character_page import CharacterPage
from tests.support.wrong_values import ALLOWED, INTERNAL, NAMES, REFUSED, WRONG

GIVEN: dict[str, Any] = {
    "character_id": "emma", "condition": "tick > 1_000_000_000", "row": 0, "query": "select 1", "path": "", "before": 0,
    "event_type": "x", "data": None, "value": 3, "message": "x", "callback": len, "type": None, "new_state": "MOVE",
    "code": 1004, "kind": "stall", "function": print, "text": "x", "question": "x", "expression": "money",
    "name": "money", "loop": None, "n": 1, "run": "one", "ticks": 1, "factor": 1, "time": None,
}  # fmt: skip
"""What is given for a parameter that must be there, while another is tried."""
BRIEFLY: dict[str, dict[str, Any]] = {
    "wait_for": {"after": -1, "timeout": 0.01},
    "run_until": {"condition": "tick > 1_000_000_000", "timeout": 0.01},
    "step": {"timeout": 0.01},
    "inject_fault": {"kind": "stall", "seconds": 0},
}
"""Further arguments, so that nothing is waited for."""
LEFT_OUT = {
    "close", "stop", "reconnect", "refresh", "stop_recording", "publish",  # take nothing, or anything
    "submit", "withdraw", "specs",  # what the server calls, not a person
    "record", "save",  # their path has a test of its own
    "dask",  # needs an extra that the tests do not install
}  # fmt: skip
OPTIONS = {
    "malformed": ("kinds", "count"),
    "disconnect": ("which", "clean", "code"),
    "stall": ("seconds",),
    "restart": (),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("runs")
    with dc.start_local_server(characters=3, paused=True, seed=1) as server, dc.connect(server) as session:
        session.step(3)
        session.save(folder / "one")
        with dc.open_recording(folder / "one") as recording, dc.SimulationProbe(port=0) as probe:
            runs = dc.open_runs(folder)
            yield {"Session": session, "Recording": recording, "Runs": runs, "LocalServer": server, "Probe": probe,
                   "folder": folder, "plot": session.plot, "panel": session.panel}  # fmt: skip


def methods(kind: type) -> list[str]:
    found = [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]
    return [name for name in found if name not in LEFT_OUT]


def complaints(call: Callable[..., Any], parameter: str, base: dict[str, Any], *, any_name: bool = False) -> list[str]:
    """Try every wrong value for a parameter; list what is not as it should be."""
    found, kind = [], NAMES.get(parameter, "")
    kind = "" if any_name and kind == "names" else kind
    for shown, value in WRONG.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning of an unknown name is an answer, too
            try:
                made = call(**{**base, parameter: value})
            except ALLOWED as error:
                said = str(error)
                internal = INTERNAL.search(said) and not isinstance(error, OSError)  # which repeats a path
                if internal or (len(said) > 700 and not isinstance(error, OSError)) or not said or said.count("\n") > 4:
                    found.append(f"{shown}: {type(error).__name__}: {said}")
            except Exception as error:  # noqa: BLE001 — that is what is looked for
                found.append(f"{shown}: {type(error).__name__}: {error}")
            else:
                if shown in REFUSED.get(kind, ()):
                    found.append(f"{shown} is accepted: {made!r:.80}")
                if isinstance(made, dc.Session | dc.Recording | dc.SimulationProbe | CharacterPage):
                    made.close()
                elif isinstance(made, dc.LocalServer | dc.Replay):
                    made.stop()
    return found


def tried(call: Callable[..., Any], base: dict[str, Any]) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Give each parameter of a function with what else it needs."""
    given = inspect.signature(call).parameters.values()
    flexible = [one for one in given if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    positional = [one.name for one in flexible if one.kind is one.POSITIONAL_ONLY]
    needed = {
        one.name: GIVEN.get(one.name, "x") for one in flexible if one.default is one.empty and one.name not in base
    }

    def named(**arguments: Any) -> Any:
        return call(*[arguments.pop(name) for name in positional if name in arguments], **arguments)

    for one in flexible:
        yield one.name, named if positional else call, {**needed, **base}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *[("Session", name) for name in methods(dc.Session)],
        *[("Recording", name) for name in methods(dc.Recording)],
        *[("Runs", name) for name in methods(dc.Runs)],
        *[("LocalServer", name) for name in methods(dc.LocalServer)],
        *[("plot", name) for name in methods(Plots)],
        ("panel", "character"),
        *[("Probe", name) for name in ("command", "inspector", "attributes", "asker", "guard", "llm_function", "carry",
                                       "when_running", "loop_exceptions", "barrier")],
    ],
)  # fmt: skip
def test_a_method_says_what_is_wrong_with_an_argument(
    run: dict[str, Any], kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a text is a path
    call = getattr(run[kind], name)
    for parameter, function, base in tried(call, BRIEFLY.get(name, {})):
        if name == "run_until":
            if parameter == "timeout":
                continue  # as long as it takes is what None means
            base = {one: value for one, value in base.items() if one != "condition" or parameter != "tick"}
        any_name = kind == "Probe"  # which takes whatever a simulation calls its characters
        assert complaints(function, parameter, base, any_name=any_name) == [], f"{kind}.{name}({parameter}=…)"


@pytest.mark.parametrize(("kind", "options"), OPTIONS.items())
def test_a_fault_says_what_is_wrong_with_an_option(run: dict[str, Any], kind: str, options: tuple[str, ...]) -> None:
    fault = partial(run["LocalServer"].inject_fault, kind)
    for option in options:
        wrong = {"kinds": "names", "which": "row", "clean": "flag", "count": "row", "code": "row", "seconds": "seconds"}
        for shown in REFUSED[wrong[option]]:
            with pytest.raises((ValueError, TypeError), match=rf"{option}|no malformed frame"):
                fault(**{option: WRONG[shown]})
    with pytest.raises(TypeError, match=rf"the fault '{kind}' has no option 'sekonds'"):
        fault(sekonds=1)


OPENED: dict[Callable[..., Any], tuple[str, ...]] = {
    dc.connect: ("target", "token", "history", "retention", "types", "characters", "name", "ssl", "timeout"),
    dc.open_recording: ("path", "memory_rows", "progress"),
    dc.open_runs: ("folder", "filesystem", "verify"),
    dc.compare: ("a", "b", "align", "ignore_interventions", "repeats", "ignore", "progress"),
    dc.start_replay: ("path", "port", "speed", "host", "paused", "token", "longest_silence_s", "name"),
    dc.start_local_server: ("port", "host", "characters", "tick_s", "seed", "paused", "token", "tls", "name"),
    dc.SimulationProbe: ("host", "port", "token", "tokens", "ssl", "tick_s", "paused", "run_id", "compression",
                         "metrics_port", "name", "history"),
}  # fmt: skip
HUGE = {"characters", "port", "metrics_port"}
"""Parameters for which a large number would be carried out."""


@pytest.mark.parametrize(
    ("function", "parameter"), [(function, parameter) for function, names in OPENED.items() for parameter in names]
)
def test_what_opens_something_says_what_is_wrong_with_an_argument(
    run: dict[str, Any], tmp_path: Path, function: Callable[..., Any], parameter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a text is a path
    recording = run["Recording"]
    base: dict[Callable[..., Any], dict[str, Any]] = {
        dc.connect: {"target": run["LocalServer"], "timeout": 10, "history": 3},
        dc.open_recording: {"path": run["folder"] / "one"},
        dc.open_runs: {"folder": run["folder"]},
        dc.compare: {"a": recording, "b": recording},
        dc.start_replay: {"path": run["folder"] / "one", "paused": True},
        dc.start_local_server: {"characters": 2, "paused": True},
        dc.SimulationProbe: {"port": 0},
    }
    if parameter in HUGE:
        function = partial(_small, function, parameter)
    given = next((value for key, value in base.items() if key is getattr(function, "args", (function,))[0]), None)
    assert given is not None
    assert complaints(function, parameter, given) == []


def _small(function: Callable[..., Any], parameter: str, **arguments: Any) -> Any:
    value = arguments[parameter]
    small = not isinstance(value, int) or isinstance(value, bool) or value < 1
    return function(**arguments) if small else None


@pytest.mark.parametrize("name", ["record", "save"])
def test_a_path_that_is_none_is_refused(run: dict[str, Any], name: str) -> None:
    for shown in REFUSED["path"]:
        with pytest.raises((TypeError, ValueError), match=r"^path must be a path"):
            getattr(run["Session"], name)(WRONG[shown])
    with pytest.raises(TypeError, match=r"^record must be a path, not 3"):
        dc.connect(run["LocalServer"], record=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), [1, {"x": float("inf")}], np.float32("nan"), np.array([[1.0, np.nan]]),
                                   pd.Series([1.0, np.nan])])  # fmt: skip
def test_a_number_that_json_lacks_is_refused_instead_of_becoming_null(run: dict[str, Any], value: Any) -> None:
    session = run["Session"]
    for call in (
        partial(session.set_attribute, "emma", "money", value),
        partial(session.command, "set_attribute", character_id="emma", name="money", value=value),
    ):
        with pytest.raises(ValueError, match=r"^the argument 'value' holds (nan|inf), which cannot be sent; pass None"):
            call()
    with pytest.raises(ValueError, match=r"^the argument 'data' holds"):
        session.inject_event("x", value)


def test_what_a_breakpoint_was_refused_does_not_spoil_the_next_one(run: dict[str, Any]) -> None:
    session = run["Session"]
    with pytest.raises(ValueError, match=re.escape("log must be a text that is not empty, not 3")):
        session.break_when("money > 3", log=3)
    point = session.break_when("money > 1_000_000", once=np.True_, name="rich")
    assert point.verified
    point.remove()


def test_what_a_watch_was_refused_does_not_spoil_the_next_one(run: dict[str, Any]) -> None:
    session = run["Session"]
    watch = session.watch(np.str_("tick * 2"), np.str_("double"))
    with pytest.raises(ValueError, match="name must be a text that is not empty"):
        session.watch("tick", 3)
    with pytest.raises(ValueError, match="surrogates not allowed"):
        session.watch("tick", "\ud800")
    other = session.watch("tick", "once more")
    assert watch.problem is None and other.problem is None
    assert session.break_when(np.str_("money > 1_000_000"), name=np.str_("of numpy")).verified
    for handle in (watch, other):
        handle.remove()


def test_a_text_that_cannot_be_sent_does_not_cost_the_connection(run: dict[str, Any]) -> None:
    session = run["Session"]
    before = session.metrics()["reconnects"]
    with pytest.raises(ValueError, match="a message must be text that can be encoded as UTF-8: surrogates not allowed"):
        session.send("\ud800")
    session.send("sound")
    assert session.wait_for("error", where="code == 1001", after=-1)["code"] == 1001
    assert session.metrics()["reconnects"] == before


@pytest.mark.parametrize("ask", ["payload", "why", "effects"])
def test_a_row_that_is_not_held_is_named_with_those_that_are(run: dict[str, Any], ask: str) -> None:
    for kind in ("Session", "Recording"):
        with pytest.raises(KeyError, match=r"row 1,000,000,000 is not held; (rows [\d,]+ to [\d,]+|none) are"):
            getattr(run[kind], ask)(10**9)


def test_names_that_nobody_has_are_said(run: dict[str, Any]) -> None:
    session, server = run["Session"], run["LocalServer"]
    with pytest.warns(UserWarning, match="no character 'ema' was seen so far; did you mean 'emma'"):
        session.panel.character("ema").close()
    with pytest.warns(UserWarning, match="nobody said or thought 'flod' so far"):
        session.spread("flod")
    with pytest.warns(UserWarning, match="the town has no character 'ema'; did you mean 'emma'"):
        server.inject_state_change("ema", "MOVE")
    with pytest.raises(TypeError, match="a callback takes an event as its one argument"):
        session.on("error", lambda: None)


def test_numbers_of_numpy_that_python_lacks_are_sent_as_they_are_near(run: dict[str, Any]) -> None:
    session = run["Session"]
    row = session.inject_event("wide", np.longdouble(2.5))
    assert session.payload(row)["data"] == 2.5
    with pytest.raises(ValueError, match="holds nan"):
        session.inject_event("wide", np.longdouble("nan"))


def test_a_replays_own_words_say_what_is_wrong(run: dict[str, Any]) -> None:
    with dc.start_replay(run["folder"] / "one", paused=True) as replay:
        with pytest.raises(ValueError, match=r"^factor must be a number above 0, not 'fast'"):
            replay.set_speed("fast")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^character_id must be a text or a number"):
            replay.inspect(["emma"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^start must be a whole number of at least 0, not -1"):
        run["Recording"].messages(-1)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda session: session.set_speed(0), "^factor must be a number above 0, not 0; pause"),
        (lambda session: session.set_speed("fast"), "^factor must be a number above 0, not 'fast'"),
        (lambda session: session.ask("emma", 3), "^question must be a text"),
        (lambda session: session.inject_event("x", object()), "^the argument 'data' cannot be written as JSON"),
        (
            lambda session: session.set_attribute("emma", "x", {1j}),
            "^the argument 'value' cannot be written as JSON",
        ),
        (lambda session: session.break_when("tick > 3", name="x" * 201), "^name has 201 characters, and at most 200"),
        (lambda session: session.break_when("tick > 3", log="x" * 1_001), "^log has 1,001 characters"),
        (lambda session: session.watch("money", name="x" * 5_000), "^name has 5,000 characters"),
    ],
)
def test_what_is_wrong_in_any_simulation_is_a_value_error(
    run: dict[str, Any], wrong: Callable[[dc.Session], object], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        wrong(run["Session"])
