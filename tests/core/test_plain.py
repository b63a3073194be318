"""Any Python value as plain data: what becomes of each kind, and that nothing is raised, consumed or lost."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import subprocess
import sys
import types
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from degentcivil_nb.core.plain import MAX_DEPTH, SCALARS, is_plain, plain
from degentcivil_nb.core.shortening import head_of, shortened, tail_of


class Mood(enum.Enum):
    CALM = 1


class Level(enum.IntEnum):
    HIGH = 3


class Kind(enum.StrEnum):
    BAKER = "a baker"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Purse:
    money: int = 3
    mood: Mood = Mood.CALM


class Struct(msgspec.Struct):
    mood: Mood = Mood.CALM


class Unshowable:
    def __repr__(self) -> str:
        raise SystemExit(3)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no items")


class Broken(collections.abc.Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no keys")

    def __len__(self) -> int:
        raise RuntimeError("no length")


class HiddenClass(type):
    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)


class Hidden(metaclass=HiddenClass):
    pass


class Keyed:
    """A mapping by its methods alone, as records of databases are."""

    def keys(self) -> list[str]:
        return ["a"]

    def __getitem__(self, key: str) -> Mood:
        return Mood.CALM


class Tensor:
    def tolist(self) -> list[list[float]]:
        return [[0.5]]


D = decimal.Decimal
EXPECTED: list[tuple[Any, Any]] = [
    (Mood.CALM, "CALM"),
    (Level.HIGH, "HIGH"),
    (Kind.BAKER, "BAKER"),
    (Right.READ | Right.WRITE, "READ|WRITE"),
    (Purse(), {"money": 3, "mood": "CALM"}),
    (Struct(), {"mood": "CALM"}),
    ({Mood.CALM: [Level.HIGH]}, {"CALM": ["HIGH"]}),
    ({(1, 2): 1, None: 2, True: 3, 0.5: 4}, {"(1, 2)": 1, "null": 2, "true": 3, "0.5": 4}),
    ({1: "a", "1": "b"}, {"1": "a", "1 (2)": "b"}),
    (datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC), "2026-01-31T12:00:00Z"),
    (datetime.date(2026, 1, 31), "2026-01-31"),
    (datetime.timedelta(seconds=90), "PT90S"),
    (pd.Timestamp("2026-01-31 12:00", tz="UTC"), "2026-01-31T12:00:00+00:00"),
    (pd.Timedelta("90s"), "PT90S"),
    (pd.NaT, None),
    (pd.NA, None),
    (np.datetime64("2026-01-31T12:00:00.123456789"), "2026-01-31T12:00:00.123456789"),
    (np.datetime64("NaT"), None),
    (np.timedelta64(90, "s"), "PT90S"),
    (np.int64(5), 5),
    (np.float32(0.5), 0.5),
    (np.longdouble(0.5), 0.5),
    (np.bool_(True), True),
    (np.str_("x"), "x"),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array([1.5, np.nan], object), [1.5, None]),
    (np.array(["2026-01-31"], "M8[ns]"), ["2026-01-31T00:00:00.000000000"]),
    (np.array(7), 7),
    (np.ma.masked, None),
    (np.ma.array([1, 2], mask=[False, True]), [1, None]),
    (np.zeros(1, [("a", "i4"), ("b", "f8")]), [[0, 0.0]]),
    (pd.Series([1, 2]), [1, 2]),
    (pd.Series(["a", None], dtype="category"), ["a", None]),
    (pd.array([1, None], dtype="Int64"), [1, None]),
    (pd.DataFrame({"a": [1], "b": [Mood.CALM]}), [{"a": 1, "b": "CALM"}]),
    (pd.MultiIndex.from_tuples([(1, "a")]), [[1, "a"]]),
    (D("12.50"), 12.5),
    (D("3"), 3),
    (D("0.1234567890123456789012345"), "0.1234567890123456789012345"),
    (D("NaN"), None),
    (fractions.Fraction(1, 3), "1/3"),
    (1 + 2j, "(1+2j)"),
    (2**70, 2**70),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (ValueError("no plan"), "ValueError: no plan"),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset("ba"), ["a", "b"]),
    (collections.deque([Mood.CALM]), ["CALM"]),
    (collections.ChainMap({"a": Mood.CALM}), {"a": "CALM"}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    ({"a": 1}.keys(), ["a"]),
    (range(3), [0, 1, 2]),
    (array.array("d", [0.5]), [0.5]),
    (Keyed(), {"a": "CALM"}),
    (Tensor(), [[0.5]]),
    (b"ab", "YWI="),
    ("half \ud800", "half \\ud800"),
    ({"\ud800": 1}, {"\\ud800": 1}),
    (object(), "<object>"),
    (Purse, "tests.core.test_plain.Purse"),
    (len, "builtins.len"),
    ((n for n in range(3)), "<generator>"),
]


@pytest.mark.parametrize(("value", "expected"), EXPECTED, ids=[str(expected)[:30] for _, expected in EXPECTED])
def test_each_kind_of_value_becomes_what_a_reader_expects(value: Any, expected: Any) -> None:
    assert is_plain(plain(value))
    assert msgspec.json.decode(msgspec.json.encode(plain(value))) == expected
    assert msgspec.json.decode(msgspec.json.encode(plain({"x": [value]}))) == {"x": [expected]}


def test_models_of_pydantic_and_attrs_are_recognised_without_being_imported() -> None:
    program = """
