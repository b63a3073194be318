"""A user's trial by clicks alone: what a recorded run with planted faults tells somebody who never saw it.

    python -m tests.end_to_end.trial

Each answer is checked against the recording; what is printed is how many clicks and seconds it took.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from degentcivil_nb.recordings.arrow_messages import RecordedMessage
from tests.end_to_end.lab import HOW, Notebook, find_chromium, open_notebook, running_browser, running_jupyter
from tests.support.planted_runs import PlantedTown
from tests.support.recording_helpers import written

CELL = """
import degentcivil_nb as dc
recording = dc.open_recording({folder!r})
recording.dashboard()
"""
TRUTH = """
import json
calls, errors = recording.llm_calls(), recording.errors()
bad = calls[calls["malformed"].eq(True)]
mine = calls[calls["character_id"].eq({victim!r})].iloc[-1]
town = recording.characters(row=int(errors.index[0]))
print(json.dumps(dict(
    asked=mine["prompt"], answered=mine["response"], first=int(errors["tick"].iloc[0]),
    town=[[who, str(town.at[who, "state"]), str(town.at[who, "location"])] for who in town.index],
    malformed=len(bad), cost=float(bad["cost_usd"].sum()),
    whose={{str(who): int(count) for who, count in bad["character_id"].value_counts().items() if count}})))
"""
WAIT_MS = 30_000


@dataclass
class Hand:
    """Count the clicks of a person who looks for something."""

    page: Page
    clicks: int = 0
    began: float = 0.0

    def click(self, place: Locator) -> None:
        place.first.wait_for(timeout=WAIT_MS)
        place.first.click()
        self.clicks += 1

    def tab(self, name: str) -> None:
        self.click(self.page.get_by_role("tab", name=name, exact=True))


def planted(folder: Path, seed: int) -> PlantedTown:
    """Record a town where one character is stuck, some answers are malformed, and errors come now and then."""
    town = PlantedTown(seed, fault="stuck")
    town.malformed, town.error_rate = 0.12, 0.02
    written(folder, [RecordedMessage(part, town.now, "e") for part in town.parts()], close=True)
    return town


def who_is_stuck(hand: Hand, truth: dict[str, Any]) -> None:
    hand.click(hand.page.locator("button.dc-findings"))
    row = hand.page.locator(".dc-grid:visible .dc-body .dc-row:not([hidden])").filter(has_text="stuck")
    expect(row.filter(has_text=truth["victim"]).first).to_be_visible(timeout=WAIT_MS)


def what_was_asked(hand: Hand, truth: dict[str, Any]) -> None:
    hand.click(hand.page.locator(".dc-grid:visible .dc-body .dc-row:not([hidden])").filter(has_text="stuck"))
    live = hand.page.locator(".dc-live:visible")
    live.first.wait_for(timeout=WAIT_MS)
    hand.click(live)
    expect(live).to_have_count(0, timeout=WAIT_MS)
    calls = hand.page.locator(".dc-person section", has_text="last calls")
    hand.click(calls.locator(".dc-eventline"))
    read = calls.locator(".dc-message pre")
    expect(read.first).to_have_text(truth["asked"], timeout=WAIT_MS)
    assert truth["answered"].replace(" ", "") in "".join(read.all_inner_texts()).replace(" ", "").replace("\n", "")


def first_error(hand: Hand, truth: dict[str, Any]) -> None:
    hand.click(hand.page.locator("button.dc-first"))
    hand.tab("town")
    expect(hand.page.locator(".dc-where")).to_contain_text(f"as of tick {truth['first']:,}", timeout=WAIT_MS)
    for who, state, place in truth["town"][:10]:
        row = hand.page.locator(".dc-grid:visible .dc-body .dc-row:not([hidden])")
        mine = row.filter(has=hand.page.get_by_text(who, exact=True))
        expect(mine.first).to_contain_text(state, timeout=WAIT_MS)
        expect(mine.first).to_contain_text(place)


def malformed_calls(hand: Hand, truth: dict[str, Any]) -> None:
    hand.click(hand.page.locator(".dc-live:visible"))
    hand.tab("LLM calls")
    line = hand.page.locator(".dc-malformed:visible")
    expect(line).to_contain_text(f"malformed: {truth['malformed']} calls", timeout=WAIT_MS)
    cost = float(line.locator("strong").inner_text().split(", ")[1].split()[0])
    assert abs(cost - truth["cost"]) < 0.01 * truth["cost"] + 1e-4, (cost, truth["cost"])
    for who, count in list(truth["whose"].items())[:5]:
        expect(line).to_contain_text(f"{who} {count}")
    hand.click(line.get_by_role("button", name="show them"))
    expect(hand.page.locator(".dc-count:visible").first).to_contain_text(f"{truth['malformed']} rows", timeout=WAIT_MS)


QUESTIONS: dict[str, Callable[[Hand, dict[str, Any]], None]] = {
    "who is stuck": who_is_stuck,
    "what did she ask the model last, and what did it answer": what_was_asked,
    "what did the town look like when the first error came": first_error,
    "which calls were malformed, whose, and what did they cost": malformed_calls,
}


def answer(book: Notebook, victim: str) -> list[tuple[str, int, float]]:
    """Answer all questions in the dashboard of the first cell, and return clicks and seconds of each."""
    book.run(0)
    book.page.locator("button.dc-findings .dc-value", has_text=re.compile("[1-9]")).wait_for(timeout=WAIT_MS)
    book.run(1)
    truth = {**json.loads(book.text(1)), "victim": victim}
    told = []
    for question, look in QUESTIONS.items():
        hand, began = Hand(book.page), time.monotonic()
        look(hand, truth)
        told.append((question, hand.clicks, time.monotonic() - began))
        book.picture(f"trial_{len(told)}")
    return told


def main(seed: int) -> int:
    """Run the trial and print its table."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(HOW)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        root, folder = Path(home) / "notebooks", Path(home) / "recorded"
        root.mkdir()
        town = planted(folder, seed)
        cells = CELL.format(folder=str(folder)), TRUTH.format(victim=town.victim)
        with running_jupyter(Path(home), root) as jupyter, running_browser(chromium) as browser:
            book = open_notebook(jupyter, browser, *cells, width=1800)
            try:
                for question, clicks, seconds in answer(book, town.victim):
                    print(f"{clicks} clicks, {seconds:4.1f} s: {question}")
                print(f"page errors: {book.problems}")
                return int(book.problems != [])
            finally:
                book.close()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
