"""Conversion of any Python value to plain data: the text, numbers, lists and dicts that JSON has.

numpy, pandas, pydantic and attrs are recognised by the names of a value's classes and are never imported here. A
value's classes are inspected before any of its attributes is read, so that a `__getattr__` that raises is never called.
"""

from __future__ import annotations

import datetime
import decimal
import sys
import types
import uuid
from array import array
from collections import abc, deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from .text_of import class_name, clean, text_of

SCALARS: Final = frozenset({str, int, float, bool, types.NoneType})
"""Types that JSON has as they are, without subclasses: an `IntEnum` is an `int`, but is written as its name."""
MAX_DEPTH: Final = 100
"""The deepest nesting of containers; JSON readers have limits of some hundreds."""
MAX_ITEMS: Final = 600_000
"""The most items of all containers of one value: more than fit into a message of 1 MiB, so nothing that fits is lost.
"""
_MAX_BITS: Final = 13_000
"""The largest whole number, in bits: Python's own `int(text)` refuses more than about 4,000 digits."""
_MAX_CONTAINERS: Final = 100_000
"""How many containers `is_plain` inspects before it leaves the value to `plain`, which is limited by `MAX_ITEMS`."""

_Convert = Callable[["_Converter", Any, int], Any]


def is_plain(value: Any) -> bool:
    """Return whether a value consists of JSON's own types throughout, so that `plain` would return it unchanged."""
    try:
        if type(value) is dict:  # what most payloads are: this is on the way of every event
            for key in value:  # faster than `items()`, which makes tuples
                if type(key) is not str or type(value[key]) not in SCALARS:
                    break
            else:
                return True
        return _is_plain(value, [_MAX_CONTAINERS], MAX_DEPTH)
    except (RuntimeError, KeyError):  # another thread changes it, or the caller's stack is nearly full
        return False


def _is_plain(value: Any, room: list[int], depth: int) -> bool:
    kind = type(value)
    if kind in SCALARS:
        return True
    room[0] -= 1
    if depth <= 0 or room[0] < 0:
        return False
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                return False
            if type(item) not in SCALARS and not _is_plain(item, room, depth - 1):
                return False
        return True
    if kind is list or kind is tuple:
        if SCALARS.issuperset(map(type, value)):
            return True
        return all(_is_plain(item, room, depth - 1) for item in value)
    return False


def plain(value: Any) -> Any:
    """Convert a value to plain data; what has no such form becomes text. Only an interrupt is raised.

    Enums become their names; pydantic models, dataclasses, attrs classes and structs become their fields; times become
    ISO text; missing values become null; data of numpy and pandas become lists; exceptions, paths and everything else
    become text. What is nested too deeply or in itself, and items beyond 600,000, are replaced by a text that says so.
    Iterators are not consumed.
    """
    return _Converter()(value)


def has_fields(kind: type) -> bool:
    """Return whether values of a class become their fields."""
    return _by_class(kind) in (_pydantic, _dataclass, _attrs, _struct)


def is_text_only(kind: type) -> bool:
    """Return whether values of a class have no other form than a text."""
    return _by_class(kind) is None


