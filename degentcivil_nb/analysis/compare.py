"""Comparison of two runs: counts, first difference, consequences of a change, and characters."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable
from typing import Any, Final

import pandas as pd

from ..core.arguments import flag
from ..core.escaping import visible
from ..core.names import did_you_mean
from ..core.progress import Progress, following
from ..store.arguments import Names, names_of
from ..store.payloads import read_payload
from ..store.sum_extract import WALL_CLOCK
from .alignment import ALIGNMENTS, aligned, side
from .compared_columns import ComparedColumns, columns_beside
from .comparison import Comparison, short
from .differences import Difference, Divergence, Pairs
from .quantities import beside, characters_beside, counts_beside, per_tick, quantities, rates_beside
from .reader import Reader

__all__ = ["WALL_CLOCK", "Comparison", "Divergence", "compare"]

INTERVENTIONS: Final = ["run", "row", "tick", "type", "character_id", "client", "text"]


def compare(
    a: Reader,
    b: Reader | None = None,
    *,
    align: str = "tick",
    ignore_interventions: bool = True,
    repeats: Reader | Iterable[Reader] = (),
    ignore: Names = WALL_CLOCK,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two sessions or recordings: first difference, first consequence of a change, counts, characters.

    Events are compared one by one: their type, their tick, and their payload without the keys in `ignore`. Events that
    a command made are listed and left out, so that the differences are their consequences. Values of watches are not
    compared.

    Parameters
    ----------
    a, b : Session or Recording
        The two runs.
    align : {"tick", "seq", "order"}
        ``"tick"`` pairs the n-th event of a type and a character in a tick with the n-th of that kind in the other run.
        Runs without ticks are paired by position (``"seq"``), or in order if a run's positions are not of a single
        epoch.
    ignore_interventions : bool
        Leave out the events that commands made.
    repeats : Session, Recording or iterable of them, optional
        More runs of the same set-up as `a`. They show how much equal runs differ, and `sizes` compares the differences
        with that.
    ignore : str or list-like of str, optional
        Keys of payloads that are not compared. The default are those with wall clock times, ``"timestamp"`` and
        ``"latency_s"``.
    progress : callable, optional
        Called with how many pairs are compared and how many there are. Left out, a bar is shown after a second.

    Returns
    -------
    Comparison
        The differences; printing the object gives a summary.

    Raises
    ------
    TypeError
        If one of the runs is neither a session nor a recording.
    ValueError
        For another `align`.

    Examples
    --------
    >>> with dc.start_local_server(seed=2, tick_s=0.01, paused=True) as town, dc.connect(town) as other:
    ...     _ = other.step(20)
    ...     found = dc.compare(recording, other)
    >>> found.same, found.aligned_by
    (False, 'tick')
    """
    a, b = _reader(a), _reader(b)
    others = _repeats(repeats)
    if not isinstance(align, str) or align not in ALIGNMENTS:
        hint = did_you_mean(align, ALIGNMENTS) if isinstance(align, str) else ""
        raise ValueError(f"align must be one of {', '.join(ALIGNMENTS)}, not {reprlib.repr(align)}{hint}")
    ignored, leave_out = frozenset(names_of(ignore) or ()), flag("ignore_interventions", ignore_interventions)
    names, readers = (_name(a), _name(b)), (a, b)
    columns = columns_beside(a._store, b._store, align, without_changed=leave_out, ignore=ignored)
    pairs = _pairs(readers, columns, align, leave_out, ignored)
    changes = _interventions(readers, columns)
    with following(f"comparing {visible(names[0])} and {visible(names[1])}", progress) as told:
        first = pairs.first(told)
        differ = None if first is None else pairs.described(first)
        consequence = _consequence(pairs, readers, first, differ, changes, leave_out, align, told)
    differing = pairs.differing()
    counts = counts_beside(*columns)
    towns = a.characters(), b.characters()
    mine, other = quantities(a, columns[0], towns[0]), quantities(b, columns[1], towns[1])
    equal = [_equal(a, mine, one, align, leave_out, ignored) for one in others]
    characters, attributes = characters_beside(towns, columns, differing)
    return Comparison(
        *names,
        counts=counts,
        rates=rates_beside(counts, *columns),
        divergence=differ,
        interventions=changes,
        consequence=consequence,
        compared=pairs.compared if differ is None else differ.place + 1,
        only_a=len(pairs.sides[0].compared) - len(pairs.alignment.a),
        only_b=len(pairs.sides[1].compared) - len(pairs.alignment.b),
        aligned_by=pairs.alignment.by,
        attributes=attributes,
        gaps=(len(a.gaps()), len(b.gaps())),
        per_tick=per_tick(*pairs.sides, differing),
        left_out=leave_out,
        _characters=characters,
        _sizes=beside(mine, other, _share(pairs, differing), equal),
        _differing=differing,
        _still=a._still,
    )


