"""What may be written for names, numbers, moments and lengths of time, and that it means the same everywhere."""

from __future__ import annotations

import datetime as dt
import enum
import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec import Raw

import degentcivil_nb as dc
from degentcivil_nb.analysis.reader import Reader
from degentcivil_nb.protocol.json_text import encode
from degentcivil_nb.protocol.messages import RawMessage
from degentcivil_nb.session.wait_for import wait_for
from degentcivil_nb.store.arguments import bucket_s, moment_ns, names_of, seconds_of, wait_s, whole
from degentcivil_nb.store.event_store import EventStore

START = 1_769_860_800  # 2026-01-31 12:00:00 UTC
STATES = ("MOVE", "WORK", "REST")


class Held(Reader):
    _store: EventStore

    def __init__(self, store: EventStore) -> None:
        self._store = store


def reader(count: int = 10) -> Held:
    """Give a run of one state change a second, of the characters "0", "1" and "emma"."""
    store = EventStore()
    for second in range(count):
        who: Any = (0, 1, "emma")[second % 3]
        data = {"character_id": who, "new_state": STATES[second % 3]}
        store.append([RawMessage("state_change", Raw(encode(data)), START + second, second + 1, second)], START, "e")
    return Held(store)


# --- moments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment",
    [
        START + 5,
        float(START + 5),
        np.int64(START + 5),
        np.int32(START + 5),
        np.float64(START + 5),
        np.array(START + 5),
        Decimal(START + 5),
        Fraction(START + 5),
        "2026-01-31 12:00:05",
        "2026-01-31T12:00:05Z",
        "2026-01-31T21:00:05+09:00",
        dt.datetime(2026, 1, 31, 12, 0, 5),
        np.datetime64("2026-01-31T12:00:05"),
        pd.Timestamp("2026-01-31 21:00:05", tz="Asia/Tokyo"),
        "12:00:05",  # of the day of the newest event
        "4s ago",
        "4 seconds ago",
        "-4s",
        "- 4 sec",
        pd.Timedelta("4s"),
        dt.timedelta(seconds=-4),
        np.timedelta64(4, "s"),
        "-PT4S",
    ],
    ids=repr,
)
def test_a_moment_is_understood_however_it_is_written_and_wherever_it_is_taken(moment: Any) -> None:
    run = reader()
    assert run.events(since=moment).index.tolist() == [5, 6, 7, 8, 9]
    assert run.events(until=moment).index.tolist() == [0, 1, 2, 3, 4]
    assert run.characters(at=moment)["last_seen"].max() == pd.Timestamp(START + 5, unit="s", tz="UTC")
    assert run._store.forget(before=moment) == 5


@pytest.mark.parametrize(
    "moment",
    [True, np.True_, "soon", "5", "", b"x", [1], pd.NaT, pd.NA, float("nan"), float("inf"), -5, object(), dt.time(1)],
    ids=lambda moment: type(moment).__name__,
)
def test_what_is_no_moment_is_refused_everywhere(moment: Any) -> None:
    run = reader()
    questions: list[Callable[[], Any]] = [
        lambda: run.events(since=moment),
        lambda: run.events(until=moment),
        lambda: run.characters(at=moment),
        lambda: run._store.forget(before=moment),
    ]
    for question in questions:
        with pytest.raises(ValueError, match="not a time"):
            question()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10 min ago", 600), ("an hour ago", 3600), ("2 weeks ago", 1_209_600), ("5 mins ago", 300), ("-1.5h", 5400)],
)
def test_how_long_ago_counts_back_from_the_newest_event(text: str, seconds: int) -> None:
    assert moment_ns(text, 1_800_000_000 * 10**9) == (1_800_000_000 - seconds) * 10**9
    with pytest.raises(ValueError, match="no event yet"):
        moment_ns(text)


# --- whole numbers and lengths of time --------------------------------------------------------------------------------


@pytest.mark.parametrize("two", [2, 2.0, np.int64(2), np.float32(2), Decimal(2), np.array(2)], ids=repr)
def test_a_whole_number_may_be_written_in_any_way(two: Any) -> None:
    run = reader()
    assert run.events(last=two).index.tolist() == [8, 9]
    assert run.payload(two) == run.payload(2)
    assert len(run.characters(row=two)) == len(run.characters(tick=two)) == 3
    assert len(run.llm_calls(last=two)) == 0
    assert wait_for(run._store, None, where=None, after=two, timeout=1)["row"] == 3


@pytest.mark.parametrize("wrong", [True, 2.5, "2", float("nan"), [2], pd.NA], ids=repr)
def test_what_is_no_whole_number_is_refused(wrong: Any) -> None:
    run = reader()
    for question in (
        lambda: run.events(last=wrong),
        lambda: run.payload(wrong),
        lambda: run.characters(row=wrong),
        lambda: run.characters(tick=wrong),
        lambda: run.llm_calls(last=wrong),
    ):
        with pytest.raises(ValueError, match="whole number"):
            question()


@pytest.mark.parametrize(
    "length", [60, 60.0, np.int64(60), "1min", "60 s", "1 min", pd.Timedelta("1min"), dt.timedelta(minutes=1)], ids=repr
)
def test_a_length_of_time_may_be_written_in_any_way(length: Any) -> None:
    run = reader(100)
    assert seconds_of(length, "a length") == wait_s(length) == bucket_s(length, "a bucket") == 60
    assert run.rates(length).sum(axis=1).tolist() == [60, 40]
    assert run.rates("1s", window=length).sum(axis=1).sum() == 60
    assert list(run.plot.rates(length).data[0].y[:2]) == [1.0, 40 / 60]


