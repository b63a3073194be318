"""The case file: one page of a moment, which needs no network, holds what it says, and is inert."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import degentcivil_nb as dc
from degentcivil_nb import __version__
from degentcivil_nb.cli import app as cli
from degentcivil_nb.core.progress import Progress, following_cell
from degentcivil_nb.pages import case_file, sections
from degentcivil_nb.pages.lanes import lanes
from tests.support.run_helpers import HOSTILE, told, write_recording

BAD = "</title></script><script>window.pwned=1</script><img src=x onerror=window.pwned=1> {}${}; url(//e.x) " + HOSTILE


class Reading(HTMLParser):
    """A page taken apart: its tags with their attributes, and the texts of its cells and captions."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def told_by_everybody(word: str) -> list[Any]:
    """Say a word wherever a simulation can say one."""
    data: dict[str, Any] = {"character_id": word, "new_state": word, "location": word}
    call = {"character_id": word, "prompt_type": word, "model": word, "prompt": word, "response": word, "error": word}
    return [
        told("state_change", data, timestamp=1.0, seq=1, tick=1),
        told("character_update", {"character_id": word, word: word, "mood": word}, timestamp=2.0, seq=2, tick=1),
        told("llm_call", call, timestamp=3.0, seq=3, tick=2),
        told(
            "chat_message", {"character_id": word, "receivers": [word], "content": word}, timestamp=4.0, seq=4, tick=2
        ),
        told("error", {"code": 1004, "message": word, "character_id": word}, timestamp=5.0, seq=5, tick=3),
        told("event_notification", {"event_type": word, "data": {word: word}}, timestamp=6.0, seq=6, tick=3),
        told("state_change", {**data, "new_state": "IDLE"}, timestamp=7.0, seq=7, tick=4),
    ]


@pytest.fixture(scope="module")
def session() -> Iterator[dc.Session]:
    with (
        dc.start_local_server(characters=6, seed=1, tick_s=0.01, paused=True) as server,
        dc.connect(server, name="case") as session,
    ):
        session.step(60)
        server.inject_error(1004, "the planner failed", character_id="emma")
        session.wait_for("error", after=0)
        session.break_when("new_state == 'MOVE'", name="moves")
        yield session


def test_a_case_file_says_which_run_moment_and_version_it_is(session: dc.Session, tmp_path: Path) -> None:
    page = Reading(session.to_html(tmp_path / "case.html", tick=20).read_text(encoding="utf-8"))
    for word in ("tick 20", "UTC", session.url, "case", __version__):
        assert word in page.text, word


def test_it_holds_the_town_as_it_was(session: dc.Session, tmp_path: Path) -> None:
    text = session.to_html(tmp_path / "case.html", tick=20).read_text(encoding="utf-8")
    then = session.characters(tick=20)
    listed = text[text.index("<h2>Town<") : text.index("<h2>Timeline<")]
    for who, state, where in zip(then.index, then["state"], then["location"], strict=True):
        assert f"{who}: {state} in {where}" in listed  # the map's tooltip
        assert re.search(rf"<td>{who}</td><td><svg.*?</svg> {state}</td><td>{where}</td>", listed)


def test_it_holds_what_was_around_the_moment(session: dc.Session, tmp_path: Path) -> None:
    error = session.errors().index[0]
    page = Reading(session.to_html(tmp_path / "case.html", rows=[error]).read_text(encoding="utf-8"))
    titles = ("The whole run", "Town", "Timeline", "Events", "LLM calls", "Errors", "Findings", "Gaps", "Breakpoints")
    for title in (f"Row {error:,}", *titles):
        assert title in page.texts, title
    assert str(session.errors().loc[error, "message"]) in page.text
    assert "What led to it (why)" in page.text and "moves" in page.text
    total = len(session)
    assert f"of {total:,} events, around this moment" in page.text


@pytest.mark.parametrize("form", [str, Path])
def test_a_recording_writes_the_same_page(session: dc.Session, tmp_path: Path, form: Any) -> None:
    session.save(tmp_path / "run")
    with dc.open_recording(tmp_path / "run") as recording:
        page = recording.to_html(form(tmp_path / "case.html"), tick=20).read_text(encoding="utf-8")
    live = session.to_html(tmp_path / "live.html", tick=20).read_text(encoding="utf-8")
    start, end = "<h2>Town</h2>", "<h2>Findings</h2>"
    assert page[page.index(start) : page.index(end)] == live[live.index(start) : live.index(end)]
    assert "Recording run" in page


