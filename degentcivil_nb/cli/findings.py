"""The shell command `findings`."""

from __future__ import annotations

import json as json_text
from typing import Annotated

from cyclopts import Parameter

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
    from ..analysis.finding_lines import lines_of
    from ..session.recording import Recording

    with Recording(path) as recording:
        try:
            found = recording.findings(list(kind) or None)
        except ValueError as error:
            raise WrongUsage(str(error)) from None
    if json:
        for one in found.to_dict("records"):
            say(json_text.dumps({str(name): _plain(value) for name, value in one.items()}))
    else:
        for line in lines_of(found):
            say(line)
    return FAILED if len(found) else OK


def _plain(value: object) -> object:
    import pandas as pd

    if isinstance(value, list):
        return value
    if pd.isna(value):  # type: ignore[call-overload]  # a scalar of a frame
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else value
