"""The one private call of pandas: does it still do what `store/table.py` needs?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pytest

from degentcivil_nb.store.table import _protect


def changed(what: str) -> NoReturn:
    pytest.fail(
        f"pandas {pd.__version__} has changed where `_protect` in store/table.py rests on it: {what}. "
        "Read docs/decisions/pandas-internals.md before anything else."
    )


def held() -> tuple[np.ndarray, pd.DataFrame]:
    array = np.arange(4)
    return array, pd.DataFrame({"n": array}, copy=False)


def test_the_blocks_of_a_frame_count_who_shares_them() -> None:
    _, frame = held()
    blocks = getattr(getattr(frame, "_mgr", None), "blocks", None)
    if not blocks:
        changed("a frame has no `_mgr.blocks`")
    refs: Any = getattr(blocks[0], "refs", None)
    if not callable(getattr(refs, "add_index_reference", None)) or not callable(getattr(refs, "has_reference", None)):
        changed("a block has no `refs` with `add_index_reference` and `has_reference`")
    before = refs.has_reference()
    _protect(frame)
    if before or not refs.has_reference():
        changed("`add_index_reference` does not count somebody more")


@pytest.mark.parametrize(
    "write",
    [
        lambda part: part.iloc.__setitem__((0, 0), 99),
        lambda part: part.__setitem__("n", 99),
        lambda part: part["n"].__setitem__(part.index[0], 99),
        lambda part: part.fillna(99, inplace=True),
        lambda part: part.replace({1: 99}, inplace=True),
    ],
    ids=["iloc", "column", "series", "fillna", "replace"],
)
@pytest.mark.filterwarnings("ignore:.*chained assignment")
def test_a_slice_of_a_frame_that_nobody_holds_any_more_copies_before_a_write(
    write: Callable[[pd.DataFrame], object],
) -> None:
    array, frame = held()
    _protect(frame)
    part = frame.iloc[1:3]
    del frame
    write(part)
    if array.tolist() != [0, 1, 2, 3]:
        changed("a write into a slice went into the shared array")


def test_a_frame_shares_the_arrays_that_it_is_made_of() -> None:
    array, frame = held()
    if not np.shares_memory(array, frame["n"].to_numpy()) or not np.shares_memory(
        array, frame.iloc[1:]["n"].to_numpy()
    ):
        changed("a frame made with copy=False, or a slice of it, copies")