def test_the_moment_is_that_of_the_panels_or_the_one_given(session: dc.Session, tmp_path: Path) -> None:
    def moment(**asked: Any) -> str:
        page = session.to_html(tmp_path / "case.html", **asked).read_text(encoding="utf-8")
        return page.partition("</h1><p>")[2].partition("</p>")[0]

    assert "the newest event held" in moment()
    at = session.at(tick=10)
    try:
        assert at is not None
        assert moment() == moment(tick=10) == moment(at=at) == moment(rows=at["row"])
        assert moment(at=session.events(last=1)["time"].iloc[0]).startswith("tick 60")
    finally:
        session.back_to_live()


def test_what_is_not_held_or_no_page_is_refused(session: dc.Session, tmp_path: Path) -> None:
    for asked in ({"tick": 10_000}, {"at": "1999-01-01"}, {"rows": 10**9}, {"at": 10, "tick": 3}):
        with pytest.raises(ValueError, match=r"is|takes"):
            session.to_html(tmp_path / "case.html", **asked)
    with pytest.raises(ValueError, match=r"call it case\.html"):
        session.to_html(tmp_path / "case.txt")
    assert list(tmp_path.iterdir()) == []


def test_no_word_from_the_wire_becomes_markup(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "bad", told_by_everybody(BAD))
    with dc.open_recording(path) as recording:
        html = recording.to_html(tmp_path / "case.html", rows=range(7)).read_text(encoding="utf-8")
    page = Reading(html)
    allowed = {
        *("html", "head", "meta", "title", "style", "body", "header", "main", "nav", "section", "h1", "h2", "p", "a"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td", "div", "details", "summary", "pre"),
        *("figure", "figcaption", "svg", "rect", "circle", "line", "text"),
    }
    assert {tag for tag, _ in page.tags} <= allowed
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith(("on", "style", "src"))]
    assert {attributes["href"][:1] for tag, attributes in page.tags if tag == "a" and attributes["href"]} == {"#"}
    assert not re.search("[\x00-\x08\x1b\u202e\ud800-\udfff]", html)
    assert "<script>window.pwned=1" in page.text and "\\u202e" in page.text  # shown as what it is


