"""All rules, run over one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import signature
from typing import Any, Final

from .dear import dear
from .error_burst import error_burst
from .evidence import Evidence
from .finding import Finding, fold
from .gap import gap
from .loop import loop
from .malformed import malformed
from .new_error import new_error
from .ping_pong import ping_pong
from .rejected import rejected
from .repeated_prompt import repeated_prompt
from .silent import silent
from .slow_model import slow_model
from .stalled import stalled
from .stuck import stuck, waiting_for_model

RULES: Final[Mapping[str, Callable[..., Iterator[Finding]]]] = {
    "stuck": stuck,
    "loop": loop,
    "ping_pong": ping_pong,
    "silent": silent,
    "waiting_for_model": waiting_for_model,
    "error_burst": error_burst,
    "new_error": new_error,
    "malformed": malformed,
    "slow_model": slow_model,
    "dear": dear,
    "repeated_prompt": repeated_prompt,
    "rejected": rejected,
    "gap": gap,
    "stalled": stalled,
}
"""The rule of each kind of finding."""


def find(
    evidence: Evidence, kinds: Iterable[str] | None = None, thresholds: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Finding]:
    """List what is wrong in a run: the findings of these kinds, or of all kinds, after `fold`.

    Raises `ValueError` for a threshold that the kind's rule does not have.
    """
    asked = {kind: dict(values) for kind, values in (thresholds or {}).items()}
    check_thresholds(asked)
    if not len(evidence):
        return []
    chosen = RULES if kinds is None else kinds
    return fold(found for kind in chosen for found in RULES[kind](evidence, **asked.get(kind, {})))


def check_thresholds(thresholds: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that the rules have these thresholds, and that each is a number."""
    for kind, values in thresholds.items():
        if kind not in RULES:
            raise ValueError(f"there is no finding {kind!r:.80}; the kinds are {', '.join(RULES)}")
        known = [name for name in signature(RULES[kind]).parameters if name != "evidence"]
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"{kind} has no threshold {name!r:.80}; it has {', '.join(known) or 'none'}")
            if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
                raise ValueError(f"the threshold {name!r:.80} of {kind} must be a number, not {value!r:.80}")
