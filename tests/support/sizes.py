"""How much the tests try: 1 for every change, a fifth in the quick part, more in the nightly one."""

from __future__ import annotations

import os

SCALE = float(os.environ.get("DC_SCALE", "1"))
"""1 is a fiftieth of the sizes in docs/promises.md; at full size it is

DC_SCALE=50 python -m pytest tests/recordings --timeout=0
"""


def examples(number: int) -> int:
    """Give how many examples of a property are tried, at scale 1 so many."""
    return max(1, round(number * SCALE))
