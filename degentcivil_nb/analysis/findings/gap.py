"""Messages that are missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pandas as pd

from .evidence import Evidence, nanoseconds
from .finding import Finding

KIND: Final = "gap"


def gap(evidence: Evidence) -> Iterator[Finding]:
    """Report each reason for which messages are missing, with how many there are.

    Parameters
    ----------
    evidence : Evidence
        The run.
    """
    gaps = evidence.gaps
    if not len(gaps):
        return
    for reason, part in gaps.groupby(gaps["reason"].astype(object), sort=False):
        size = part["to_seq"] - part["from_seq"] + 1
        known, unknown = int(size.sum()), int(size.isna().sum())
        count = f"{known:,}" if not unknown else (f"more than {known:,}" if known else "An unknown number of")
        text = f"{count} messages are missing in {len(part):,} {'gap' if len(part) == 1 else 'gaps'}: {reason}"
        times = nanoseconds(part["time"])[part["time"].notna().to_numpy()]
        rows = [int(row) for row in part["row"].dropna().tolist()] if "row" in part else []
        since = int(times[0]) if len(times) else None
        until = int(times[-1]) if len(times) else None
        yield evidence.found(
            KIND, "warning", text, rows if pd.notna(since) else [], since=since, until=until, subject=str(reason)
        )
