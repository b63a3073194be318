"""The words of `%dc`, in a real IPython shell and beside a real town."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import degentcivil_nb as dc
from degentcivil_nb.analysis.findings.finding import Finding, finding_table
from degentcivil_nb.notebook.completion import candidates
from degentcivil_nb.notebook.desk import WORDS, Desk
from degentcivil_nb.notebook.extension import (
    load_ipython_extension,
    matcher,
    protect_questions,
    unload_ipython_extension,
)
from degentcivil_nb.session.session import Session
from degentcivil_nb.simulation import SimulationProbe


@pytest.fixture(autouse=True)
def no_session_of_another_test() -> None:
    """Close what other tests in this process left open: words without a session mean the newest one."""
    for session in Desk({}).sessions():
        session.close()


@pytest.fixture
def server() -> Iterator[dc.LocalServer]:
    with dc.start_local_server(characters=4, seed=1, tick_s=0.005, paused=True) as server:
        yield server


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def desk(server: dc.LocalServer, said: list[str]) -> Iterator[Desk]:
    desk = Desk({"town": server}, said.append)
    with desk.run("connect town"):
        yield desk


@pytest.fixture
def shell() -> Iterator[Any]:
    shell = InteractiveShell.instance()
    load_ipython_extension(shell)
    yield shell
    unload_ipython_extension(shell)
    InteractiveShell.clear_instance()


def test_words_steer_a_run_as_the_methods_do(desk: Desk, server: dc.LocalServer) -> None:
    session = desk.variables["session"]
    assert isinstance(session, Session)
    assert (session.url, session.name) == (server.url, "%dc")
    assert (desk.run("step 10"), server.town.tick) == ("paused", 10)
    assert desk.run("inspect emma") == session.inspect("emma")
    row = desk.run('inject trade {"price":3} character_id=emma')
    assert session.events(payload=True).loc[row, ["event_type", "character_id", "data"]].tolist() == [
        "trade",
        "emma",
        {"price": 3},
    ]
    row = desk.run("set emma money 5")
    assert session.payload(row) == {"character_id": "emma", "money": 5}
    assert desk.run("give_money emma amount=2")["money"] == 7  # the town's own command
    assert desk.run("command give_money emma 1")["money"] == 8
    assert desk.run("speed 2").speed == 2
    assert desk.run("until tick 20").tick == 20
    assert desk.run("until type == 'state_change'").reason == "breakpoint"
    assert desk.run("resume") == "running"
    assert desk.run("pause") == "paused"
    assert desk.run("") is session
    assert desk.run("status") is session


def test_breakpoints_are_set_listed_met_and_cleared(desk: Desk, said: list[str]) -> None:
    session = desk.session
    point = desk.run("break new_state == 'BARGAIN' hits=2 name=deal")
    assert (point.name, point.condition) == ("deal", "new_state == 'BARGAIN'")
    desk.run("break contains(location, 'a name=b') or money>3 once=true")
    assert desk.run("breaks")[["name", "condition", "stops_at", "once"]].values.tolist() == [
        ["deal", "new_state == 'BARGAIN'", 2, False],
        ["b1", "contains(location, 'a name=b') or money>3", 1, True],
    ]
    desk.run("clear b1")
    desk.run("resume")
    assert session._store.wait(lambda: session._store.run_state == "paused", 20)
    assert desk.run("stopped").breakpoint == "deal"
    assert len(desk.run("stops")) == 1
    assert len(desk.run("matches new_state == 'BARGAIN'")) == 2
    desk.run("clear")
    assert desk.run("breaks").empty
    desk.run("resume")
    assert desk.run("stopped") is None
    assert said == ["The run goes on."]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("stpe 3", "there is no word 'stpe'; did you mean 'step'?"),
        ("give_mony emma 3", "there is no word 'give_mony'; did you mean 'give_money'?"),
        ("step ten", "`ticks` must be a whole number, not 'ten'"),
        ("step 1 2", "'step' takes step ticks=…; '2' is too much."),
        ("inspect", "inspect needs character_id, as in: %dc inspect character_id"),
        ("inspect emme", "there is no character 'emme'; did you mean 'emma'?"),
        ("break", "break needs condition, as in: %dc break condition … [hits=…] [log=…] [once=…] [name=…]"),
        ("break money >", "this is not a condition: invalid syntax\n  money >\n  ^"),
        ("clear nothing", "this session has no breakpoint or watch 'nothing'; `%dc breaks` lists them"),
        ("use nobody", "there is no open session 'nobody'; there are: %dc"),
        ("connect ws://127.0.0.1:9", "nothing listens at ws://127.0.0.1:9"),
        ("inject trade {price: 3}", "This is not JSON: {price: 3}"),
        ("help stpe", "there is no word 'stpe'; did you mean 'step'?"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    desk: Desk, shell: Any, capsys: pytest.CaptureFixture[str], line: str, sentence: str
) -> None:
    result = shell.run_cell(f"%dc {line}")
    assert isinstance(result.error_in_exec, UsageError)
    assert str(result.error_in_exec).startswith(sentence)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err


def test_without_a_session_it_says_how_to_open_one() -> None:
    with pytest.raises(ValueError, match="%dc connect URL"):
        Desk({}).run("pause")


def test_a_fault_of_the_package_is_no_mistake_of_the_user(
    desk: Desk, shell: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def faulty(self: object) -> object:
        held: dict[str, object] = {}
        return held["nothing"]

    monkeypatch.setattr(Session, "stops", faulty)
    assert isinstance(shell.run_cell("%dc stops").error_in_exec, KeyError)
    assert "Traceback" in capsys.readouterr().out


def test_findings_are_said_in_whole_sentences(desk: Desk, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{'emma has been in MOVE far longer than others ' * 3}\n<b>"
    found = finding_table([Finding("stuck", "warning", text, (1,), 10**18, since_tick=1_234, character_id="emma")])
    monkeypatch.setattr(Session, "findings", lambda self, kind, since: found[found["kind"] == kind])
    desk.run("findings stuck")
    assert text.partition("\n")[0] in said[-1] and "since tick 1,234" in said[-1] and "\n" not in said[-1]
    desk.run("findings loop")
    assert said[-1] == "nothing found"


def test_a_chosen_session_is_meant_then_the_variable_then_the_newest(server: dc.LocalServer) -> None:
    desk = Desk({"session": "something else"})
    with dc.connect(server, name="first") as first, dc.connect(server, name="second") as second:
        assert desk.session is second
        desk.variables["session"] = first
        assert desk.session is first
        assert desk.run("use second") is second
        assert desk.session is second
        second.close()
        assert desk.session is first
        first.close()
        with pytest.raises(ValueError, match="no session"):
            desk.run("pause")


def test_help_lists_all_words_and_the_towns_own_commands(desk: Desk, said: list[str]) -> None:
    desk.run("help")
    desk.run("help break")
    desk.run("help give_money")
    listed, one, own = said
    assert all(f"%dc {word.name}" in listed for word in desk.words.values())
    assert "%dc give_money character_id=… amount=…" in listed
    assert "set_breakpoints" not in listed
    assert one.startswith("%dc break condition …")
    assert "Stop the run in the tick" in one
    assert own.startswith("%dc give_money")


def test_every_word_has_a_line_of_help_and_no_name_is_taken_twice() -> None:
    assert len({word.name for word in WORDS}) == len(WORDS)
    assert [word.name for word in WORDS if word.function is not None and not word.doc] == []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%dc ins", ["inspect"]),
        ("x = %dc give", ["give_money"]),
        ("%dc inspect em", ["emma"]),
        ('%dc inspect "em', ['"emma"']),
        ('%dc inject trade {"price": 3} em', ["emma"]),
        ("%dc set emma mon", ["money"]),
        ("%dc give_money no", ["noah"]),
        ("%dc break mon", ["money"]),
        ("%dc break entered('BARG", ["BARGAIN"]),
        ("%dc break stuck(3) and character_id == \"no", ["noah"]),
        ("%dc break money > 3 hi", ["hits="]),
        ("%dc until silen", ["silent("]),
        ("%dc clear ", ["deal"]),
        ("%dc connect to", ["town"]),
        ("%dc help bre", ["break", "breaks"]),
        ("%dc use ", ["%dc"]),
    ],
)  # fmt: skip
def test_tab_offers_what_may_stand_there(desk: Desk, line: str, offered: list[str]) -> None:
    desk.run("break money > 100 name=deal")
    found = candidates(desk, line)
    assert found is not None
    assert found.texts == offered
    assert line.endswith(found.piece)


def test_tab_is_silent_about_other_lines_and_shows_no_hostile_name(desk: Desk) -> None:
    assert candidates(desk, "import o") is None
    assert candidates(desk, "%dcx") is None
    with SimulationProbe(port=0) as probe:
        probe.character_update("two words", money=1)
        probe.character_update('a"b\x1b[31m', money=1)
        with dc.connect(probe) as session:
            desk.choose(session)
            found = candidates(desk, "%dc inspect ")
            assert found is not None
            assert found.texts == ['"two words"', '"a\\"b\\u001b[31m"']
            with pytest.raises(dc.CommandError):  # read back as it is
                desk.run(f"inspect {found.texts[1]}")


def test_the_extension_comes_and_goes(desk: Desk, shell: Any) -> None:
    load_ipython_extension(shell)
    assert sum(each.matcher_identifier == "dc" for each in shell.Completer.custom_matchers) == 1
    assert shell.run_cell("%dc step 1").result == "paused"
    assert shell.run_cell('row = %dc inject trade {"price":3}').success
    assert desk.session.payload(shell.user_ns["row"])["data"] == {"price": 3}
    unload_ipython_extension(shell)
    assert shell.Completer.custom_matchers == []
    assert "dc" not in shell.magics_manager.magics["line"]
    assert protect_questions not in shell.input_transformers_cleanup


def test_a_question_mark_behind_a_question_is_no_call_for_help(shell: Any) -> None:
    told = shell.transform_cell("a = %dc ask emma How are you?\n%dc?\n")
    assert told.splitlines() == [
        "a = get_ipython().run_line_magic('dc', 'ask emma How are you?')",
        "get_ipython().run_line_magic('pinfo', '%dc')",
    ]


def test_ipython_is_given_what_is_offered(desk: Desk) -> None:
    class Context:
        text_until_cursor = "%dc inspect em"

    found = matcher(desk)(Context())
    assert [each.text for each in found["completions"]] == ["emma"]
    assert (found["matched_fragment"], found["suppress"]) == ("em", True)