def _reader(given: Any) -> Reader:
    if isinstance(given, Reader):
        return given
    if given is None:
        raise TypeError("compare takes two sessions or recordings; the second is missing")
    if isinstance(given, str | os.PathLike):
        path = os.fspath(given)
        raise TypeError(f"compare takes sessions or recordings, not a path: dc.open_recording({path!r:.80}) opens one")
    raise TypeError(f"compare takes two sessions or recordings, not {type(given).__name__}")


def _repeats(given: Any) -> list[Reader]:
    several = [given] if isinstance(given, Reader) else given
    if isinstance(several, Iterable) and not isinstance(several, str | bytes):
        several = list(several)
        if all(isinstance(one, Reader) for one in several):
            return several
    raise TypeError(f"repeats must be sessions or recordings of the same set-up as `a`, not {reprlib.repr(given)}")


def _name(reader: Any) -> str:
    return str(getattr(reader, "path", None) or getattr(reader, "url", None) or type(reader).__name__)


def _pairs(
    readers: tuple[Reader, Reader],
    columns: tuple[ComparedColumns, ComparedColumns],
    align: str,
    leave_out: bool,
    ignore: frozenset[str],
) -> Pairs:
    one, other = (
        side(reader._store, read, reader.gaps(), without_changed=leave_out)
        for reader, read in zip(readers, columns, strict=True)
    )
    return Pairs((one, other), aligned(one, other, align), ignore)


# --- what commands changed ---------------------------------------------------------------------------------------


def _interventions(readers: tuple[Reader, Reader], columns: tuple[ComparedColumns, ComparedColumns]) -> pd.DataFrame:
    rows = []
    for run, reader, one in zip("ab", readers, columns, strict=True):
        numbers = one.changed_rows.tolist()
        changed = reader._store.frame_of(numbers)
        for row, payload, tick, type, who, made in zip(
            numbers,
            reader._store.take_payloads(numbers),
            *(changed[name].tolist() for name in ("tick", "type", "character_id", "intervention")),
            strict=True,
        ):
            text = f"{type} {short(str(read_payload(payload)))}"
            rows.append((run, row, tick, type, who if isinstance(who, str) else None, _client(made), text))
    frame = pd.DataFrame(rows, columns=INTERVENTIONS, dtype="object")
    words = dict.fromkeys(("run", "type", "character_id", "client", "text"), "str")
    return frame.astype({**words, "row": "int64", "tick": "Int64"})


def _client(intervention: Any) -> str | None:
    client = intervention.get("client") if isinstance(intervention, dict) else None
    name = (client.get("name") or client.get("id")) if isinstance(client, dict) else client
    return None if name is None else str(name)


def _consequence(
    pairs: Pairs,
    readers: tuple[Reader, Reader],
    first: Difference | None,
    differ: Divergence | None,
    changes: pd.DataFrame,
    left_out: bool,
    align: str,
    told: Progress,
) -> Divergence | None:
    """Return the first difference after the first intervention that is not itself an intervention."""
    a, b = pairs.sides
    if changes.empty or first is None:
        return None
    if not left_out:
        pairs = _pairs(readers, (a.columns, b.columns), align, True, pairs.ignore)
    begun = min([*a.columns.changed[:1].tolist(), *pairs.in_a(b.columns.changed[:1]).tolist()], default=-1.0)
    if any(one.columns.before is not None and len(one.columns.before.changed) for one in (a, b)):
        begun = -1.0
    if left_out and first.at > begun:
        return differ
    found = pairs.first(told, begun)
    return None if found is None else pairs.described(found)


# --- sizes -------------------------------------------------------------------------------------------------------


def _share(pairs: Pairs, differing: pd.DataFrame) -> float:
    whole = pairs.compared + len(pairs.alignment.alone_a) + len(pairs.alignment.alone_b)
    if not whole:  # nothing of one run corresponds to anything of the other
        return float("nan") if any(len(one.compared) for one in pairs.sides) else 0.0
    return len(differing) / whole


def _equal(
    a: Reader,
    mine: pd.Series,
    other: Reader,
    align: str,
    leave_out: bool,
    ignore: frozenset[str],
) -> tuple[float, pd.Series]:
    """Return the share of events that differ between two equal runs, and the difference of each quantity."""
    both = columns_beside(a._store, other._store, align, without_changed=leave_out, ignore=ignore)
    pairs = _pairs((a, other), both, align, leave_out, ignore)
    one, two = mine.align(quantities(other, both[1], other.characters()), fill_value=0.0)
    return _share(pairs, pairs.differing()), (two - one).abs()
