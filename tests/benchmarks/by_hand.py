"""What one writes in pandas for each of the first eleven questions, from a log that is already a flat frame.

The log has a row a message: `seq`, `tick`, `time`, `type`, `event_id`, `cause`, and the keys of payloads as columns.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pandas as pd

from degentcivil_nb.analysis.reader import Reader
from tests.support.planted_day import PlantedDay

Log = pd.DataFrame


def log_of(run: Reader) -> Log:
    """Return the log of a run as one has it after `json_normalize`."""
    events = run.events(payload=True)[["seq", "tick", "time", "type", "event_id", "cause", "payload"]]
    told = pd.DataFrame(events.pop("payload").tolist(), index=events.index)
    return events.join(told.drop(columns=[name for name in told if name in events]))


def stuck(log: Log, day: PlantedDay) -> bool:
    stays = log[log.type == "state_change"].copy()
    stays["until"] = stays.groupby("character_id").tick.shift(-1)
    stays["ticks"] = stays.until.fillna(log.tick.max()) - stays.tick
    usual = stays[stays.until.notna()].groupby("new_state").ticks.quantile(0.95)
    now = stays[stays.until.isna()]
    long = now[(now.ticks > 20) & (now.ticks > 5 * now.new_state.map(usual))]
    calls = log[log.type == "llm_call"][["character_id", "tick"]]
    pairs = stays.merge(calls, on="character_id", suffixes=("", "_call"))
    within = (pairs.tick_call >= pairs.tick) & ~(pairs.tick_call > pairs.until)
    called = stays.seq.isin(pairs.seq[within])
    asks = called.groupby(stays.new_state).mean()
    waiting = long[(long.new_state.map(asks) > 0.8) & ~called[long.index]]
    found = set(long.character_id) - set(waiting.character_id), set(waiting.character_id)
    return day.victims["stuck"] in found[0] and day.victims["waiting_for_model"] in found[1]


def loop(log: Log, day: PlantedDay) -> bool:
    found = set()
    for who, states in log[log.type == "state_change"].groupby("character_id").new_state:
        words = states.tolist()
        for length in range(2, 9):
            same = [one == other for one, other in zip(words, words[length:], strict=False)]
            run = longest = 0
            for one in same:
                run = run + 1 if one else 0
                longest = max(longest, run)
            if longest >= 6 * length:
                found.add(who)
    return found == {day.victims["loop"]}


def now(log: Log, day: PlantedDay) -> bool:
    last = log[log.type == "state_change"].groupby("character_id")[["new_state", "location"]].last()
    return {who: tuple(row) for who, row in zip(last.index, last.to_numpy(), strict=True)} == day.truth.towns[day.ticks]


def then(log: Log, day: PlantedDay) -> bool:
    tick = min(day.truth.towns)
    last = (
        log[(log.type == "state_change") & (log.tick <= tick)].groupby("character_id")[["new_state", "location"]].last()
    )
    return {who: tuple(row) for who, row in zip(last.index, last.to_numpy(), strict=True)} == day.truth.towns[tick]


def why(log: Log, day: PlantedDay) -> bool:
    by_id = log[log.event_id.notna()].set_index("event_id")
    found: list[str] = []
    at: Any = "state-1"
    while isinstance(at, str) and at in by_id.index and at not in found:
        found.append(at)
        at = by_id.cause[at]
    return tuple(found) == day.truth.chain


def malformed(log: Log, day: PlantedDay) -> bool:
    calls = log[log.type == "llm_call"].copy()
    calls["bad"] = [not _is_json(text) for text in calls.response]
    share = calls.groupby(["model", calls.tick // 60]).bad.mean().unstack(0).ffill()
    usual = share.head(max(1, len(share) // 4)).mean()
    worst: Any = (share.tail(5).mean() - usual).idxmax()
    since = share.index[share[worst] > usual[worst] + 0.2].min() * 60
    return bool(worst == day.bad_model and abs(since - day.starts["malformed"]) <= 60)


def _is_json(text: Any) -> bool:
    try:
        json.loads(text)
    except (TypeError, ValueError):
        return False
    return True


def costs(log: Log, day: PlantedDay) -> bool:
    calls = log[log.type == "llm_call"]
    by_day = calls.groupby(calls.time.dt.date).cost_usd.sum()
    who = calls.groupby("character_id").cost_usd.sum()
    told = {str(one): round(cost, 6) for one, cost in by_day.items()}
    right = {one: round(cost, 6) for one, cost in day.truth.costs.items()}
    return told == right and who.idxmax() == day.victims["dear"]


def gaps(log: Log, day: PlantedDay) -> bool:
    steps = log.seq.diff()
    missing = log.seq[steps > 1]
    found = [*zip((missing - steps[missing.index] + 1).tolist(), (missing - 1).tolist(), strict=True)]
    return found == [(day.lost[0], day.lost[-1])]  # why, nobody can say


def new_errors(log: Log, day: PlantedDay) -> bool:
    errors = log[log.type == "error"]
    noon = pd.Timestamp(day.truth.moments["noon"], unit="s", tz="UTC")
    known = set(errors.code[errors.time < noon])
    return set(errors.code[errors.time >= noon]) - known == {2077}


def met(log: Log, day: PlantedDay) -> bool:
    trade = pd.Timestamp(day.truth.moments["trade"], unit="s", tz="UTC")
    stays = log[(log.type == "state_change") & (log.time < trade)][["character_id", "location", "time"]].copy()
    stays["until"] = stays.groupby("character_id").time.shift(-1).fillna(trade)
    mine, others = (stays[(stays.character_id == day.trader) == is_mine] for is_mine in (True, False))
    both = mine.merge(others, on="location")
    both = both[(both.time_x < both.until_y) & (both.time_y < both.until_x)]
    return set(both.character_id_y) == day.truth.met - {day.trader}


def rumour(log: Log, day: PlantedDay) -> bool:
    chat = log[(log.type == "chat_message") & log.content.str.contains("the harbour closes", na=False)]
    order = []
    for who, receivers in zip(chat.character_id, chat.receivers, strict=True):
        order += [one for one in (who, *receivers) if one not in order]
    return order[:3] == [day.teller, day.between, day.trader]


BY_HAND: Final[Mapping[str, Callable[[Log, PlantedDay], bool]]] = {
    'findings(["stuck", "waiting_for_model"])': stuck,
    'findings("loop")': loop,
    "characters()": now,
    "characters(tick=…)": then,
    "why(row), told by ids": why,
    'findings("malformed")': malformed,
    'costs("day")': costs,
    "gaps()": gaps,
    "errors(new_since=noon)": new_errors,
    "meetings(trader, until=trade)": met,
    "spread(rumour)": rumour,
}
"""By the call that is asked instead. A chain without ids and the comparison of two runs take a page each: they are not
here."""


def lines_of(written: Callable[..., Any]) -> int:
    """Count the lines that one writes: all but the head and the line that judges the answer."""
    return len([line for line in inspect.getsource(written).splitlines() if line.strip()]) - 2
