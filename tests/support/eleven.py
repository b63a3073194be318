"""The first eleven questions of a researcher, each as one call, with what is known to be the right answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

import degentcivil_nb as dc
from degentcivil_nb.analysis.reader import Reader
from tests.support.planted_day import CHANGE, HEARD, RUMOUR, STORY, PlantedDay
from tests.support.planted_runs import FAULTS

ELEVEN = range(1, 12)


class Question(NamedTuple):
    """A question, how it is asked, and whether an answer is right."""

    number: int
    call: str
    ask: Callable[[Any], Any]
    right: Callable[[Any], bool]
    prepare: Callable[[Reader], Any] | None = None
    """What a researcher has in hand already, such as the row that is asked about; it is given to `ask` instead."""


def questions(day: PlantedDay, changed: Reader | None = None) -> list[Question]:
    """List the questions about a planted day; the eighth needs the changed run of the same seed."""
    truth, victims, story = day.truth, day.victims, day.at(STORY)
    tick = min(truth.towns)

    def row_of(who: str, state: str) -> Callable[[Reader], tuple[Reader, int]]:
        where = f"tick == {story} and state == '{state}'"
        return lambda run: (run, int(run.events("state_change", character_id=who, where=where).index[-1]))

    def town(when: int) -> Callable[[pd.DataFrame], bool]:
        return lambda found: all(
            (found.loc[who, "state"], found.loc[who, "location"]) == known for who, known in truth.towns[when].items()
        )

    def of(found: pd.DataFrame, *kinds: str) -> set[str]:
        return set(found.loc[found["kind"].isin(kinds), "character_id"].dropna())

    def who_is_stuck(found: pd.DataFrame) -> bool:
        both = {victims["stuck"], victims["waiting_for_model"]}
        others = {victims["silent"], victims["ping_pong"], day.partner}  # these stand still as well
        said = of(found, "stuck"), of(found, "waiting_for_model")
        return victims["stuck"] in said[0] and both <= said[0] | said[1] <= both | others

    def what_is_malformed(found: pd.DataFrame) -> bool:
        text, tick = str(found["text"].iloc[0]), int(found["since_tick"].iloc[0])
        return day.bad_model in text and abs(tick - day.starts["malformed"]) <= 60

    def what_followed(found: dc.Comparison) -> bool:
        first, commands = found.consequence, found.interventions["tick"].tolist()
        if first is None or first.a is None or first.tick is None or commands != [day.at(CHANGE)]:
            return False
        return 2 < first.tick - commands[0] < 8 and bool(first.a["character_id"] == day.rich)

    asked = [
        Question(1, 'findings(["stuck", "waiting_for_model"])', _findings("stuck", "waiting_for_model"), who_is_stuck),
        Question(2, 'findings("loop")', _findings("loop"), lambda found: of(found, "loop") == {victims["loop"]}),
        Question(3, "characters()", lambda run: run.characters(), town(day.ticks)),
        Question(4, f"characters(tick={tick})", lambda run: run.characters(tick=tick), town(tick)),
        Question(
            5,
            "why(row), told by ids",
            lambda at: at[0].why(at[1]),
            lambda chain: tuple(chain.table()["event_id"].dropna())[:5] == truth.chain,
            row_of(day.trader, "TRADE"),
        ),
        Question(
            5,
            "why(row), without ids",
            lambda at: at[0].why(at[1]),
            lambda chain: chain.table()["text"].str.contains(HEARD).sum() >= 1,
            row_of(day.hearer, "REFLECT"),
        ),
        Question(6, 'findings("malformed")', _findings("malformed"), what_is_malformed),
        Question(
            7,
            'costs("day")',
            lambda run: run.costs("day"),
            lambda found: (
                {str(one)[:10]: round(cost, 6) for one, cost in found["cost_usd"].items()}
                == {one: round(cost, 6) for one, cost in truth.costs.items()}
            ),
        ),
        Question(7, "costs()", lambda run: run.costs(), lambda found: found["cost_usd"].idxmax() == victims["dear"]),
        Question(7, 'findings("dear")', _findings("dear"), lambda found: of(found, "dear") == {victims["dear"]}),
        Question(
            9,
            "gaps()",
            lambda run: run.gaps(),
            lambda found: (
                found[["from_seq", "to_seq", "reason"]].to_numpy().tolist() == [[day.lost[0], day.lost[-1], "slow"]]
            ),
        ),
        Question(
            10,
            "errors(new_since=noon)",
            lambda run: run.errors(new_since=truth.moments["noon"]),
            lambda found: set(found["code"]) == {2077},
        ),
        Question(
            11,
            "meetings(trader, until=trade)",
            lambda run: run.meetings(day.trader, until=truth.moments["trade"]),
            lambda found: set(found.loc[found["how"] == "place", "other"]) == truth.met - {day.trader},
        ),
        Question(
            11,
            "spread(rumour)",
            lambda run: run.spread(RUMOUR),
            lambda found: found["character_id"].tolist()[:3] == [day.teller, day.between, day.trader],
        ),
        Question(0, "findings()", lambda run: run.findings(), lambda found: set(found["kind"]) >= set(FAULTS)),
    ]
    if changed is not None:
        asked.insert(10, Question(8, "compare(run, changed)", lambda run: dc.compare(run, changed), what_followed))
    return asked


def _findings(*kinds: str) -> Callable[[Reader], pd.DataFrame]:
    return lambda run: run.findings([*kinds])