import sys
from degentcivil_nb.core.plain import plain
assert not {"numpy", "pandas", "pydantic", "attrs", "attr"} & set(sys.modules)

class Field:
    exclude = None
class Secret:
    exclude = True

class BaseModel:                      # what pydantic's own has: fields on the class, values in the dict
    __pydantic_fields__ = {"role": Field(), "key": Secret()}
    __pydantic_extra__ = {"more": 1}
    def __init__(self):
        self.__dict__.update(role="user", key="s3cret")

class Attribute:
    name = "money"
class Attrs:
    __attrs_attrs__ = (Attribute(),)
    __slots__ = ("money",)
    def __init__(self):
        self.money = {1}

assert plain([BaseModel(), Attrs()]) == [{"role": "user", "more": 1}, {"money": [1]}], plain([BaseModel(), Attrs()])
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_iterator_is_not_read() -> None:
    numbers = iter([1, 2, 3])
    plain({"numbers": numbers})
    assert list(numbers) == [1, 2, 3]


def test_what_contains_itself_or_is_nested_too_deeply_says_so() -> None:
    circle: list[Any] = [1]
    circle.append({"again": circle})
    assert plain(circle) == [1, {"again": "… (list inside itself)"}]
    twice = [1]
    assert plain([twice, twice]) == [[1], [1]], "the same value in two places is no circle"
    deep: Any = "bottom"
    for _ in range(100_000):
        deep = [deep]
    text = msgspec.json.encode(plain(deep))
    assert text.startswith(b"[" * MAX_DEPTH + b'"') and b"nested too deeply" in text


def test_a_value_of_millions_of_items_is_cut_and_says_how_many_there_were() -> None:
    assert plain(np.zeros(3_000_000))[-1] == "… (3,000,000 items in all)"
    assert plain(pd.Series(range(3_000_000)))[-1] == "… (3,000,000 items in all)"
    laughs: Any = ["ha"] * 10
    for _ in range(10):
        laughs = [laughs] * 10
    assert not is_plain(laughs)
    assert len(msgspec.json.encode(plain(laughs))) < 20_000_000


def test_a_mapping_that_cannot_be_read_costs_only_itself() -> None:
    found = plain({"broken": Broken(), "whole": 1})
    assert found["whole"] == 1
    assert "Broken" in found["broken"]


