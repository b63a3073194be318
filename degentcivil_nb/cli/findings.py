"""The shell command `findings`."""

from __future__ import annotations

import json as json_text
from typing import Annotated

from cyclopts import Parameter

from ..core.escaping import visible
from .arguments import FAILED, OK, Flag, RecordingPath, WrongUsage, say


def findings(
    path: RecordingPath,
    /,
    *,
    kind: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="only findings of this kind, such as stuck (may be repeated)", show_default=False),
    ] = (),
    json: Annotated[Flag, Parameter(help="one JSON object a line")] = False,
) -> int:
    """List what is wrong in a recorded run, the severest first.

    Exit code 1 means that something was found.
    """
    from ..session.recording import Recording

    with Recording(path) as recording:
        try:
            found = recording.findings(list(kind) or None)
        except ValueError as error:
            raise WrongUsage(str(error)) from None
    for one in found.to_dict("records"):
        if json:
            say(json_text.dumps({str(name): _plain(value) for name, value in one.items()}))
        else:
            since = "" if _plain(one["since_tick"]) is None else f"since tick {one['since_tick']:,}"
            over = "" if _plain(one["until"]) is None else " (over)"
            say(visible(f"{one['severity']:<8} {one['kind']:<18} {since:<18} {one['text']}{over}"))
    if not len(found) and not json:
        say("nothing found")
    return FAILED if len(found) else OK


def _plain(value: object) -> object:
    import pandas as pd

    if isinstance(value, list):
        return value
    if pd.isna(value):  # type: ignore[call-overload]  # a scalar of a frame
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else value
