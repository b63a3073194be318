"""The quantities of two runs side by side: counts, rates, characters, and the sizes of their differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from ..store.table import Array
from .alignment import Side
from .compared_columns import ComparedColumns
from .differences import alike
from .reader import Reader

SHARE: Final = "share of events that differ"
_OWN: Final = ("since", "last_seen")


def counts_beside(a: ComparedColumns, b: ComparedColumns) -> pd.DataFrame:
    """Count the events of each type."""
    counts = a.counted("type"), b.counted("type")
    order = list(dict.fromkeys([*counts[0], *counts[1]]))
    both = pd.DataFrame(
        {name: [one.get(type, 0) for type in order] for name, one in zip("ab", counts, strict=True)},
        pd.Index(order, dtype="str", name="type"),
        dtype="int64",
    )
    both["difference"] = both["b"] - both["a"]
    return both


def rates_beside(counts: pd.DataFrame, a: ComparedColumns, b: ComparedColumns) -> pd.DataFrame:
    """Return the events of each type per second of each run."""
    rates = pd.DataFrame({"a": counts["a"] / a.span_s, "b": counts["b"] / b.span_s})
    rates["ratio"] = rates["b"] / rates["a"].where(rates["a"] > 0)
    return rates


def per_tick(a: Side, b: Side, differing: pd.DataFrame) -> pd.DataFrame:
    """Count the events of each tick, and those that differ."""
    counts = {name: _earlier(one).add(_each(one.clock), fill_value=0) for name, one in (("a", a), ("b", b))}
    table = pd.DataFrame(counts | {"differing": _each(differing["tick"].to_numpy(np.int64))})
    table = table.fillna(0).astype("int64").sort_index()
    return table[table.index >= 0].rename_axis("tick")


def _earlier(one: Side) -> pd.Series:
    """Count the events of each tick of a beginning that both runs have."""
    before = one.columns.before
    return pd.Series(dtype="int64") if before is None else pd.Series(before.sizes, before.clock)


def _each(clock: Array) -> pd.Series:
    """Count the events of each tick; events of a tick mostly follow each other."""
    starts = np.flatnonzero(np.concatenate([[True], clock[1:] != clock[:-1]])[: len(clock)])
    counts = pd.Series(np.diff(starts, append=len(clock)))
    return counts.groupby(clock[starts].astype(np.int64)).sum()


# --- sizes -------------------------------------------------------------------------------------------------------


def quantities(reader: Reader, columns: ComparedColumns, town: pd.DataFrame) -> pd.Series:
    """Return the quantities of a run: events, events of each type, means of attributes, last values of measures."""
    found = {"events": float(columns.events)}
    found |= {f"events of type {name}": float(count) for name, count in columns.counted("type").items()}
    for name in town.columns:
        if name not in ("state", "location", *_OWN) and _is_number(town[name]):
            found[f"mean of {name}"] = float(town[name].astype("float64").mean())
    measures = reader.measures()
    for measure, values in measures.groupby("name", sort=False)["value"]:
        last = pd.to_numeric(values, errors="coerce").dropna()
        if len(last):
            found[f"last {measure}"] = float(last.iloc[-1])
    return pd.Series(found, dtype="float64")


def _is_number(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values))


def beside(a: pd.Series, b: pd.Series, share: float, equal: Sequence[tuple[float, pd.Series]]) -> pd.DataFrame:
    """Put the differences of two runs beside those between equal runs."""
    order = [*a.index, *b.index.difference(a.index, sort=False)]
    table = pd.DataFrame({"a": a.reindex(order), "b": b.reindex(order)})
    counted = table.index.str.startswith("events")
    table[counted] = table[counted].fillna(0.0)
    table["difference"] = table["b"] - table["a"]
    head = pd.DataFrame({"a": float("nan"), "b": float("nan"), "difference": share}, index=[SHARE])
    table = pd.concat([head, table])
    most = pd.DataFrame([pd.concat([pd.Series({SHARE: one}), others]) for one, others in equal]).max()
    table["equal"] = most.reindex(table.index).astype("float64") if equal else float("nan")
    beyond = (table["difference"].abs() > table["equal"]).astype("boolean")
    table["beyond"] = beyond.mask(table["equal"].isna() | table["difference"].isna())
    table.index = table.index.astype("str").rename("quantity")
    return table


# --- characters --------------------------------------------------------------------------------------------------


def characters_beside(
    towns: Sequence[pd.DataFrame], columns: Sequence[ComparedColumns], differing: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the characters at the end of both runs, and list the attributes that differ."""
    known: list[dict[Any, dict[Any, Any]]] = []
    for town in towns:
        town = town.drop(columns=[name for name in _OWN if name in town])
        known.append(town.astype("object").to_dict("index"))
    events = [one.counted("character_id") for one in columns]
    first = differing[differing["tick"] >= 0].groupby("character_id")["tick"].min()
    names = list(dict.fromkeys([*known[0], *known[1]]))
    rows, differences = [], []
    for name in names:
        one, other = (side.get(name, {}) for side in known)
        different = [key for key in {**one, **other} if not _same_value(one.get(key), other.get(key))]
        differences += [(name, key, _value(one.get(key)), _value(other.get(key))) for key in different]
        counts = [side.get(name, 0) for side in events]
        rows.append(
            {
                "events_a": counts[0],
                "events_b": counts[1],
                **{
                    f"{key}_{run}": _value(about.get(key))
                    for key in ("state", "location")
                    for run, about in (("a", one), ("b", other))
                },
                "differences": len(different),
                "differs": bool(different) or counts[0] != counts[1] or (name in known[0]) != (name in known[1]),
                "first_tick": first.get(name),
            }
        )
    shown = ["events_a", "events_b", "state_a", "state_b", "location_a", "location_b"]
    shown += ["differences", "differs", "first_tick"]
    table = pd.DataFrame(rows, pd.Index(names, name="character_id", dtype="object"), shown)
    kinds = {"events_a": "int64", "events_b": "int64", "differences": "int64", "differs": "bool", "first_tick": "Int64"}
    table = table.astype(kinds)
    return table, pd.DataFrame(differences, columns=["character_id", "attribute", "a", "b"], dtype="object")


def _value(value: Any) -> Any:
    return None if value is None or value is pd.NA or (isinstance(value, float) and value != value) else value


def _same_value(one: Any, other: Any) -> bool:
    return alike(_value(one), _value(other))
