"""The shell command `compare`."""

from __future__ import annotations

import json as json_text
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from .arguments import FAILED, OK, Flag, say

if TYPE_CHECKING:
    from ..analysis.comparison import Comparison


def compare(
    a: Annotated[Path, Parameter(name="A", help="the folder of a recording")],
    b: Annotated[Path, Parameter(name="B", help="the folder of the other recording")],
    /,
    *,
    align: Annotated[Literal["tick", "seq", "order"], Parameter(help="how events are paired")] = "tick",
    repeat: Annotated[
        tuple[Path, ...],
        Parameter(negative="", show_default=False, help="a run of the same set-up as A (may be repeated)"),
    ] = (),
    json: Annotated[Flag, Parameter(help="one JSON object")] = False,
) -> int:
    """Show how two recorded runs differ, since when, and the consequences of a change.

    Changes by commands are listed and left out. Exit code 1 means that the runs differ.
    """
    from ..analysis.compare import compare as compared
    from ..session.recording import Recording

    with ExitStack() as opened:
        one, other, *more = (opened.enter_context(Recording(path)) for path in (a, b, *repeat))
        found = compared(one, other, align=align, repeats=more)
    say(json_text.dumps(_facts(found), default=str) if json else repr(found))
    return OK if found.same else FAILED


def _facts(found: Comparison) -> dict[str, Any]:
    return {
        "a": found.a,
        "b": found.b,
        "same": found.same,
        "aligned_by": found.aligned_by,
        "compared": found.compared,
        "only_a": found.only_a,
        "only_b": found.only_b,
        "divergence": None if found.divergence is None else found.divergence._asdict(),
        "consequence": None if found.consequence is None else found.consequence._asdict(),
        "interventions": json_text.loads(found.interventions.to_json(orient="records")),
        "counts": json_text.loads(found.counts.to_json(orient="index")),
        "sizes": json_text.loads(found.sizes().to_json(orient="index")),
    }