def test_it_fetches_and_runs_nothing(session: dc.Session, tmp_path: Path) -> None:
    html = session.to_html(tmp_path / "case.html").read_text(encoding="utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy and "script" not in policy
    assert set(re.findall(r"https?://[^\"' ]+", html)) == {"http://www.w3.org/2000/svg"}  # a name, no address


def test_it_stays_small_whatever_the_simulation_tells(tmp_path: Path) -> None:
    """The worst of 500 characters: long texts that grow when they are escaped, in every place."""
    long = "<&\u202e" * 100
    words = {f"attribute {number}": long for number in range(20)}
    messages = [
        told("character_update", {"character_id": f"c{n}", "x": n, "y": n % 7, **words}, timestamp=n + 1.0, seq=n + 1)
        for n in range(500)
    ]
    call = {"character_id": "c1", "prompt": long * 120, "response": long * 120}
    messages += [told("llm_call", call, timestamp=600.0 + n, seq=501 + n) for n in range(30)]
    with dc.open_recording(write_recording(tmp_path / "large", messages)) as recording:
        page = recording.to_html(tmp_path / "case.html")
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 3_000_000
    assert "500 characters" in text and "14 of 22 attributes are shown" in text
    assert "8,000 of 36,000 characters are shown" in text or "left out, since the page would be too large" in text


class CountedName(str):
    """A name that counts how often it is hashed."""

    hashed = 0

    def __hash__(self) -> int:
        CountedName.hashed += 1
        return super().__hash__()


def test_the_lanes_of_many_stays_are_drawn_in_time_that_grows_with_their_number() -> None:
    many = 2_000
    times = pd.date_range("2026-01-01", periods=many + 1, freq="s")
    stays = pd.DataFrame(
        {
            "character_id": pd.Series([CountedName(f"c{number % 50}") for number in range(many)], dtype=object),
            "state": "idle", "location": "home", "start": times[:-1], "end": times[1:],
        }
    )  # fmt: skip
    CountedName.hashed = 0
    nothing = pd.DataFrame({"time": pd.to_datetime([])})

    picture = lanes(stays, times[0].value, times[-1].value, None, gaps=nothing, errors=nothing, most=50)

    assert picture is not None
    assert picture.alt.startswith("50 of 50 characters")
    assert CountedName.hashed < 10 * many


def test_errors_are_the_same_however_many_are_looked_at_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay = {"character_id": "emma", "new_state": "WORK"}
    failures = [
        told("error", {"code": 2001, "message": f"attempt {seq}", "character_id": "emma"}, timestamp=1.0 + seq, seq=seq)
        for seq in range(2, 9)
    ]
    path = write_recording(tmp_path / "run", [told("state_change", stay, timestamp=1.0, seq=1), *failures])
    with dc.open_recording(path) as recording:
        together = recording.to_html(tmp_path / "together.html", rows=5).read_text(encoding="utf-8")
        monkeypatch.setattr(sections, "PIECE", 2)
        apart = recording.to_html(tmp_path / "apart.html", rows=5).read_text(encoding="utf-8")

    assert svgs(apart) == svgs(together)
    assert sum("attempt" in drawing for drawing in svgs(apart)) == 1


def test_the_calls_of_a_case_file_say_which_answers_are_malformed(tmp_path: Path) -> None:
    calls = [
        told(
            "llm_call",
            {"character_id": "emma", "prompt_type": "PLAN", "prompt": "?", "response": answer},
            timestamp=1.0 + seq,
            seq=seq,
        )
        for seq, answer in enumerate([*['{"go": "home"}'] * 40, "I would rather not"], start=1)
    ]
    with dc.open_recording(write_recording(tmp_path / "run", calls)) as recording:
        page = recording.to_html(tmp_path / "case.html").read_text(encoding="utf-8")
    assert page.count(">malformed</td>") == 1
    assert ">nan<" not in page


def test_errors_have_the_names_that_the_simulation_gives_their_codes(tmp_path: Path) -> None:
    failures = [
        told("error", {"code": 2003, "code_name": "NO_MONEY", "message": "poor"}, timestamp=1.0, seq=1),
        told("error", {"code": 1001, "message": "unreadable"}, timestamp=2.0, seq=2),
    ]
    with dc.open_recording(write_recording(tmp_path / "run", failures)) as recording:
        page = recording.to_html(tmp_path / "case.html").read_text(encoding="utf-8")
        assert {"2003 NO_MONEY", "1001 INVALID_MESSAGE"} == {trace.name for trace in recording.plot.errors().data}
    assert ">NO_MONEY<" in page
    assert ">INVALID_MESSAGE<" in page


def svgs(page: str) -> list[str]:
    """Return the drawings of a page."""
    return re.findall(r"<svg.*?</svg>", page, re.DOTALL)


def test_the_progress_of_a_page_of_a_long_run_is_shown_from_the_start(
    session: dc.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience: list[float | None] = []

    def follow(what: str, *, patience_s: float | None) -> AbstractContextManager[Progress]:
        patience.append(patience_s)
        return following_cell(what, patience_s=patience_s)

    monkeypatch.setattr(case_file, "following_cell", follow)

    session.to_html(tmp_path / "short.html")
    monkeypatch.setattr(case_file, "LONG", 1)
    session.to_html(tmp_path / "long.html")

    assert patience == [None, 0]


def test_an_empty_run_has_a_page_too(tmp_path: Path) -> None:
    with dc.SimulationProbe(port=0) as probe, dc.connect(probe) as session:
        text = session.to_html(tmp_path / "empty.html").read_text(encoding="utf-8")
    assert "no event yet" in text and "No character is known at this moment." in text


def test_the_shell_writes_one_and_never_over_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(write_recording(tmp_path / "run", told_by_everybody("emma")))
    page = tmp_path / "page.html"
    assert cli.main(["case", run, str(page), "--tick", "2", "--row", "1"]) == cli.OK
    assert "tick 2" in page.read_text(encoding="utf-8")
    assert cli.main(["case", run, str(page)]) == cli.FAILED
    assert cli.main(["case", run, str(tmp_path / "page.pdf")]) == cli.USAGE
    assert cli.main(["case", run, str(tmp_path / "other.html"), "--tick", "99"]) == cli.USAGE
    assert cli.main(["case", run]) == cli.OK
    assert (tmp_path / "run.html").exists()
    assert "tick 99 has not come" in capsys.readouterr().err