def test_an_object_that_cannot_be_shown_says_so() -> None:
    found = plain({"text": Unshowable(), "class": Hidden()})
    assert found["text"] == "<an object that cannot be shown: SystemExit>"
    assert found["class"] == "<an object that cannot be shown: RuntimeError>"


def test_a_number_of_thousands_of_digits_says_so() -> None:
    assert plain([2**20_000]) == ["… (a whole number of 20,001 bits)"]


def test_an_interrupt_is_never_caught() -> None:
    class Interrupted:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plain([Interrupted()])


LEAVES: list[Callable[[], st.SearchStrategy[Any]]] = [
    st.none,
    st.booleans,
    st.integers,
    st.floats,
    st.text,
    st.binary,
    st.decimals,
    st.fractions,
    st.datetimes,
    st.timedeltas,
    st.uuids,
    st.complex_numbers,
    lambda: st.text(st.characters(categories=["Cs"])),
    lambda: st.sampled_from([value for value, _ in EXPECTED]),
]
KEYS = st.text() | st.integers() | st.booleans() | st.none() | st.tuples(st.integers()) | st.sampled_from([Mood.CALM])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of([leaf() for leaf in LEAVES]),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(KEYS, inner)
        | st.tuples(inner, inner)
        | st.builds(collections.deque, st.lists(inner))
        | st.builds(Purse, inner, inner)
    ),
    max_leaves=30,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(VALUES)
def test_whatever_it_is_it_becomes_json_that_reads_as_the_same_again(value: Any) -> None:
    converted = plain(value)
    assert is_plain(converted)
    assert is_plain(msgspec.json.decode(msgspec.json.encode(converted)))
    if is_plain(value):
        try:
            written = msgspec.json.encode(value)
        except (UnicodeEncodeError, ValueError):  # a surrogate, or thousands of digits: found out when it is written
            return
        assert msgspec.json.encode(converted) == written, "a plain value is not changed"


def test_plain_means_the_types_of_json_and_no_subclass_of_them() -> None:
    assert is_plain({"a": [1, 2.5, "x", None, True, {"b": ()}]})
    for odd in (Level.HIGH, Kind.BAKER, np.float64(1.5), np.str_("x"), {1: 2}, collections.OrderedDict(), {"a": {1}}):
        assert not is_plain(odd)
    assert {type(None), str, int, float, bool} == SCALARS


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=40), inner, max_size=30),
    max_leaves=60,
)


@given(JSON, st.integers(200, 3_000))
def test_shortened_data_fits_and_what_fits_is_not_changed(value: Any, room: int) -> None:
    cut = shortened(value, room)
    assert len(msgspec.json.encode(cut)) <= room
    if len(msgspec.json.encode(value)) <= room:
        assert cut == value


def test_a_long_value_is_shortened_and_its_short_neighbours_stay_whole() -> None:
    payload = {"character_id": "emma", "new_state": "MOVE", "notes": "é" * 50_000, "path": list(range(50_000))}
    cut = shortened(payload, 10_000)
    assert (cut["character_id"], cut["new_state"]) == ("emma", "MOVE")
    assert cut["notes"].startswith("ééé") and cut["notes"].endswith("… (50,000 characters in all)")
    assert cut["path"][:3] == [0, 1, 2] and cut["path"][-1] == "… (50,000 items in all)"
    assert 8_000 < len(msgspec.json.encode(cut)) <= 10_000, "the room is used"


def test_a_text_that_is_cut_says_how_long_it_was() -> None:
    assert head_of("abc", 3) == tail_of("abc", 3) == "abc"
    assert head_of("abcd" * 500, 3) == "abc… (2,000 characters in all)"
    assert tail_of("abcd" * 500, 3) == "(2,000 characters in all) …bcd"


def test_fields_that_a_struct_was_not_given_are_left_out() -> None:
    class Move(msgspec.Struct):
        who: str
        where: str | msgspec.UnsetType = msgspec.UNSET

    assert plain(Move("emma")) == {"who": "emma"}
    assert plain(Move("emma", "Park")) == {"who": "emma", "where": "Park"}
