"""The shell command `case`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..core.escaping import visible
from .arguments import OK, RecordingPath, WrongUsage, say


def case(
    path: RecordingPath,
    out: Annotated[
        Path | None, Parameter(help="the page, such as OUT.html; left out, PATH.html", show_default=False)
    ] = None,
    /,
    *,
    tick: Annotated[int | None, Parameter(help="the moment after this tick", show_default=False)] = None,
    time: Annotated[str | None, Parameter(help="the moment at this time (UTC)", show_default=False)] = None,
    row: Annotated[
        tuple[int, ...],
        Parameter(negative="", help="row of an event to show (may be repeated)", show_default=False),
    ] = (),
) -> int:
    """Write a case file: one page of a moment, which opens without Python and without a network.

    Without a moment, the newest event is shown. An existing page is not overwritten.
    """
    from ..session.recording import Recording

    target = path.with_name(f"{path.resolve().name}.html") if out is None else out
    if target.exists():
        raise FileExistsError(f"{visible(str(target))} exists already; pass another name, or delete it")
    with Recording(path) as recording:
        try:
            page = recording.to_html(target, at=time, tick=tick, rows=row or None)
        except ValueError as error:
            raise WrongUsage(str(error)) from None
    say(f"{visible(str(page))}: {page.stat().st_size:,} bytes")
    return OK
