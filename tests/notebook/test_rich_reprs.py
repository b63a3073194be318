"""What a notebook shows of sessions, recordings, breakpoints, stops and servers: text, and HTML without danger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.core.cards import LONGEST, card
from degentcivil_nb.session.interview import Interview
from degentcivil_nb.session.stop import Stop
from degentcivil_nb.simulation import SimulationProbe

HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202e\x1b[31m"


class Reading(HTMLParser):
    """The tags, attributes and text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.names |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def read(thing: Any) -> Reading:
    reading = Reading(thing._repr_html_())
    assert set(reading.tags) <= {"div", "span", "b", "code", "table", "tbody", "tr", "td"}
    assert reading.names <= {"style"}
    assert reading.open == []
    assert not re.search("[\u202e\x1b]", reading.text)
    return reading


@pytest.fixture
def town() -> Iterator[dc.LocalServer]:
    with dc.start_local_server(characters=3, seed=1, tick_s=0.005, paused=True) as server:
        yield server


def test_each_says_in_html_what_its_text_says(town: dc.LocalServer, tmp_path: Path) -> None:
    with dc.connect(town, record=tmp_path / "run", name=HOSTILE) as session:
        point = session.break_when("type == 'state_change'", name=HOSTILE)
        stop = session.run_until("type == 'state_change'")
        shown = read(session)
        for text in (
            session.url,
            "live",
            f"paused at tick {stop.tick}",
            "3 characters",
            "recording",
            "stopped at tick",
        ):
            assert text in shown.text
        assert "\\u202e" in shown.text
        assert "type == 'state_change'" in read(point).text
        assert f"{point.hits} hit" in read(point).text
        assert str(stop.tick) in read(stop).text
        watch = session.watch("tick", HOSTILE)
        assert repr(watch.value) in read(watch).text
        for one in (town, town.probe):
            assert town.url in read(one).text
            assert "paused" in read(one).text
        point.remove()
        assert "removed" in read(point).text
    assert "closed" in read(session).text
    recording = dc.open_recording(tmp_path / "run")
    assert "finished" in read(recording).text
    assert "run" in read(dc.open_runs(tmp_path)).text
    with dc.start_replay(tmp_path / "run", paused=True) as replay:
        assert "paused" in read(replay).text
    town.stop()
    assert "stopped" in read(town).text


def test_no_text_of_anybody_becomes_markup() -> None:
    for thing in (
        Stop("breakpoint", 3, HOSTILE, HOSTILE, HOSTILE, 1, [{"name": HOSTILE}]),
        Interview(HOSTILE, HOSTILE, HOSTILE, False, {HOSTILE: [HOSTILE, HOSTILE]}, 3),
    ):
        assert "<img src=x onerror=alert(1)>" in read(thing).text  # as text
        assert not re.search("[\u202e\x1b]", f"{thing} {thing!r}")
    with SimulationProbe(port=0, name=HOSTILE) as probe:
        read(probe)


def test_a_card_leaves_out_what_there_is_not_and_cuts_what_is_long() -> None:
    html = card("Title", None, {"none": None, "empty": "", "zero": 0, "long": "x" * 10_000})
    reading = Reading(html)
    assert ("none" in reading.text, "empty" in reading.text, "zero" in reading.text) == (False, False, True)
    assert max(map(len, reading.text.splitlines())) == LONGEST


def test_a_card_takes_its_colours_from_the_page() -> None:
    html = card("Title", "url", {"a": 1}, "good")
    assert "background:transparent" in html
    assert "color:inherit" in html
    assert not re.search(r"background:(?!transparent)", html)
