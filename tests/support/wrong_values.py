"""Values that somebody may pass by mistake, and which of them each kind of parameter must refuse."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

import degentcivil_nb as dc

WRONG: dict[str, Any] = {
    "None": None, "True": True, "np.False_": np.False_, "''": "", "'typo'": "typo", "0": 0, "-1": -1, "2.5": 2.5,
    "np.int64(3)": np.int64(3), "nan": float("nan"), "inf": float("inf"), "10**30": 10**30, "b'x'": b"x", "[]": [],
    "['typo']": ["typo"], "{'a': 1}": {"a": 1}, "object()": object(), "array": np.array([1, 2]), "NaT": pd.NaT,
    "NA": pd.NA, "1j": 1j, "np.str_": np.str_("typo"), "long": "x" * 2_000, "np.longdouble": np.longdouble(2.5),
}  # fmt: skip
ALLOWED = (ValueError, TypeError, KeyError, OSError, TimeoutError, dc.DegentCivilError)
"""What may come of a wrong value, if it says so in a sentence."""
INTERNAL = re.compile(
    r"has no attribute|not subscriptable|unhashable|ambiguous|not supported between|is not iterable|is not callable"
    r"|cannot be interpreted|Encoding objects|can only concatenate|out of range for|too large to convert"
    r"|is not a mapping"
    r"|update sequence|must be str, not|bytes-like|slice indices|invalid literal|__index__|unsupported operand"
    r"|expected str, bytes|at `\$|Servname|scalar index|x{500}"
)
"""Words of Python's and libraries' own errors: an argument went too far in."""
_ODD = ("True", "np.False_", "nan", "b'x'", "[]", "['typo']", "{'a': 1}", "object()", "array", "NaT", "NA", "1j")
REFUSED: dict[str, tuple[str, ...]] = {
    "flag": ("None", "''", "'typo'", "0", "-1", "2.5", "np.int64(3)", "inf", "10**30", *_ODD[2:]),
    "text": ("True", "np.False_", "''", "0", "-1", "2.5", "np.int64(3)", "inf", "10**30", *_ODD[2:]),
    "row": ("''", "'typo'", "2.5", "inf", *_ODD),
    "moment": ("''", "'typo'", "-1", "inf", "10**30", *_ODD),
    "seconds": ("''", "'typo'", "-1", *_ODD),
    "name": ("nan", "b'x'", "[]", "['typo']", "{'a': 1}", "object()", "array", "NaT", "NA"),
    "names": ("b'x'",),
    "path": ("None", "True", "np.False_", "''", "0", "-1", "2.5", "nan", "inf", *_ODD[4:]),
    "condition": ("True", "''", "0", "-1", "2.5", "nan", "inf", *_ODD[3:]),
    "function": ("True", "''", "'typo'", "0", "-1", "2.5", "nan", "inf", "10**30", *_ODD[3:]),
}  # fmt: skip
NAMES: dict[str, str] = {
    **dict.fromkeys(("payload", "verify", "paused", "tls", "once", "anytime"), "flag"),
    **dict.fromkeys(("token", "host"), "text"),
    **dict.fromkeys(("last", "row", "tick", "ticks", "history", "retention", "hits", "after", "memory_rows"), "row"),
    **dict.fromkeys(("since", "until", "at", "before", "new_since"), "moment"),
    **dict.fromkeys(("timeout", "tick_s"), "seconds"),
    **dict.fromkeys(("character_id", "event_type", "new_state"), "names"),
    **dict.fromkeys(("where", "condition"), "condition"),
    **dict.fromkeys(("callback", "progress"), "function"),
    **dict.fromkeys(("path", "folder"), "path"),
}
"""Which kind a parameter is of."""