class _Converter:
    """One conversion, with the containers that enclose the current value and the number of items still allowed."""

    def __init__(self) -> None:
        self._inside: set[int] = set()
        self.room = MAX_ITEMS

    def __call__(self, value: Any, depth: int = 0) -> Any:
        kind = type(value)
        if kind is str:
            return clean(value)
        if kind in SCALARS:
            return _whole(value) if kind is int else value
        if id(value) in self._inside:
            return f"… ({class_name(kind)} inside itself)"
        if depth >= MAX_DEPTH:
            return f"… ({class_name(kind)} nested too deeply)"
        self._inside.add(id(value))
        try:
            convert = _by_class(kind)
            return text_of(value) if convert is None else convert(self, value, depth)
        except KeyboardInterrupt:
            raise
        except RecursionError:  # the simulation's own stack was nearly full already
            return "… (nested too deeply)"
        except BaseException:  # noqa: BLE001 — foreign code, which may raise even SystemExit
            return text_of(value)
        finally:
            self._inside.discard(id(value))

    def items(self, values: Iterable[Any], depth: int) -> list[Any]:
        """Convert items up to the limit; the last one then states how many there are."""
        values = list(values)
        converted: list[Any] = []
        for value in values:
            if self.room <= 0:
                converted.append(f"… ({len(values):,} items in all)")
                break
            self.room -= 1
            converted.append(self(value, depth + 1))
        return converted

    def pairs(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        """Convert a mapping; keys that are equal as text are numbered after the first."""
        pairs = list(pairs)
        converted: dict[str, Any] = {}
        for key, value in pairs:
            if self.room <= 0:
                converted["…"] = f"{len(pairs):,} items in all"
                break
            self.room -= 1
            name = key_text(key)
            if name in converted:
                name = next(free for n in range(2, len(pairs) + 2) if (free := f"{name} ({n})") not in converted)
            converted[name] = self(value, depth + 1)
        return converted


def key_text(key: Any) -> str:
    """Return a mapping's key as text, as JSON writes it if JSON has such a key."""
    if type(key) is str:
        return clean(key)
    converted = plain(key)
    if isinstance(converted, str):
        return converted
    if converted is None or isinstance(converted, bool):
        return {None: "null", True: "true", False: "false"}[converted]
    return str(converted) if isinstance(converted, (int, float)) else text_of(key)


def _whole(value: int) -> int | str:
    bits = value.bit_length()
    return value if bits <= _MAX_BITS else f"… (a whole number of {bits:,} bits)"


# --- conversions by class: the first that fits ----------------------------------------------------------------------


def _by_class(kind: type) -> _Convert | None:
    """Return the conversion for values of a class, or `None` if they become text."""
    if kind not in _found:
        _found[kind] = _find(kind, type.__dict__["__mro__"].__get__(kind))
    return _found[kind]


def _find(kind: type, classes: tuple[type, ...]) -> _Convert | None:
    if Enum in classes:  # first, since an enum may also be a number or a text
        return _enum
    roots = {str(base.__module__).partition(".")[0] for base in classes}
    for root, convert in _PACKAGES.items():
        if root in roots:
            return convert
    words = {word for base in classes for word in vars(base)}
    for word, convert in _WORDS.items():
        if word in words:
            return convert
    for base in classes:
        if base in _CLASSES:
            return _CLASSES[base]
    if issubclass(kind, abc.Iterator):
        return _unread
    if issubclass(kind, abc.Mapping) or {"keys", "__getitem__"} <= words:
        return _mapping
    if issubclass(kind, abc.Set):
        return _set
    if issubclass(kind, (abc.Sequence, abc.MappingView)):
        return _items
    return next((_by_method(word) for word in _CONVERSIONS if word in words), None)


def _by_method(word: str) -> _Convert:
    return lambda to, value, depth: to(getattr(value, word)(), depth + 1)


def _mapping(to: _Converter, value: Any, depth: int) -> Any:
    return to.pairs([(key, value[key]) for key in value.keys()], depth)  # noqa: SIM118 — it may have no `__iter__`


def _items(to: _Converter, value: Any, depth: int) -> Any:
    return to.items(value, depth)


def _enum(to: _Converter, value: Any, depth: int) -> Any:
    name = value._name_
    return to(value._value_ if name is None else name, depth)  # a union of flags may have no name


def _native(to: _Converter, value: Any, depth: int) -> Any:
    """Convert as the encoder does: bytes to base64, times and durations to ISO text."""
    return msgspec.to_builtins(value)


def _decimal(to: _Converter, value: Any, depth: int) -> Any:
    """Convert to a number if that is exact, else to the digits as text."""
    if not value.is_finite():
        return None
    number = int(value) if value == value.to_integral_value() and abs(value.adjusted()) < 300 else float(value)
    return number if decimal.Decimal(repr(number)) == value else str(value)


def _set(to: _Converter, value: Any, depth: int) -> Any:
    # sorted, so that the order does not depend on PYTHONHASHSEED
    return sorted(to.items(value, depth), key=lambda item: (type(item).__name__, str(item)))


def _exception(to: _Converter, value: BaseException, depth: int) -> str:
    text = text_of(value)
    return f"{class_name(type(value))}: {text}" if text else class_name(type(value))


def _named(to: _Converter, value: Any, depth: int) -> str:
    """Return the qualified name of a function or class, which contains no memory address."""
    return clean(f"{value.__module__}.{value.__qualname__}" if value.__module__ else str(value.__qualname__))


def _unread(to: _Converter, value: Any, depth: int) -> str:
    """Describe an iterator without reading it: reading would consume what the simulation is going to read."""
    return f"<{class_name(type(value))}>"


def _attributes(to: _Converter, value: Any, names: Iterable[str], depth: int) -> dict[str, Any]:
    pairs: list[tuple[str, Any]] = []
    for name in names:
        try:
            pairs.append((name, getattr(value, name)))
        except Exception as error:  # noqa: BLE001 — foreign code; one field must not cost the others
            pairs.append((name, f"… (cannot be read: {type(error).__name__})"))
    return to.pairs(pairs, depth)


def _dataclass(to: _Converter, value: Any, depth: int) -> Any:
    return _attributes(to, value, type(value).__dataclass_fields__, depth)


def _attrs(to: _Converter, value: Any, depth: int) -> Any:
    return _attributes(to, value, [attribute.name for attribute in type(value).__attrs_attrs__], depth)


def _struct(to: _Converter, value: Any, depth: int) -> Any:
    fields = type(value).__struct_fields__
    return _attributes(to, value, [name for name in fields if getattr(value, name, None) is not msgspec.UNSET], depth)


def _pydantic(to: _Converter, value: Any, depth: int) -> Any:
    """Convert the fields of a model, except those that it excludes from its own output; pydantic 1 or later."""
    own = getattr(type(value), "__pydantic_fields__", None) or getattr(type(value), "__fields__", {})
    if "root" in own and getattr(type(value), "__pydantic_root_model__", False):
        return to(value.root, depth + 1)
    hidden = {name for name, field in own.items() if getattr(field, "exclude", None) is True}
    fields = {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}
    return to.pairs([(name, item) for name, item in fields.items() if name not in hidden], depth)


def _numpy(to: _Converter, value: Any, depth: int) -> Any:
    numpy = sys.modules["numpy"]
    if value is numpy.ma.masked:
        return None
    if isinstance(value, numpy.ndarray):
        if value.ndim == 0:
            return to(value[()], depth + 1)
        size = value.size
        if size > to.room:
            return [*_numpy(to, value.ravel()[: to.room], depth), f"… ({size:,} items in all)"]
        if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
            to.room -= size
            return value.tolist()
        return to.items(value if value.ndim > 1 or value.dtype.kind in "mM" else value.tolist(), depth)
    if isinstance(value, numpy.datetime64):
        return None if numpy.isnat(value) else str(value)
    if isinstance(value, numpy.timedelta64):
        return None if numpy.isnat(value) else to(value.astype("timedelta64[us]").item(), depth)
    if isinstance(value, numpy.generic):
        item = value.item()
        if isinstance(item, numpy.generic):  # a long double has no Python equivalent
            return float(item) if isinstance(item, numpy.floating) else text_of(item)
        return to(item, depth + 1)
    return text_of(value)


def _pandas(to: _Converter, value: Any, depth: int) -> Any:
    pandas = sys.modules["pandas"]
    if value is pandas.NaT or value is pandas.NA:
        return None
    if isinstance(value, pandas.Timestamp):
        return value.isoformat()
    if isinstance(value, pandas.Timedelta):
        return to(value.to_pytimedelta(), depth)
    if isinstance(value, pandas.DataFrame):
        names = list(value.columns)
        rows = value.head(to.room // max(1, len(names))).itertuples(index=False, name=None)
        table: list[Any] = [to.pairs(zip(names, row, strict=True), depth + 1) for row in rows]
        return table if len(table) == len(value) else [*table, f"… ({len(value):,} rows in all)"]
    if isinstance(value, (pandas.Series, pandas.Index, pandas.api.extensions.ExtensionArray)):
        items = to.items(value[: to.room], depth)
        return items if len(items) == len(value) else [*items, f"… ({len(value):,} items in all)"]
    return text_of(value)


_CLASSES: Final[dict[type, _Convert]] = {
    str: lambda to, value, depth: clean(str.__str__(value)),
    int: lambda to, value, depth: _whole(int.__index__(value)),
    float: lambda to, value, depth: float.__float__(value),
    decimal.Decimal: _decimal,
    **dict.fromkeys((datetime.date, datetime.time, datetime.timedelta), _native),
    **dict.fromkeys((bytes, bytearray, memoryview, uuid.UUID), _native),
    dict: lambda to, value, depth: to.pairs(dict.items(value), depth),
    list: lambda to, value, depth: to.items(list.__iter__(value), depth),
    tuple: lambda to, value, depth: to.items(tuple.__iter__(value), depth),
    **dict.fromkeys((deque, array), _items),
    **dict.fromkeys((set, frozenset), _set),
    BaseException: _exception,
    **dict.fromkeys((type, types.FunctionType, types.MethodType, types.BuiltinFunctionType), _named),
    **dict.fromkeys((types.CoroutineType, types.AsyncGeneratorType), _unread),
}
"""Conversions of Python's own classes; the first of a value's classes that is listed here decides."""

_found: Final[WeakKeyDictionary[type, _Convert | None]] = WeakKeyDictionary()
"""Conversions already looked up, by class."""

_PACKAGES: Final[dict[str, _Convert]] = {"numpy": _numpy, "pandas": _pandas}
"""Conversions of packages whose values are data."""

_WORDS: Final[dict[str, _Convert]] = {
    "__pydantic_fields__": _pydantic,
    "__fields_set__": _pydantic,
    "__dataclass_fields__": _dataclass,
    "__attrs_attrs__": _attrs,
    "__struct_fields__": _struct,
}
"""Conversions by a name in the class's body that shows how its fields are declared."""

_CONVERSIONS: Final = ("tolist", "to_list", "to_dicts", "to_pylist", "as_py", "item")
"""Methods of other packages' arrays, tables and numbers that return plain values: torch, polars, pyarrow, JAX."""