@pytest.mark.parametrize("wrong", [True, "soon", None, "5", float("nan"), [1]], ids=repr)
def test_what_is_no_length_of_time_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(wrong))):
        wait_for(EventStore(), None, where=None, after=None, timeout=wrong)
    with pytest.raises(ValueError, match="bucket"):
        reader().rates(wrong)


def test_a_timeout_is_waited_for_however_it_is_written() -> None:
    with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        wait_for(EventStore(), None, where=None, after=None, timeout=pd.Timedelta("10ms"))
    with pytest.raises(ValueError, match="zero or more"):
        wait_s(-1)
    with pytest.raises(ValueError, match="zero or more"):
        whole(-1, "`last`")


# --- names -----------------------------------------------------------------------------------------------------------


class Who(enum.Enum):
    emma = 1


class Kind(enum.StrEnum):
    CHANGE = "state_change"


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        ("emma", [2, 5, 8]),
        (1, [1, 4, 7]),
        (np.int64(1), [1, 4, 7]),
        (np.str_("emma"), [2, 5, 8]),
        (1.0, [1, 4, 7]),
        (Who.emma, [2, 5, 8]),
        (["emma", 1], [1, 2, 4, 5, 7, 8]),
        (("emma", np.int64(1)), [1, 2, 4, 5, 7, 8]),
        ({"emma"}, [2, 5, 8]),
        ({"emma": "x"}, [2, 5, 8]),
        ({"emma": "x"}.keys(), [2, 5, 8]),
        (np.array(["emma"]), [2, 5, 8]),
        (np.array([0, 1]), [0, 1, 3, 4, 6, 7, 9]),
        (pd.Index(["emma"]), [2, 5, 8]),
        (pd.Series(["emma", None]), [2, 5, 8]),
        (pd.Series([1, np.nan]), [1, 4, 7]),
        (pd.array([1, pd.NA], dtype="Int64"), [1, 4, 7]),
        (pd.Categorical(["emma", "emma"]), [2, 5, 8]),
        (np.array("emma"), [2, 5, 8]),
        ([], []),
        (None, list(range(10))),
    ],
    ids=repr,
)
def test_names_may_be_any_scalar_and_any_list_like(names: Any, rows: list[int]) -> None:
    run = reader()
    assert run.events(character_id=names).index.tolist() == rows
    assert len(run.timeline(names)) == len({row % 3 for row in rows})
    assert len(run.plot.timeline(names).data) == len({row % 3 for row in rows})
    generated = None if names is None else iter(names_of(names) or ())
    assert run.events(character_id=generated).index.tolist() == rows


def test_types_are_names_too() -> None:
    run = reader()
    for types in (Kind.CHANGE, np.array(["state_change"]), pd.Index(["state_change", "error"])):
        assert len(run.events(types)) == 10
    with pytest.raises(ValueError, match="not a name"):
        run.events(b"state_change")  # type: ignore[arg-type,unused-ignore]
    with pytest.raises(ValueError, match="not a list of names"):
        run.events(pd.DataFrame({"type": ["state_change"]}))


def test_what_to_ignore_in_a_comparison_may_be_one_name() -> None:
    runs = []
    for price in (3, 4):
        store = EventStore()
        data = Raw(encode({"event_type": "trade", "price": price}))
        store.append([RawMessage("event_notification", data, START, 1)], START, "e")
        runs.append(Held(store))
    assert dc.compare(*runs, ignore="price").same
    assert not dc.compare(*runs, ignore="p").same


@pytest.mark.parametrize("given", [("here",), ("a", "b"), (3, 4), (None, None)])
def test_what_cannot_be_compared_is_said_in_a_sentence(given: Any) -> None:
    with pytest.raises(TypeError, match="compare takes"):
        dc.compare(*given)


# --- names that were never seen ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"type": "state_chnage"}, "did you mean 'state_change'"),
        ({"type": ["error", "State_Change"]}, "did you mean 'state_change'"),
        ({"character_id": "ema"}, "did you mean 'emma'"),
        ({"event_type": "trade"}, "no event_type 'trade' was seen"),
        ({"where": "tikc > 3"}, "did you mean 'tick'"),
        ({"where": "new_stat == 'MOVE' and type == 'state_change'"}, "did you mean 'new_state'"),
        ({"where": "wealth > 3"}, "no column or key of a payload 'wealth' was seen"),
    ],
)
def test_a_name_that_was_never_seen_gives_nothing_and_a_warning(words: dict[str, Any], said: str) -> None:
    run = reader()
    with pytest.warns(UserWarning, match=re.escape(said)) as caught:
        assert len(run.events(**words)) == 0
    assert [warning.filename for warning in caught] == [__file__], "the line that asked is shown"


def test_names_that_are_known_or_may_come_warn_of_nothing() -> None:
    run = reader()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(run.events("error")) == len(run.events("llm_call")) == 0
        assert len(run.events(where="latency_s > 3 or code == 1001")) == 0
        assert len(run.events(where="new_state == 'MOVE'")) == 4
        store = run._store
        store.append([RawMessage("odd", Raw(b'{"key": 1}'), START, 11)], START, "e")
        assert len(run.events(where="key == 1")) == 1
        assert len(run.events(where="key == 2")) == len(run.events("state_change", where="key == 1")) == 0


def test_the_stays_of_nobody_warn() -> None:
    with pytest.warns(UserWarning, match="'emma'"):
        assert len(reader().timeline("ema")) == 0
