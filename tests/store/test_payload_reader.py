"""The decoding of many payloads at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, json

from degentcivil_nb.store.payload_reader import PayloadReader

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(values, min_size=1, max_size=20))
def test_payloads_end_to_end_are_decoded_as_each_alone(told: list[Any]) -> None:
    raws = [Raw(json.encode(value)) for value in told]

    read, reasons = PayloadReader(Any)(raws, b"".join(raws))

    assert read == told
    assert not reasons


@pytest.mark.parametrize(
    "raws", [[b"1", b"2"], [b"1", b"-2"], [b"1", b"e5"], [b"nu", b"ll"], [b"[1", b"]"], [b"{}", b"{", b"}"]]
)
def test_payloads_that_only_make_sense_together_are_each_judged_alone(raws: list[bytes]) -> None:
    reader = PayloadReader(Any)
    alone = [reader([Raw(raw)]) for raw in raws]

    read, reasons = reader([Raw(raw) for raw in raws], b"".join(raws))

    assert read == [value for values, _ in alone for value in values]
    assert sorted(reasons) == [place for place, (_, bad) in enumerate(alone) if bad]
